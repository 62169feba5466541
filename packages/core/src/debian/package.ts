import { UportError } from '@uport/errors';
import type { Arch } from '../model/arch.ts';
import { fetchListed, mirrorsOf } from './archive.ts';
import type { DebianContext } from './context.ts';
import type { Mirror } from './mirror.ts';
import { type IndexedPackage, lookUpPackages, type PackageName } from './packages-index.ts';
import { compareDebianVersions } from './version.ts';

export interface DebianPackageQuery {
  /** Asked in this order; the first that has the package gives it. */
  readonly suites: readonly string[];
  /** Debian's name of the architecture, such as `arm64`, or a CPU. */
  readonly arch: string | Arch;
  /** Among several that match, the newest version wins. */
  readonly name: PackageName;
  /** A further test of what the index says. */
  readonly accept?: (candidate: IndexedPackage) => boolean;
  readonly context: DebianContext;
}

/** A package of Debian's archive and where it was found. */
export interface FoundPackage extends IndexedPackage {
  readonly suite: string;
  readonly mirror: Mirror;
}

/** A package brought into the store, its size and digest checked against a signed index. */
export interface DebianPackage extends FoundPackage {
  /** The .deb in the store. */
  readonly file: string;
}

/** How a search went. */
export interface Search {
  readonly failed: FailedTry[];
  /** Suites whose index could be read. */
  answered: number;
}

/** What was asked in vain, and why. */
export interface FailedTry {
  readonly suite: string;
  readonly mirror: string;
  readonly error: UportError;
}

/**
 * Finds a package in the given suites and brings it into the store.
 *
 * @throws UportError UPORT_DEBIAN_PACKAGE_NOT_FOUND; UPORT_DEBIAN_UNAVAILABLE when mirrors failed,
 *   naming what was tried; UPORT_STORE_*
 */
export async function fetchDebianPackage(query: DebianPackageQuery): Promise<DebianPackage> {
  const search: Search = { failed: [], answered: 0 };
  for await (const found of findDebianPackages(query, search)) {
    try {
      return await downloadPackage(found, query.context);
    } catch (error) {
      search.failed.push(asFailedTry(error, found.suite, found.mirror, query.context));
    }
  }
  const what = `${nameText(query.name)} for ${debianName(query.arch)}`;
  if (!isAbsence(search)) throw unavailable(what, search.failed);
  throw new UportError({
    code: 'UPORT_DEBIAN_PACKAGE_NOT_FOUND',
    category: 'input',
    message: `Debian has no package ${what} in ${query.suites.join(', ')}`,
    hint: 'name another suite',
  });
}

/**
 * The newest matching package of each suite that has one, suite by suite; nothing is downloaded but
 * the indexes. Suites that cannot be had are skipped and noted in `search`.
 */
export async function* findDebianPackages(
  query: DebianPackageQuery,
  search: Search,
): AsyncGenerator<FoundPackage> {
  const { context, name, accept } = query;
  const architecture = debianName(query.arch);
  for (const suite of query.suites) {
    for (const mirror of await mirrorsOf(context)) {
      let packages: readonly IndexedPackage[];
      try {
        packages = await lookUpPackages(mirror, suite, architecture, name, context);
      } catch (error) {
        search.failed.push(asFailedTry(error, suite, mirror, context));
        continue;
      }
      search.answered++;
      const fitting = accept ? packages.filter(accept) : packages;
      const newest = fitting.reduce<IndexedPackage | undefined>(
        (best, each) =>
          best === undefined || compareDebianVersions(each.version, best.version) > 0 ? each : best,
        undefined,
      );
      if (newest) yield { ...newest, suite, mirror };
      break;
    }
  }
}

/**
 * Whether a search that found nothing shows that there is nothing. A mirror need not have every
 * suite, but one that has none is no mirror.
 */
export function isAbsence(search: Search): boolean {
  return (
    search.answered > 0 &&
    search.failed.every(({ error }) => error.code === 'UPORT_DEBIAN_SUITE_MISSING')
  );
}

/** Brings the .deb into the store. */
export async function downloadPackage(
  found: FoundPackage,
  context: DebianContext,
): Promise<DebianPackage> {
  const label = `${found.name} ${found.version} ${found.architecture}`;
  // In a URL `+` stands for itself in a path, and `~` is unreserved; only `%` must be told apart.
  const path = found.poolPath.replaceAll('%', '%25');
  const file = await fetchListed(found, [`${found.mirror.url}/${path}`], label, context);
  return { ...found, file };
}

/** Debian's name of an architecture; that of a CPU without one is its own. */
export function debianName(arch: string | Arch): string {
  return typeof arch === 'string' ? arch : (arch.debian ?? arch.name);
}

/** Faults of what a mirror gives, which another suite may not have. */
const OF_THE_SOURCE = /^UPORT_(?:AR|DEB|EMULATOR|ELF|TAR|XZ)_/;

/** Faults of a source can be passed over; those of this machine and the user's wish to stop cannot. */
export function asFailedTry(
  error: unknown,
  suite: string,
  mirror: Mirror,
  context: DebianContext,
): FailedTry {
  context.signal.throwIfAborted();
  if (!(error instanceof UportError)) throw error;
  if (error.category !== 'network' && !OF_THE_SOURCE.test(error.code)) throw error;
  return { suite, mirror: mirror.url, error };
}

/** One error that names all that was tried. Its code is that of the tries when they all agree. */
export function unavailable(what: string, failed: readonly FailedTry[]): UportError {
  const suites = new Map<string, Set<string>>();
  for (const { suite, error } of failed) {
    const what = error.where ? `${error.message} (${error.where})` : error.message;
    suites.set(what, (suites.get(what) ?? new Set()).add(suite));
  }
  const tries = [...suites].map(([error, names]) => `${[...names].join(', ')}: ${error}`);
  const [first, ...others] = failed.map(({ error }) => error);
  const agreed = first && others.every(({ code }) => code === first.code) ? first : undefined;
  return new UportError({
    code: agreed?.code ?? 'UPORT_DEBIAN_UNAVAILABLE',
    category: agreed?.category ?? 'network',
    message: `Debian's ${what} cannot be had; tried ${tries.join('; ')}`,
    hint: first?.hint ?? 'name another mirror with UPORT_DEBIAN_MIRROR',
    cause: first,
  });
}

function nameText(name: PackageName): string {
  return typeof name === 'function' ? 'package' : String(name);
}
