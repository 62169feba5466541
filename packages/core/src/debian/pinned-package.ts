// A package that a plan or a lock pins: found by its path, without an index.
import type { UportError } from '@uport/errors';
import type { EmulatorOrigin, PinnedPackage } from '../plan/plan.ts';
import { mirrorsOf } from './archive.ts';
import type { DebianContext } from './context.ts';
import { asFailedTry, type FailedTry, type FoundPackage } from './package.ts';

/** Where a package is found again. */
export type DebianOrigin = Extract<EmulatorOrigin, { provider: 'debian' }>;

/** A package of a plan as the same. */
export function originOf(pin: PinnedPackage): DebianOrigin {
  const { name, version, suite, sourcePackage, sourceVersion, path, digest, size } = pin;
  return {
    provider: 'debian',
    suite,
    package: name,
    packageVersion: version,
    sourcePackage,
    sourceVersion,
    packagePath: path,
    packageDigest: digest,
    packageSize: size,
  };
}

/**
 * Uses the package from the first mirror that has it.
 *
 * @param architecture Debian's name of it
 * @param fault what is thrown when none has it
 */
export async function usePinnedPackage<T>(
  origin: DebianOrigin,
  architecture: string,
  context: DebianContext,
  use: (found: FoundPackage) => Promise<T>,
  fault: (failed: readonly FailedTry[]) => UportError,
): Promise<T> {
  const failed: FailedTry[] = [];
  for (const mirror of await mirrorsOf(context)) {
    try {
      return await use({
        name: origin.package,
        version: origin.packageVersion,
        architecture,
        sourcePackage: origin.sourcePackage,
        sourceVersion: origin.sourceVersion,
        poolPath: origin.packagePath,
        size: origin.packageSize,
        digest: origin.packageDigest,
        depends: '',
        suite: origin.suite,
        mirror,
      });
    } catch (error) {
      failed.push(asFailedTry(error, origin.suite, mirror, context));
    }
  }
  throw fault(failed);
}
