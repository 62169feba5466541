// Sparse files in a tar, in the four ways of GNU tar: old GNU headers, and pax formats 0.0, 0.1, 1.0
// (GNU tar manual, "Storing Sparse Files").
import type { ByteReader } from './byte-reader.ts';
import { octal, TAR_BLOCK, tarInvalid } from './tar-header.ts';

/** Where the data of a file lies; all between is zeros. */
export interface SparseMap {
  readonly parts: readonly SparsePart[];
  /** Of the file, holes included. */
  readonly size: number;
  /** Bytes of data in the archive. */
  readonly stored: number;
}

export interface SparsePart {
  readonly offset: number;
  readonly size: number;
}

/** More than any file system makes of a file that is worth it; a map lies in memory. */
const PARTS_MAX = 100_000;
const MAP_MAX = 4 << 20;
/** No number that counts here has more. */
const DIGITS_MAX = 16;

/** @throws UportError UPORT_TAR_INVALID for parts that overlap, go backwards or past the end */
export function sparseMap(parts: readonly SparsePart[], size: number, offset: number): SparseMap {
  let end = 0;
  let stored = 0;
  for (const part of parts) {
    if (part.offset < end || part.offset + part.size > size) {
      throw tarInvalid('the map of a sparse file is out of order', offset);
    }
    end = part.offset + part.size;
    stored += part.size;
  }
  return { parts, size, stored };
}

/** Offsets and sizes by turns, as decimal texts. */
export function mapOfText(list: readonly string[], offset: number): SparsePart[] {
  const parts: SparsePart[] = [];
  if (list.length % 2 !== 0 || list.length > 2 * PARTS_MAX) {
    throw tarInvalid('the map of a sparse file is malformed', offset);
  }
  for (let i = 0; i < list.length; i += 2) {
    parts.push({
      offset: whole(list[i] as string, offset),
      size: whole(list[i + 1] as string, offset),
    });
  }
  return parts;
}

function whole(text: string, offset: number): number {
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw tarInvalid('the map of a sparse file is malformed', offset);
}

/** Format 1.0: the map is text at the beginning of the body, padded to whole blocks. */
export async function readMapOfBody(
  reader: ByteReader,
  bodySize: number,
  size: number,
  offset: number,
): Promise<{ readonly holes: SparseMap; readonly length: number }> {
  let length = 0;
  let text = '';
  const numbers: string[] = [];
  let wanted = 1;
  while (numbers.length < wanted) {
    if (length + TAR_BLOCK > bodySize || length >= MAP_MAX) {
      throw tarInvalid('the map of a sparse file does not end', offset);
    }
    const block = await reader.take(TAR_BLOCK);
    if (block.length < TAR_BLOCK) throw tarInvalid('the tar ends inside a file', reader.offset);
    length += TAR_BLOCK;
    const lines = (text + block.toString('latin1')).split('\n');
    text = lines.pop() as string;
    for (const line of lines) numbers.push(line);
    if (wanted === 1 && numbers.length > 0) {
      const count = whole(numbers[0] as string, offset);
      if (count > PARTS_MAX) throw tarInvalid('the map of a sparse file is too long', offset);
      wanted = 1 + 2 * count;
    }
    // Behind the last number the block is filled up.
    if (numbers.length < wanted && text.length > DIGITS_MAX) {
      throw tarInvalid('the map of a sparse file is malformed', offset);
    }
  }
  return { holes: sparseMap(mapOfText(numbers.slice(1, wanted), offset), size, offset), length };
}

/** The old GNU format: four parts in the header, and blocks of 21 behind it. */
export async function readGnuMap(
  reader: ByteReader,
  header: Buffer,
  offset: number,
): Promise<SparseMap> {
  const parts: SparsePart[] = [];
  const add = (block: Buffer, start: number, count: number): void => {
    for (let at = start; at < start + 24 * count; at += 24) {
      const part = {
        offset: octal(block, at, 12, offset),
        size: octal(block, at + 12, 12, offset),
      };
      if (part.offset < 0 || part.size < 0) {
        throw tarInvalid('the map of a sparse file is malformed', offset);
      }
      if (part.offset > 0 || part.size > 0) parts.push(part);
    }
  };
  // Read now: the block's memory may be used again.
  const size = octal(header, 483, 12, offset);
  add(header, 386, 4);
  for (let more = header[482] !== 0; more; ) {
    const block = await reader.take(TAR_BLOCK);
    if (block.length < TAR_BLOCK) throw tarInvalid('the tar ends inside a header', reader.offset);
    add(block, 0, 21);
    if (parts.length > PARTS_MAX) throw tarInvalid('the map of a sparse file is too long', offset);
    more = block[504] !== 0;
  }
  return sparseMap(parts, size, offset);
}

/** Given again and again: a hole needs no memory of its own. */
const ZEROS = Buffer.alloc(64 << 10);

/** Whether a piece of a body is one of a hole: then a writer may leave it out of a sparse file. */
export function isHole(piece: Buffer): boolean {
  return piece.buffer === ZEROS.buffer;
}

/** The content with its holes, from the data in the archive. */
export async function* expandSparse(
  map: SparseMap,
  data: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void, undefined> {
  let at = 0;
  const source = data[Symbol.asyncIterator]();
  let held: Buffer = Buffer.alloc(0);
  for (const part of [...map.parts, { offset: map.size, size: 0 }]) {
    while (at < part.offset) {
      const zeros = ZEROS.subarray(0, Math.min(ZEROS.length, part.offset - at));
      at += zeros.length;
      yield zeros;
    }
    for (let left = part.size; left > 0; ) {
      if (held.length === 0) {
        const next = await source.next();
        if (next.done) return;
        held = next.value;
      }
      const piece = held.subarray(0, left);
      held = held.subarray(piece.length);
      left -= piece.length;
      at += piece.length;
      yield piece;
    }
  }
}
