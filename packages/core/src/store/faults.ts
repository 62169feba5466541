import { lstat, stat } from 'node:fs/promises';
import { UportError } from '@uport/errors';

/** Turns a file system error inside the store into one that says what to do. Others pass. */
export function storeFault(error: unknown, root: string): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (error instanceof UportError || typeof code !== 'string' || syscall === undefined)
    return error;
  const fields = { category: 'environment', file: root, cause: error } as const;
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new UportError({
        ...fields,
        code: 'UPORT_STORE_FULL',
        message: 'no space is left for the store',
        hint: 'run `uport cache gc`, or set UPORT_STORE_DIR to a folder on a larger disk',
      });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    case 'ENOTDIR':
    case 'EEXIST':
    case 'ELOOP':
      return new UportError({
        ...fields,
        code: 'UPORT_STORE_UNWRITABLE',
        message: `the store cannot be written (${code})`,
        hint: 'set UPORT_STORE_DIR to a folder that you may write to',
      });
    default:
      return new UportError({
        ...fields,
        code: 'UPORT_STORE_IO',
        message: `the store failed (${code} from ${syscall})`,
        hint: 'check the disk, or set UPORT_STORE_DIR to another folder',
      });
  }
}

/**
 * Whoever may write to the store decides what goes into an artifact: it must be the user alone.
 *
 * @throws UportError UPORT_STORE_UNSAFE
 */
export async function checkRoot(root: string): Promise<void> {
  const link = await lstat(root);
  const folder = link.isSymbolicLink() ? await stat(root) : link;
  const uid = process.geteuid?.();
  for (const each of [link, folder]) {
    if (uid !== undefined && each.uid !== uid) {
      throw unsafe(root, `the store belongs to user ${each.uid}, not to you (user ${uid})`);
    }
  }
  if ((folder.mode & 0o022) !== 0) {
    const mode = (folder.mode & 0o7777).toString(8).padStart(4, '0');
    throw unsafe(root, `others may write to the store (mode ${mode})`);
  }
}

function unsafe(root: string, message: string): UportError {
  return new UportError({
    code: 'UPORT_STORE_UNSAFE',
    category: 'environment',
    message,
    hint: 'set UPORT_STORE_DIR to a folder that is yours with mode 0700',
    file: root,
  });
}
