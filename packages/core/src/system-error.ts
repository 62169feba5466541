import { UportError } from '@uport/errors';

const KNOWN: Readonly<
  Record<string, readonly [code: `UPORT_${string}`, what: string, hint: string]>
> = {
  ENOENT: ['UPORT_NOT_FOUND', 'does not exist', 'check the path'],
  ENOTDIR: ['UPORT_NOT_FOUND', 'is not a folder, or a part of the path is not', 'check the path'],
  EEXIST: [
    'UPORT_OUTPUT_IN_THE_WAY',
    'something stands there already',
    'remove it, or choose another path',
  ],
  EISDIR: ['UPORT_IS_A_FOLDER', 'is a folder', 'name a file'],
  EACCES: [
    'UPORT_PERMISSION_DENIED',
    'permission denied',
    'change its permissions or use another path',
  ],
  EPERM: [
    'UPORT_PERMISSION_DENIED',
    'operation not permitted',
    'change its permissions or use another path',
  ],
  EROFS: ['UPORT_READ_ONLY', 'lies on a read-only file system', 'use another path'],
  ENOSPC: ['UPORT_DISK_FULL', 'no space left on the device', 'free some space or use another path'],
  EDQUOT: ['UPORT_DISK_FULL', 'the disk quota is used up', 'free some space or use another path'],
  ELOOP: ['UPORT_SYMLINK_LOOP', 'has too many symbolic links', 'name the file itself'],
  ENAMETOOLONG: ['UPORT_NAME_TOO_LONG', 'the name is too long', 'use a shorter path'],
  EMFILE: ['UPORT_TOO_MANY_FILES', 'too many open files', 'raise the limit: ulimit -n 4096'],
};

/**
 * A failed system call as a UportError; anything else comes back unchanged.
 *
 * @param file the path it was about, when the error does not carry one
 */
export function systemError(error: unknown, file?: string): unknown {
  if (!(error instanceof Error) || error instanceof UportError) return error;
  const { code, path, syscall } = error as NodeJS.ErrnoException;
  const known = code === undefined ? undefined : KNOWN[code];
  if (!known || syscall === undefined) return error;
  const where = path ?? file;
  const category =
    known[0] === 'UPORT_NOT_FOUND' || known[0] === 'UPORT_IS_A_FOLDER' ? 'input' : 'environment';
  return new UportError({
    code: known[0],
    category,
    message: where === undefined ? `${syscall}: ${known[1]}` : `${where}: ${known[1]}`,
    hint: known[2],
    ...(where === undefined ? {} : { file: where }),
    cause: error,
  });
}
