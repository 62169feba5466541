// The packages of Debian that have what a closure lacks, by the indexes alone.
import { readElf } from '@uport/elf';
import type { Closure } from '../closure/closure.ts';
import { withWindows } from '../closure/file-windows.ts';
import type { DebianContext } from '../debian/context.ts';
import { type FailedTry, unavailable } from '../debian/package.ts';
import { foldersForLibrary, type LibraryNeed, libraryNeeds } from './library-needs.ts';
import { findInSuite, isTooOld, portOf } from './suite-libraries.ts';
import type { LibrarySource } from './take-libraries.ts';

/** A library that a closure lacks, and the package that has it. */
export interface DebianLibrary {
  readonly soname: string;
  /** Without it the program does not run. */
  readonly required: boolean;
  readonly suite: string;
  readonly package: string;
  readonly version: string;
  /** Where the library lies in the package, relative. Bytes, one character each. */
  readonly path: string;
}

export interface DebianLibraries {
  /** Debian's name of the program's architecture. */
  readonly architecture: string;
  /** In the order in which they are needed. */
  readonly found: readonly DebianLibrary[];
  /** Sonames that no suite has, of those that are required. */
  readonly absent: readonly string[];
}

/**
 * Names the package for each library that a closure lacks, as `takeLibraries` would choose it. Only
 * the suites' indexes are fetched: what those libraries need themselves is not looked at.
 *
 * @throws UportError UPORT_DEBIAN_*, UPORT_ELF_*
 */
export async function findDebianLibraries(
  closure: Closure,
  source: Pick<LibrarySource, 'suites' | 'openedLibraries'>,
  context: DebianContext,
): Promise<DebianLibraries> {
  const [program] = closure.objects;
  if (program === undefined) throw new TypeError('a closure without a program');
  const elf = await withWindows(program.file, readElf);
  const architecture = portOf(elf);
  const open = new Map<string, LibraryNeed>();
  for (const need of libraryNeeds(closure, source.openedLibraries === true)) {
    if (!open.has(need.soname)) open.set(need.soname, need);
  }
  const order = [...open.keys()];
  const found: DebianLibrary[] = [];
  const failed: FailedTry[] = [];
  for (const suite of source.suites) {
    if (open.size === 0) break;
    const wanted = [...open.keys()].map((soname) => ({
      soname,
      folders: foldersForLibrary(elf, soname),
    }));
    for (const each of await findInSuite(suite, architecture, wanted, context, failed)) {
      const need = open.get(each.soname);
      if (need === undefined || isTooOld(each, need.versions)) continue;
      open.delete(each.soname);
      const { name, version } = each.package;
      const { soname, path } = each;
      found.push({ soname, required: need.required, suite, package: name, version, path });
    }
  }
  const absent = [...open.values()].filter(({ required }) => required).map(({ soname }) => soname);
  // What a suite that could not be asked has is not known.
  if (absent[0] !== undefined && failed.length > 0) {
    throw unavailable(`${absent[0]} for ${architecture}`, failed);
  }
  found.sort((a, b) => order.indexOf(a.soname) - order.indexOf(b.soname));
  return { architecture, found, absent };
}
