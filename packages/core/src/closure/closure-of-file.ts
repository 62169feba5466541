import { realpathSync } from 'node:fs';
import path from 'node:path';
import { systemError } from '../system-error.ts';
import type { Closure } from './closure.ts';
import { filesByName } from './files-by-name.ts';
import { findClosure, type RootPath } from './find-closure.ts';
import { diskRoot } from './library-root.ts';

export interface FileClosureOptions {
  /** A program or library on this machine. */
  readonly file: string;
  /** A folder that holds the program's system: loader, configuration and libraries. Default: `/`. */
  readonly sysroot?: string;
  /** Folders on this machine, searched as LD_LIBRARY_PATH's are. */
  readonly libraryFolders?: readonly string[];
  /** Libraries to preload: files where there is a slash, else names. */
  readonly preload?: readonly string[];
  /** Libraries on this machine that the program opens at run time. */
  readonly opened?: readonly string[];
  /** A folder whose libraries are taken by name where the loader finds none. */
  readonly appFolder?: string;
  /** Such as `x86-64-v3`, best first. */
  readonly hwcaps?: readonly string[];
  readonly withoutRuntimeLoads?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * The closure of a file on this machine.
 *
 * @throws UportError UPORT_NOT_FOUND, UPORT_ELF_*
 */
export function closureOfFile(options: FileClosureOptions): Promise<Closure> {
  const { sysroot, libraryFolders = [], preload = [], opened = [], appFolder } = options;
  const root = diskRoot(sysroot);
  const below = sysroot === undefined ? undefined : realPath(sysroot);
  /** A file below the system's folder lies in the system, any other on this machine. */
  const place = (file: string): RootPath => {
    const real = realPath(file);
    if (below !== undefined && below !== '/' && real.startsWith(`${below}/`)) {
      return { root, path: real.slice(below.length) };
    }
    return { root: diskRoot(), path: real };
  };
  return findClosure({
    start: place(options.file),
    root,
    libraryPath: libraryFolders.map((folder) => ({ root: diskRoot(), path: absolute(folder) })),
    preload: preload.map((each) => (each.includes('/') ? place(each) : each)),
    opened: opened.map(place),
    ...(appFolder !== undefined && {
      appFiles: filesByName(diskRoot(), realPath(appFolder)),
    }),
    ...(options.hwcaps && { hwcaps: options.hwcaps }),
    ...(options.withoutRuntimeLoads && { withoutRuntimeLoads: true }),
    ...(options.signal && { signal: options.signal }),
  });
}

function absolute(folder: string): string {
  return Buffer.from(path.resolve(folder)).toString('latin1');
}

function realPath(file: string): string {
  try {
    return realpathSync.native(Buffer.from(file), { encoding: 'buffer' }).toString('latin1');
  } catch (error) {
    throw systemError(error, file);
  }
}
