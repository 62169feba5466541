import { open } from 'node:fs/promises';
import { UportError } from '@uport/errors';
import type { Header as TarHeader } from 'tar';
import { extractFromDeb, findData } from './deb.ts';
import { type TarEntry, untar } from './untar.ts';
import { unxzFrom } from './xz.ts';
import { readXzIndex, type XzIndex } from './xz-index.ts';

const BLOCK = 512;

/** The first entry that begins in each xz block, as far as known: kept, it makes the next search short. */
export type Landmarks = Record<number, Landmark>;

interface Landmark {
  readonly path: string;
  /** Of its header in the unpacked archive. */
  readonly offset: number;
}

/**
 * One regular file of a Debian package, given to `use`. Packages hold their files in the order of
 * their names, and large ones are compressed in blocks: a binary search finds the block, and the
 * rest is not unpacked. Where that fails, the whole package is read.
 *
 * @param paths names for the same file, any of which may be there
 * @param use may keep no chunk of the content past the next one: its memory is used again
 * @param landmarks what earlier searches of this package learned; this one adds to it
 * @returns what `use` gave; undefined when the package has no such file
 * @throws UportError UPORT_DEB_INVALID, UPORT_AR_INVALID, UPORT_XZ_INVALID
 */
export async function useFileOfDeb<T>(
  debFile: string,
  paths: readonly string[],
  landmarks: Landmarks,
  use: (entry: TarEntry) => Promise<T>,
  signal: AbortSignal,
): Promise<T | undefined> {
  const index = await indexOf(debFile);
  if (index) {
    const found = await search(debFile, index, paths, landmarks, use, signal).catch(
      (error: unknown) => {
        signal.throwIfAborted();
        // Not in the order that was hoped for, or no headers where they were looked for.
        if (error instanceof UportError && /^UPORT_(?:TAR|XZ)_/.test(error.code)) return undefined;
        throw error;
      },
    );
    if (found) return found.value;
  }
  for await (const entry of extractFromDeb(debFile, (path) => paths.includes(path), signal)) {
    return await use(entry);
  }
  return undefined;
}

/** The blocks of `data.tar.xz`, when there are several. */
async function indexOf(debFile: string): Promise<XzIndex | undefined> {
  const { name, offset, size } = await findData(debFile);
  if (name !== 'data.tar.xz') return undefined;
  const file = await open(debFile, 'r');
  try {
    const index = await readXzIndex(file, offset, offset + size);
    return index && index.blocks.length > 1 ? index : undefined;
  } finally {
    await file.close();
  }
}

async function search<T>(
  debFile: string,
  index: XzIndex,
  paths: readonly string[],
  landmarks: Landmarks,
  use: (entry: TarEntry) => Promise<T>,
  signal: AbortSignal,
): Promise<{ readonly value: T } | undefined> {
  const wanted = [...paths].sort()[0] as string;
  // The last block whose first entry comes before what is wanted, or is it.
  let low = 0;
  let high = index.blocks.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    const mark = await landmarkOf(debFile, index, middle, landmarks, signal);
    if (mark !== undefined && mark.path <= wanted) low = middle;
    else high = middle - 1;
  }
  const mark = await landmarkOf(debFile, index, low, landmarks, signal);
  if (!mark) return undefined;
  const skip = mark.offset - (index.blocks[low]?.contentOffset ?? 0);
  const bytes = from(unxzFrom(debFile, index, low, signal), skip);
  for await (const entry of untar(bytes)) {
    signal.throwIfAborted();
    if (entry.type === 'file' && paths.includes(entry.path)) return { value: await use(entry) };
    if (paths.every((path) => entry.path > path)) return undefined;
  }
  return undefined;
}

async function landmarkOf(
  debFile: string,
  index: XzIndex,
  block: number,
  landmarks: Landmarks,
  signal: AbortSignal,
): Promise<Landmark | undefined> {
  const known = landmarks[block];
  if (known) return known;
  const start = index.blocks[block]?.contentOffset ?? 0;
  const found = await firstHeader(unxzFrom(debFile, index, block, signal), start);
  if (found) landmarks[block] = found;
  return found;
}

/** Looks for a tar header: they begin at multiples of 512 and have a checksum. */
async function firstHeader(
  bytes: AsyncIterable<Uint8Array>,
  start: number,
): Promise<Landmark | undefined> {
  const { Header } = await import('tar');
  let at = start;
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of bytes) {
    const buffer =
      rest.length > 0
        ? Buffer.concat([rest, chunk])
        : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    let place = (BLOCK - (at % BLOCK)) % BLOCK;
    for (; place + BLOCK <= buffer.length; place += BLOCK) {
      // Most blocks are no header: the magic is cheap to look for.
      if (buffer.toString('latin1', place + 257, place + 262) !== 'ustar') continue;
      const header: TarHeader = new Header(buffer, place);
      if (!header.cksumValid || header.nullBlock || !PLAIN.has(header.type)) continue;
      const path = (header.path ?? '').replace(/^(?:\.?\/+)+/, '').replace(/\/+$/, '');
      return { path, offset: at + place };
    }
    // A copy: the chunk's memory is used again.
    rest = Buffer.from(buffer.subarray(Math.min(place, buffer.length)));
    at += buffer.length - rest.length;
  }
  return undefined;
}

/** Entries whose name stands in their own header. */
const PLAIN: ReadonlySet<string> = new Set(['File', 'Directory', 'SymbolicLink', 'Link']);

async function* from(bytes: AsyncIterable<Uint8Array>, skip: number): AsyncGenerator<Uint8Array> {
  let left = skip;
  for await (const chunk of bytes) {
    if (left >= chunk.length) left -= chunk.length;
    else {
      yield left > 0 ? chunk.subarray(left) : chunk;
      left = 0;
    }
  }
}
