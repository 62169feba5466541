import { statSync, utimesSync } from 'node:fs';
import { mkdir, rename, rm, utimes } from 'node:fs/promises';
import path from 'node:path';
import type { Store } from '../store/store.ts';
import { temporaryName } from '../store/temporary.ts';
import { systemError } from '../system-error.ts';

/** Times of use are kept to about this many milliseconds, as those of blobs are. */
const USE_GRAIN = 60 * 60 * 1000;

/**
 * A folder `run/<name>` of the store, filled once: under a temporary name, then renamed. The name
 * tells what is in it, so whoever is first fills it for all.
 */
export async function runFolder(
  store: Store,
  name: string,
  fill: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = path.join(store.root, 'run', name);
  if (isUsed(folder)) return folder;
  const temporary = path.join(store.root, 'tmp', temporaryName());
  try {
    await mkdir(path.dirname(folder), { recursive: true, mode: 0o700 });
    await mkdir(temporary, { mode: 0o755 });
    await fill(temporary);
    // An unpacked image may have brought times of its own.
    const now = new Date();
    await utimes(temporary, now, now);
    await rename(temporary, folder).catch((error: NodeJS.ErrnoException) => {
      // Somebody else was first; theirs is the same.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
    return folder;
  } catch (error) {
    throw systemError(error, folder);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Whether it is there; then it counts as used, and `gc` spares it. */
function isUsed(folder: string): boolean {
  const status = statSync(folder, { throwIfNoEntry: false });
  if (status === undefined) return false;
  if (Date.now() - status.mtimeMs > USE_GRAIN) {
    const now = new Date();
    try {
      utimesSync(folder, now, now);
    } catch {
      // A store that can only be read, or a collection that was quicker.
    }
  }
  return statSync(folder, { throwIfNoEntry: false }) !== undefined;
}
