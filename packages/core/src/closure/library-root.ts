// A root that libraries are looked up in: this machine's, a folder that is one, or a payload tree.
// Paths are absolute, inside the root, one character for each byte (Latin-1).
import { existsSync, readdirSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import type { ContentPlace } from '../model/content.ts';
import { readStart } from './file-windows.ts';

/** A regular file of a root. */
export interface RootFile {
  /** Inside the root, symbolic links followed. */
  readonly path: string;
  /** Where its bytes lie on this machine. */
  readonly file: ContentPlace;
  /** The same for two names of one file. */
  readonly identity: string;
  /** In bytes. */
  readonly size: number;
}

export interface LibraryRoot {
  /** For messages; empty for this machine's own. */
  readonly name: string;
  /** The regular file that a path leads to, links followed inside the root. */
  find(path: string): RootFile | undefined;
  /** Whether a path leads to a folder. Asked before many a file is looked for in it. */
  hasFolder(path: string): boolean;
  /** Whether a path leads to a file or a folder. */
  has(path: string): boolean;
  /** The names in a folder, sorted bytewise; none when it cannot be read. */
  list(folder: string): readonly string[];
}

/** More than a link's target or a configuration file ever holds. */
const MAX_TEXT = 1 << 20;
/** As Linux follows at most. */
const MAX_LINKS = 40;

/** The text of a small file, as bytes; undefined when it is not there or too large. */
export function readRootText(root: LibraryRoot, path: string): string | undefined {
  const found = root.find(path);
  if (found === undefined || found.size > MAX_TEXT) return undefined;
  try {
    return readStart(found.file, MAX_TEXT).toString('latin1');
  } catch {
    return undefined;
  }
}

/** One step of following a path, inside a root. */
export type Step =
  | { readonly type: 'file' | 'directory' }
  | { readonly type: 'symlink'; readonly target: string };

/**
 * Follows a path as the kernel does below a chroot: `..` of the root is the root.
 *
 * @param step what lies at a path whose folders hold no link
 * @returns the path without links and what is there
 */
export function followPath(
  start: string,
  step: (path: string) => Step | undefined,
): { readonly path: string; readonly type: 'file' | 'directory' } | undefined {
  let rest = start.split('/');
  let done: string[] = [];
  let links = 0;
  while (rest.length > 0) {
    const part = rest.shift() as string;
    if (part === '' || part === '.') continue;
    if (part === '..') {
      done.pop();
      continue;
    }
    const at = `/${[...done, part].join('/')}`;
    const found = step(at);
    if (found === undefined) return undefined;
    if (found.type === 'symlink') {
      if (++links > MAX_LINKS) return undefined;
      if (found.target.startsWith('/')) done = [];
      rest = [...found.target.split('/'), ...rest];
    } else {
      if (found.type === 'file' && rest.some((each) => each !== '')) return undefined;
      done.push(part);
      if (found.type === 'file') return { path: at, type: 'file' };
    }
  }
  return { path: `/${done.join('/')}`, type: 'directory' };
}

/** A folder of this machine as a root; `/` is the machine itself. */
export function diskRoot(folder = '/'): LibraryRoot {
  const base = path.resolve(folder);
  return base === '/' ? machineRoot() : new SystemRoot(base);
}

let machine: LibraryRoot | undefined;

/** This machine's own root: the kernel follows the links. */
function machineRoot(): LibraryRoot {
  machine ??= new MachineRoot();
  return machine;
}

/** What Node takes for a path of these bytes. */
const bytesOf = (path: string): string | Buffer =>
  /[^\0-\x7f]/.test(path) ? Buffer.from(path, 'latin1') : path;

class MachineRoot implements LibraryRoot {
  readonly name = '';
  readonly #folders = new Map<string, boolean>();

  find(path: string): RootFile | undefined {
    const stat = statSync(bytesOf(path), { throwIfNoEntry: false, bigint: true });
    if (!stat?.isFile()) return undefined;
    const real = realpathSync.native(bytesOf(path), { encoding: 'latin1' });
    return {
      path: real,
      file: Buffer.from(real, 'latin1'),
      identity: `${stat.dev}:${stat.ino}`,
      size: Number(stat.size),
    };
  }

  hasFolder(path: string): boolean {
    let known = this.#folders.get(path);
    if (known === undefined) {
      known = statSync(bytesOf(path), { throwIfNoEntry: false })?.isDirectory() ?? false;
      this.#folders.set(path, known);
    }
    return known;
  }

  has(path: string): boolean {
    return existsSync(bytesOf(path));
  }

  list(folder: string): readonly string[] {
    return namesIn(bytesOf(folder));
  }
}

/** A folder that holds a whole system, such as what debootstrap makes. */
class SystemRoot implements LibraryRoot {
  readonly name: string;
  readonly #steps = new Map<string, Step | undefined>();

  constructor(folder: string) {
    this.name = folder;
  }

  #onDisk(path: string): Buffer {
    return Buffer.concat([Buffer.from(this.name), Buffer.from(path, 'latin1')]);
  }

  readonly #step = (path: string): Step | undefined => {
    if (this.#steps.has(path)) return this.#steps.get(path);
    const step = stepOnDisk(this.#onDisk(path));
    this.#steps.set(path, step);
    return step;
  };

  find(path: string): RootFile | undefined {
    const found = followPath(path, this.#step);
    if (found?.type !== 'file') return undefined;
    const file = this.#onDisk(found.path);
    const stat = statSync(file, { throwIfNoEntry: false, bigint: true });
    if (!stat?.isFile()) return undefined;
    const identity = `${stat.dev}:${stat.ino}`;
    return { path: found.path, file, identity, size: Number(stat.size) };
  }

  hasFolder(path: string): boolean {
    return followPath(path, this.#step)?.type === 'directory';
  }

  has(path: string): boolean {
    return followPath(path, this.#step) !== undefined;
  }

  list(folder: string): readonly string[] {
    const found = followPath(folder, this.#step);
    return found?.type === 'directory' ? namesIn(this.#onDisk(found.path)) : [];
  }
}

function stepOnDisk(file: Buffer): Step | undefined {
  try {
    return {
      type: 'symlink',
      target: readlinkSync(file, { encoding: 'buffer' }).toString('latin1'),
    };
  } catch (error) {
    // EINVAL: it is there and no link.
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') return undefined;
  }
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat?.isDirectory()) return { type: 'directory' };
  return stat && { type: 'file' };
}

function namesIn(folder: string | Buffer): readonly string[] {
  try {
    return readdirSync(folder, { encoding: 'latin1' }).sort();
  } catch {
    return [];
  }
}
