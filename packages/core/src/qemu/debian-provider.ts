import { UportError } from '@uport/errors';
import { type Landmarks, useFileOfDeb } from '../debian/find-in-deb.ts';
import {
  asFailedTry,
  type DebianPackage,
  downloadPackage,
  type FoundPackage,
  findDebianPackages,
  isAbsence,
  type Search,
  unavailable,
} from '../debian/package.ts';
import { inTurn } from '../debian/turn.ts';
import type { Arch } from '../model/arch.ts';
import { type Digest, parseDigest } from '../model/digest.ts';
import type { PinnedEmulator } from '../plan/plan.ts';
import { debianTranslator } from '../translators/debian-translator.ts';
import { checkEmulator, readEmulatorFile } from './emulator-file.ts';
import type { EmulatorProvider, ProviderContext } from './provider.ts';

/** Debian's suites with static emulators, newest QEMU first. */
const SUITES: readonly string[] = ['sid', 'trixie', 'bookworm-backports', 'bookworm'];

/** Up to bookworm the static build is `qemu-user-static`; since then it is `qemu-user`. */
const PACKAGES = /^qemu-user(?:-static)?$/;

const MAX_EMULATOR = 256 << 20;

/** Emulators from Debian's archive: of the newest suite that has one, or of the named suite only. */
export function debianProvider(suite?: string): EmulatorProvider {
  const suites = suite === undefined ? SUITES : [suite];
  return {
    name: suite === undefined ? 'debian' : `debian:${suite}`,
    find: (guest, host, context) => find(suites, guest, host, context),
    findTranslator: (rule, host, context) => debianTranslator(suites, rule, host, context),
  };
}

async function find(
  suites: readonly string[],
  guest: Arch,
  host: Arch,
  context: ProviderContext,
): Promise<PinnedEmulator | undefined> {
  if (host.debian === undefined) return undefined;
  const search: Search = { failed: [], answered: 0 };
  const query = { suites, arch: host.debian, name: PACKAGES, context, accept: isStaticBuild };
  for await (const found of findDebianPackages(query, search)) {
    try {
      const emulator = await emulatorOfPackage(found, guest, host, context);
      if (!emulator) continue;
      for (const { suite, error } of search.failed) {
        context.warn?.(
          `${suite} was passed over for ${host.name}, ${found.suite} has QEMU ${emulator.version}: ${error.message}`,
        );
      }
      return emulator;
    } catch (error) {
      search.failed.push(asFailedTry(error, found.suite, found.mirror, context));
    }
  }
  if (isAbsence(search)) return undefined;
  throw unavailable(`qemu-${guest.name} for ${host.name}`, search.failed);
}

/** In newer suites `qemu-user-static` is an empty package that only pulls in `qemu-user`; in older ones `qemu-user` needs libraries. */
function isStaticBuild(candidate: { readonly depends: string }): boolean {
  return !/(?:^|[,|]\s*)(?:libc6|qemu-user)\b/.test(candidate.depends);
}

/** What is remembered of a package's emulator; `absent` when the package has none. */
type Note =
  | { readonly absent: true }
  | { readonly digest: Digest; readonly size: number; readonly version: string };

/**
 * The emulator in a package of Debian, brought into the store.
 *
 * @returns undefined when the package has none for this guest
 */
export async function emulatorOfPackage(
  found: FoundPackage,
  guest: Arch,
  host: Arch,
  context: ProviderContext,
): Promise<PinnedEmulator | undefined> {
  const { store } = context;
  const key = `debian-emulators/${found.digest} ${guest.name}`;
  let note = (await store.lookup(key)) as Note | undefined;
  if (!note || (!('absent' in note) && !store.locate(parseDigest(note.digest)))) {
    const deb = await downloadPackage(found, context);
    note = await inTurn(() => extract(deb, guest, host, context));
    await store.record(key, note);
  }
  if ('absent' in note) return undefined;
  return {
    kind: 'qemu',
    host: host.name,
    guest: guest.name,
    version: note.version,
    digest: note.digest,
    size: note.size,
    origin: {
      provider: 'debian',
      suite: found.suite,
      package: found.name,
      packageVersion: found.version,
      sourcePackage: found.sourcePackage,
      sourceVersion: found.sourceVersion,
      packagePath: found.poolPath,
      packageDigest: found.digest,
      packageSize: found.size,
    },
  };
}

async function extract(
  deb: DebianPackage,
  guest: Arch,
  host: Arch,
  context: ProviderContext,
): Promise<Note> {
  const { store, signal } = context;
  const paths = [`usr/bin/qemu-${guest.name}`, `usr/bin/qemu-${guest.name}-static`];
  const key = `debian-landmarks/${deb.digest}`;
  const landmarks: Landmarks = { ...((await store.lookup(key)) as Landmarks | undefined) };
  const task = context.progress.start(`qemu-${guest.name} for ${host.name}`);
  try {
    const emulator = await useFileOfDeb(
      deb.file,
      paths,
      landmarks,
      async (entry) => {
        const name = `qemu-${guest.name} for ${host.name}, from ${deb.name} ${deb.version}`;
        const { digest, size } = await store.put(entry.content(), {
          maxSize: MAX_EMULATOR,
          signal,
          name,
        });
        return { digest, size, where: `${deb.poolPath}:${entry.path}` };
      },
      signal,
    );
    await store.record(key, landmarks);
    if (!emulator) return { absent: true };
    const { digest, size, where } = emulator;
    const read = await readEmulatorFile(store.pathOf(digest)).catch((error: unknown) => {
      throw error instanceof UportError ? error.inFile(where) : error;
    });
    const { version } = checkEmulator(read, guest, host, where);
    return { digest, size, version };
  } finally {
    task.done();
  }
}
