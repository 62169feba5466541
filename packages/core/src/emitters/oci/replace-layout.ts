// Puts a finished layout in the place of an earlier one.
import { lstat, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { temporaryName } from '../../store/temporary.ts';

/**
 * Calls `write` with a new folder beside `target` and moves it there when all is well; an earlier
 * layout goes. On failure nothing is left and the earlier layout stays.
 *
 * @throws UportError UPORT_OUTPUT_IN_THE_WAY when `target` holds something else
 */
export async function replaceLayout<T>(
  target: string,
  write: (folder: string) => Promise<T>,
): Promise<T> {
  const earlier = await checkPlace(target);
  const name = `.${path.basename(target)}-${temporaryName()}`;
  const fresh = path.join(path.dirname(target), `${name}.new`);
  const old = path.join(path.dirname(target), `${name}.old`);
  try {
    await mkdir(fresh, { mode: 0o755 });
    const result = await write(fresh);
    if (earlier) await rename(target, old);
    try {
      await rename(fresh, target);
    } catch (error) {
      if (earlier) await rename(old, target);
      throw error;
    }
    await rm(old, { recursive: true, force: true });
    return result;
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    throw error;
  }
}

async function checkPlace(target: string): Promise<boolean> {
  const there = await lstat(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!there) return false;
  if (there.isDirectory()) {
    const layout = await stat(path.join(target, 'oci-layout')).catch(() => undefined);
    if (layout?.isFile() || (await readdir(target)).length === 0) return true;
  }
  throw new UportError({
    code: 'UPORT_OUTPUT_IN_THE_WAY',
    category: 'environment',
    message: `${there.isDirectory() ? 'a folder that is no image layout' : 'a file'} stands where the image goes`,
    hint: 'remove it or choose another -o folder',
    file: target,
  });
}
