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
  const failed: FailedTry[] = [];
  for await (const found of findDebianPackages(query, failed)) {
    try {
      return await downloadPackage(found, query.context);
    } catch (error) {
      failed.push(asFailedTry(error, found.suite, found.mirror, query.context));
    }
  }
  const what = `${nameText(query.name)} for ${debianName(query.arch)}`;
  if (failed.length > 0) throw unavailable(what, failed);
  throw new UportError({
    code: 'UPORT_DEBIAN_PACKAGE_NOT_FOUND',
    category: 'input',
    message: `Debian has no package ${what} in ${query.suites.join(', ')}`,
    hint: 'name another suite',
  });
}

/**
 * The newest matching package of each suite that has one, suite by suite; nothing is downloaded but
 * the indexes. Suites that cannot be had are skipped and noted in `failed`.
 */
export async function* findDebianPackages(
  query: DebianPackageQuery,
  failed: FailedTry[],
): AsyncGenerator<FoundPackage> {
  const { context, name, accept } = query;
  const architecture = debianName(query.arch);
  for (const suite of query.suites) {
    for (const mirror of await mirrorsOf(context)) {
      let packages: readonly IndexedPackage[];
      try {
        packages = await lookUpPackages(mirror, suite, architecture, name, context);
      } catch (error) {
        failed.push(asFailedTry(error, suite, mirror, context));
        continue;
      }
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

/** Faults of a mirror can be passed over; those of this machine and the user's wish to stop cannot. */
export function asFailedTry(
  error: unknown,
  suite: string,
  mirror: Mirror,
  context: DebianContext,
): FailedTry {
  context.signal.throwIfAborted();
  if (!(error instanceof UportError) || error.category !== 'network') throw error;
  return { suite, mirror: mirror.url, error };
}

/** One error that names all that was tried. */
export function unavailable(what: string, failed: readonly FailedTry[]): UportError {
  const lines = [...new Set(failed.map(({ suite, error }) => `${suite}: ${error.message}`))];
  return new UportError({
    code: 'UPORT_DEBIAN_UNAVAILABLE',
    category: 'network',
    message: `Debian's ${what} cannot be had; tried ${lines.join('; ')}`,
    hint: failed[0]?.error.hint ?? 'name a mirror with UPORT_DEBIAN_MIRROR',
    cause: failed[0]?.error,
  });
}

function nameText(name: PackageName): string {
  return typeof name === 'function' ? 'package' : String(name);
}
