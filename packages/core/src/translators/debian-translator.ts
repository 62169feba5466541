// Translators from Debian's archive: the package of the emulator, and the host's C library of the same suite.
import { createReadStream } from 'node:fs';
import {
  asFailedTry,
  type DebianPackage,
  debianName,
  downloadPackage,
  type FoundPackage,
  findDebianPackages,
  isAbsence,
  type Search,
  unavailable,
} from '../debian/package.ts';
import { originOf, usePinnedPackage } from '../debian/pinned-package.ts';
import { type DebEntry, filesOfDeb } from '../libraries/deb-files.ts';
import type { Arch } from '../model/arch.ts';
import { parseDigest } from '../model/digest.ts';
import type { PinnedPackage, PinnedTranslator, TranslatorFile } from '../plan/plan.ts';
import type { ProviderContext } from '../qemu/provider.ts';
import type { TranslatorRule } from './rules.ts';
import { HOST_LIBRARIES, pinTranslator, readTranslatorProgram } from './translator-file.ts';

/** Where its libraries come from. */
const LIBRARY_PACKAGES = ['libc6', 'libgcc-s1'];

/**
 * The translator of the first suite that has it.
 *
 * @throws UportError UPORT_DEBIAN_*, UPORT_EMULATOR_WRONG, UPORT_EMULATOR_INCOMPLETE
 */
export async function debianTranslator(
  suites: readonly string[],
  rule: TranslatorRule,
  host: Arch,
  context: ProviderContext,
): Promise<PinnedTranslator | undefined> {
  if (host.debian === undefined) return undefined;
  const search: Search = { failed: [], answered: 0 };
  const query = { suites, arch: host.debian, name: rule.kind, context };
  for await (const found of findDebianPackages(query, search)) {
    try {
      const packages = [found, ...(await libraryPackages(found.suite, host, context))];
      const debs: DebianPackage[] = [];
      for (const each of packages) debs.push(await downloadPackage(each, context));
      return await translatorOf(debs, rule, host, context);
    } catch (error) {
      search.failed.push(asFailedTry(error, found.suite, found.mirror, context));
    }
  }
  if (isAbsence(search)) return undefined;
  throw unavailable(`${rule.kind} for ${host.name}`, search.failed);
}

/**
 * The same from pinned packages: no index is asked.
 *
 * @throws UportError UPORT_DEBIAN_UNAVAILABLE
 */
export async function pinnedTranslator(
  packages: readonly PinnedPackage[],
  rule: TranslatorRule,
  host: Arch,
  context: ProviderContext,
): Promise<PinnedTranslator> {
  const debs: DebianPackage[] = [];
  for (const pin of packages) {
    debs.push(
      await usePinnedPackage(
        originOf(pin),
        pin.architecture,
        context,
        (found) => downloadPackage(found, context),
        (failed) => unavailable(`${pin.name} ${pin.version}`, failed),
      ),
    );
  }
  return translatorOf(debs, rule, host, context);
}

async function libraryPackages(
  suite: string,
  host: Arch,
  context: ProviderContext,
): Promise<readonly FoundPackage[]> {
  const packages: FoundPackage[] = [];
  for (const name of LIBRARY_PACKAGES) {
    const search: Search = { failed: [], answered: 0 };
    const query = { suites: [suite], arch: debianName(host), name, context };
    let found: FoundPackage | undefined;
    for await (const each of findDebianPackages(query, search)) found = each;
    if (found === undefined) throw unavailable(`${name} for ${host.name}`, search.failed);
    packages.push(found);
  }
  return packages;
}

async function translatorOf(
  debs: readonly DebianPackage[],
  rule: TranslatorRule,
  host: Arch,
  context: ProviderContext,
): Promise<PinnedTranslator> {
  const { store } = context;
  const [main, ...libraries] = debs as [DebianPackage, ...DebianPackage[]];
  const own = await takeFiles(main, (path) => path === `usr/bin/${rule.kind}`, context);
  const file = own[0] && store.pathOf(own[0].digest);
  if (file === undefined) throw unavailable(`${rule.kind} for ${host.name}`, []);
  const program = await readTranslatorProgram(file, rule, host, main.poolPath);
  const wanted = new Set([program.loader, ...program.needed, ...HOST_LIBRARIES]);
  const files = new Map(own.map((each) => [each.name, each]));
  for (const deb of libraries) {
    const isWanted = (path: string) =>
      /^(?:usr\/)?lib\//.test(path) && wanted.has(path.slice(path.lastIndexOf('/') + 1));
    for (const each of await takeFiles(deb, isWanted, context)) files.set(each.name, each);
  }
  const packages = debs.map(pinOf);
  return pinTranslator({ rule, host, program, files: [...files.values()], packages }, context);
}

/** Files of a package, brought into the store; links to others are left out. */
async function takeFiles(
  deb: DebianPackage,
  isWanted: (path: string) => boolean,
  context: ProviderContext,
): Promise<readonly TranslatorFile[]> {
  const { store, signal } = context;
  const { archive, entries } = await filesOfDeb(deb, context);
  const taken: TranslatorFile[] = [];
  for (const entry of entries) {
    if (entry.type !== 'file' || !isWanted(entry.path)) continue;
    if (store.locate(entry.digest) === undefined) await put(entry);
    const name = entry.path.slice(entry.path.lastIndexOf('/') + 1);
    taken.push({ name, digest: entry.digest, size: entry.size });
  }
  return taken;

  async function put({ offset, size, digest, path }: Extract<DebEntry, { type: 'file' }>) {
    const range = { start: offset, end: offset + size - 1, signal };
    const bytes = createReadStream(store.pathOf(archive), range);
    const stored = await store.put(bytes, { signal, name: path });
    if (stored.digest !== parseDigest(digest)) throw unavailable(`${path} of ${deb.name}`, []);
  }
}

function pinOf(deb: DebianPackage): PinnedPackage {
  const { name, version, architecture, suite, sourcePackage, sourceVersion, poolPath } = deb;
  const { digest, size } = deb;
  return {
    name,
    version,
    architecture,
    suite,
    sourcePackage,
    sourceVersion,
    path: poolPath,
    digest,
    size,
  };
}
