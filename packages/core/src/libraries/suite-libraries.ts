// Which package of which suite has a soname.
import type { Elf } from '@uport/elf';
import { UportError } from '@uport/errors';
import { debianArchitecture } from '../closure/cpu-folders.ts';
import { mirrorsOf } from '../debian/archive.ts';
import { lookUpLibraries } from '../debian/contents-index.ts';
import type { DebianContext } from '../debian/context.ts';
import type { Mirror } from '../debian/mirror.ts';
import { asFailedTry, type FailedTry, type FoundPackage } from '../debian/package.ts';
import { type IndexedPackage, lookUpPackages } from '../debian/packages-index.ts';
import { compareDebianVersions, upstreamVersion } from '../debian/version.ts';
import { archOfElf } from '../model/arch.ts';
import { chooseLibrary } from './choose-library.ts';

/** A library that Debian has. */
export interface FoundLibrary {
  readonly soname: string;
  /** Where it lies in its package. */
  readonly path: string;
  readonly package: FoundPackage;
}

/** One name to be found. */
export interface WantedLibrary {
  readonly soname: string;
  /** The loader's folders, relative. */
  readonly folders: readonly string[];
}

/**
 * Looks libraries up in one suite, on the first mirror that answers.
 *
 * @param failed what was asked in vain is added
 */
export async function findInSuite(
  suite: string,
  architecture: string,
  wanted: readonly WantedLibrary[],
  context: DebianContext,
  failed: FailedTry[],
): Promise<readonly FoundLibrary[]> {
  const names = new Set(wanted.map(({ soname }) => soname));
  for (const mirror of await mirrorsOf(context)) {
    try {
      const files = await lookUpLibraries(mirror, suite, architecture, names, context);
      const choices = wanted.flatMap(({ soname, folders }) => {
        const choice = chooseLibrary(soname, files.get(soname) ?? [], folders);
        return choice ? [{ soname, ...choice }] : [];
      });
      const packages = await packagesNamed(
        mirror,
        suite,
        architecture,
        choices.map((choice) => choice.package),
        context,
      );
      return choices.flatMap(({ soname, path, package: name }) => {
        const found = packages.get(name);
        return found ? [{ soname, path, package: found }] : [];
      });
    } catch (error) {
      failed.push(asFailedTry(error, suite, mirror, context));
    }
  }
  return [];
}

/** The newest of each name that a suite has. */
export async function packagesNamed(
  mirror: Mirror,
  suite: string,
  architecture: string,
  names: readonly string[],
  context: DebianContext,
): Promise<ReadonlyMap<string, FoundPackage>> {
  const sorted = [...new Set(names)].sort();
  if (sorted.length === 0) return new Map();
  const pattern = sorted.map((name) => name.replace(/[.+]/g, '\\$&')).join('|');
  const indexed = await lookUpPackages(
    mirror,
    suite,
    architecture,
    new RegExp(`^(?:${pattern})$`),
    context,
  );
  const newest = new Map<string, IndexedPackage>();
  for (const each of indexed) {
    const known = newest.get(each.name);
    if (!known || compareDebianVersions(each.version, known.version) > 0)
      newest.set(each.name, each);
  }
  return new Map([...newest].map(([name, each]) => [name, { ...each, suite, mirror }]));
}

/** glibc names its symbol versions after its releases: one that is too old need not be fetched. */
export function isTooOld(
  { soname, package: found }: FoundLibrary,
  versions: readonly string[],
): boolean {
  if (soname !== 'libc.so.6') return false;
  const has = upstreamVersion(found.version);
  return versions.some((version) => {
    const needed = /^GLIBC_(\d+(?:\.\d+)+)$/.exec(version)?.[1];
    return needed !== undefined && compareDebianVersions(needed, has) > 0;
  });
}

/**
 * Debian's name of the architecture of a program.
 *
 * @throws UportError UPORT_DEBIAN_NO_ARCHITECTURE
 */
export function portOf(program: Pick<Elf, 'identity' | 'abi'>): string {
  const architecture = debianArchitecture(program);
  if (architecture !== undefined) return architecture;
  throw new UportError({
    code: 'UPORT_DEBIAN_NO_ARCHITECTURE',
    category: 'input',
    message: `Debian has no port for ${archOfElf(program.identity)?.name ?? 'this CPU'}`,
    hint: 'put the libraries into the app folder, or build the program statically',
  });
}
