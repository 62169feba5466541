import { mkdir, rmdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { systemError } from './system-error.ts';

/**
 * Makes a folder and those above it. Node's own recursive mkdir loops for ever where a file system
 * lets nobody make folders (such as /proc), and says ENOENT for a read-only one.
 *
 * @returns the topmost folder that was made; undefined when all were there
 * @throws UportError UPORT_OUTPUT_IN_THE_WAY, UPORT_READ_ONLY, UPORT_PERMISSION_DENIED …
 */
export async function makeFolder(folder: string): Promise<string | undefined> {
  const missing: string[] = [];
  let at = path.resolve(folder);
  for (;;) {
    const status = await stat(at).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw systemError(error, at);
      return undefined;
    });
    if (status?.isDirectory()) break;
    if (status !== undefined) {
      throw new UportError({
        code: 'UPORT_OUTPUT_IN_THE_WAY',
        category: 'environment',
        message: 'a file stands where a folder goes',
        hint: 'remove it, or choose another folder',
        file: at,
        cause: Object.assign(new Error(`ENOTDIR: not a directory, mkdir '${folder}'`), {
          code: 'ENOTDIR',
          syscall: 'mkdir',
        }),
      });
    }
    missing.unshift(at);
    at = path.dirname(at);
  }
  for (const each of missing) {
    await mkdir(each).catch((error: NodeJS.ErrnoException) => {
      // Another process may have been first.
      if (error.code === 'EEXIST') return;
      // The folder above is there: this file system makes none.
      if (error.code === 'ENOENT') throw cannotMake(each, error);
      throw systemError(error, each);
    });
  }
  return missing[0];
}

/**
 * Takes empty folders away again, from `folder` up to the topmost one that `makeFolder` made. What
 * others have put there in the meantime stays.
 */
export async function removeMadeFolders(made: string, folder: string): Promise<void> {
  for (let at = path.resolve(folder); ; at = path.dirname(at)) {
    const gone = await rmdir(at).then(
      () => true,
      () => false,
    );
    if (!gone || at === made) return;
  }
}

function cannotMake(folder: string, cause: unknown): UportError {
  return new UportError({
    code: 'UPORT_PERMISSION_DENIED',
    category: 'environment',
    message: `${folder}: no folder can be made there`,
    hint: 'choose another folder',
    file: folder,
    cause,
  });
}
