import { UportError } from '@uport/errors';
import { mirrorsOf } from '../debian/archive.ts';
import type { DebianContext } from '../debian/context.ts';
import { asFailedTry, type FailedTry, type FoundPackage, unavailable } from '../debian/package.ts';
import { packagesNamed } from './suite-libraries.ts';

/**
 * Finds packages by name, each in the first suite that has it.
 *
 * @throws UportError UPORT_DEBIAN_PACKAGE_NOT_FOUND, UPORT_DEBIAN_UNAVAILABLE
 */
export async function findNamedPackages(
  suites: readonly string[],
  architecture: string,
  names: readonly string[],
  context: DebianContext,
): Promise<readonly { readonly found: FoundPackage; readonly suite: number }[]> {
  const found: { readonly found: FoundPackage; readonly suite: number }[] = [];
  const open = new Set(names);
  const failed: FailedTry[] = [];
  for (const [index, suite] of suites.entries()) {
    for (const mirror of await mirrorsOf(context)) {
      if (open.size === 0) return found;
      try {
        const packages = await packagesNamed(mirror, suite, architecture, [...open], context);
        for (const [name, each] of packages) {
          open.delete(name);
          found.push({ found: each, suite: index });
        }
        break;
      } catch (error) {
        failed.push(asFailedTry(error, suite, mirror, context));
      }
    }
  }
  if (open.size === 0) return found;
  const what = `package ${[...open].join(', ')} for ${architecture}`;
  if (failed.length > 0) throw unavailable(what, failed);
  throw new UportError({
    code: 'UPORT_DEBIAN_PACKAGE_NOT_FOUND',
    category: 'input',
    message: `Debian has no ${what} in ${suites.join(', ')}`,
    hint: 'name another suite with --from-debian',
  });
}
