import path from 'node:path';

/** The repository's root, for tests that look at the source or run its programs. */
export const REPOSITORY = path.resolve(import.meta.dirname, '../../..');

/** A folder of the repository's git-ignored `.cache`; not made by this. */
export function cacheFolder(...parts: readonly string[]): string {
  return path.join(process.env.UPORT_TEST_CACHE_DIR || path.join(REPOSITORY, '.cache'), ...parts);
}
