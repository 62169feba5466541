// What a NAR is made from: a payload tree, or a file or folder on disk.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { UportError } from '@uport/errors';
import { displayBytes } from '../model/byte-path.ts';
import { type ContentSource, placeOf } from '../model/content.ts';
import type { Digest } from '../model/digest.ts';
import type { FileEntry, PayloadEntry, PayloadTree } from '../model/payload-tree.ts';
import { systemError } from '../system-error.ts';
import type { NarChild, NarNode } from './nar-node.ts';

const OWNER_EXECUTES = 0o100;
const READ_SIZE = 1 << 18;

/**
 * A payload tree as a folder, for `writeNar`. Hard links become files of their own; of a mode only
 * the owner's x bit is kept. Each file is checked against its digest while it is read.
 *
 * @throws UportError UPORT_PAYLOAD_TREE_INVALID for an entry without its folder, a path given twice,
 * or a hard link to what is not a file; UPORT_CONTENT_MISSING and UPORT_INPUT_CHANGED while writing
 */
export function payloadNarNode(tree: PayloadTree, content: ContentSource): NarNode {
  const folders = new Map<string, NarChild[]>([['', []]]);
  const files = new Map<string, FileEntry>();
  const seen = new Set<string>();
  for (const entry of tree.entries) {
    if (seen.has(entry.path)) throw treeFault(entry, 'stands twice in the payload');
    seen.add(entry.path);
    const slash = entry.path.lastIndexOf('/');
    const siblings = folders.get(entry.path.slice(0, Math.max(slash, 0)));
    if (siblings === undefined) throw treeFault(entry, 'comes without its folder');
    const node = entryNode(entry, folders, files, content);
    siblings.push({ name: entry.path.slice(slash + 1), node: () => node });
  }
  return { type: 'directory', list: () => folders.get('') ?? [] };
}

function entryNode(
  entry: PayloadEntry,
  folders: Map<string, NarChild[]>,
  files: Map<string, FileEntry>,
  content: ContentSource,
): NarNode {
  if (entry.type === 'directory') {
    const children: NarChild[] = [];
    folders.set(entry.path, children);
    return { type: 'directory', list: () => children };
  }
  if (entry.type === 'symlink') return { type: 'symlink', target: entry.target };
  if (entry.type !== 'file' && entry.type !== 'hardlink') {
    throw treeFault(entry, `is a ${entry.type}, which no NAR can hold`);
  }
  const file = entry.type === 'file' ? entry : files.get(entry.target);
  if (file === undefined) throw treeFault(entry, 'is a link to what is not a file before it');
  files.set(entry.path, file);
  return {
    type: 'file',
    executable: (file.mode & OWNER_EXECUTES) !== 0,
    size: file.size,
    open: () => contentOf(file, content),
  };
}

function treeFault(entry: PayloadEntry, what: string): UportError {
  return new UportError({
    code: 'UPORT_PAYLOAD_TREE_INVALID',
    category: 'input',
    message: `${displayBytes(entry.path)} ${what}`,
    hint: 'sort the entries by path, each once, folders before what they hold',
  });
}

async function* contentOf(
  entry: FileEntry,
  content: ContentSource,
): AsyncGenerator<Uint8Array, void, undefined> {
  const located = content.locate(entry.digest);
  if (located === undefined) {
    throw new UportError({
      code: 'UPORT_CONTENT_MISSING',
      category: 'input',
      message: `the bytes of ${displayBytes(entry.path)} (${entry.digest}) are not on this machine`,
      hint: 'plan the app again, so that its files are found',
    });
  }
  const { file, offset, size } = placeOf(located);
  const hash = createHash('sha256');
  for await (const bytes of readChunks(file, entry.size, 0, size === undefined ? null : offset)) {
    hash.update(bytes);
    yield bytes;
  }
  const digest: string = `sha256:${hash.digest('hex')}`;
  if (digest !== (entry.digest satisfies Digest)) throw changed(entry.path, file);
}

/**
 * A file, symbolic link or folder on disk, for `writeNar`. Links are never followed.
 *
 * @param path as raw bytes where it is not UTF-8
 * @throws UportError UPORT_PAYLOAD_FILE_TYPE for sockets, pipes and devices, UPORT_NOT_FOUND and other
 * faults of the file system
 */
export async function diskNarNode(path: string | Buffer): Promise<NarNode> {
  const place = Buffer.from(path);
  const shown = displayBytes(place.toString('latin1'));
  try {
    const stat = await lstat(place);
    if (stat.isSymbolicLink()) {
      const target = await readlink(place, { encoding: 'buffer' });
      return { type: 'symlink', target: target.toString('latin1') };
    }
    if (stat.isDirectory()) return { type: 'directory', list: () => listFolder(place, shown) };
    if (stat.isFile()) {
      return {
        type: 'file',
        executable: (stat.mode & OWNER_EXECUTES) !== 0,
        size: stat.size,
        open: () => readChunks(place, stat.size, fs.constants.O_NOFOLLOW),
      };
    }
  } catch (error) {
    throw systemError(error, shown);
  }
  throw new UportError({
    code: 'UPORT_PAYLOAD_FILE_TYPE',
    category: 'input',
    message: 'a socket, pipe or device cannot be archived',
    hint: 'remove it from the folder',
    file: shown,
  });
}

async function listFolder(folder: Buffer, shown: string): Promise<readonly NarChild[]> {
  const names = await readdir(folder, { encoding: 'buffer' }).catch((error: unknown) => {
    throw systemError(error, shown);
  });
  const slash = Buffer.from('/');
  return names.map((name) => ({
    name: name.toString('latin1'),
    node: () => diskNarNode(Buffer.concat([folder, slash, name])),
  }));
}

/** The bytes of a file that should have this size; a few more where it has grown. */
async function* readChunks(
  file: string | Buffer,
  size: number,
  flags: number,
  start: number | null = null,
): AsyncGenerator<Uint8Array, void, undefined> {
  const fd = await openFile(file, flags).catch((error: unknown) => {
    throw systemError(error, displayBytes(Buffer.from(file).toString('latin1')));
  });
  try {
    for (let left = size; ; ) {
      // One byte more than expected shows a file that has grown; a part of a file ends where it ends.
      const wanted = start === null ? Math.max(left, 0) + 1 : left;
      const chunk = Buffer.allocUnsafe(Math.min(wanted, READ_SIZE));
      const got = await readInto(fd, chunk, start === null ? null : start + size - left);
      if (got === 0) return;
      left -= got;
      yield chunk.subarray(0, got);
      if (left < 0) return;
    }
  } finally {
    await closeFile(fd);
  }
}

function changed(path: string, file: string | Buffer): UportError {
  return new UportError({
    code: 'UPORT_INPUT_CHANGED',
    category: 'input',
    message: `${displayBytes(path)} changed while it was packed`,
    hint: 'let nothing write to the app while it is packed, and build again',
    file: displayBytes(Buffer.from(file).toString('latin1')),
  });
}

// The callback interface costs far less per call than FileHandle, and this runs thousands of times.
function openFile(file: string | Buffer, flags: number): Promise<number> {
  // A pipe put in the file's place must not block.
  const all = fs.constants.O_RDONLY | fs.constants.O_NONBLOCK | flags;
  return new Promise((resolve, reject) => {
    fs.open(file, all, (error, fd) => (error ? reject(error) : resolve(fd)));
  });
}

function readInto(fd: number, into: Buffer, place: number | null): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(fd, into, 0, into.length, place, (error, got) =>
      error ? reject(error) : resolve(got),
    );
  });
}

function closeFile(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.close(fd, (error) => (error ? reject(error) : resolve()));
  });
}
