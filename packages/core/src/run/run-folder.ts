import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Store } from '../store/store.ts';
import { temporaryName } from '../store/temporary.ts';
import { systemError } from '../system-error.ts';

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
  if (existsSync(folder)) return folder;
  const temporary = path.join(store.root, 'tmp', temporaryName());
  try {
    await mkdir(path.dirname(folder), { recursive: true, mode: 0o700 });
    await mkdir(temporary, { mode: 0o755 });
    await fill(temporary);
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
