// Reading a little of a large file at once.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { ByteSource } from '@uport/elf';
import { type ContentPlace, placeOf } from '../model/content.ts';

/** Headers, notes, dynamic section and names of most files lie in a few of these. */
const WINDOW = 32 << 10;
const MAX_WINDOWS = 64;

/** Memory of closed files: new memory costs more than what is read into it. */
const spare: { readonly windows: Buffer[]; large: Buffer | undefined } = {
  windows: [],
  large: undefined,
};
const MAX_LARGE = 1 << 22;

/**
 * Opens a file as a source that reads windows and keeps them, calls `use`, and closes it. What the
 * source gave is valid until then. System calls are synchronous: they take microseconds, a turn
 * through the thread pool takes fifty.
 */
export async function withWindows<T>(
  place: ContentPlace,
  use: (source: ByteSource) => Promise<T>,
): Promise<T> {
  const { file, offset, size } = placeOf(place);
  const descriptor = openSync(file, 'r');
  const kept = new Map<number, Buffer>();
  const large: Buffer[] = [];
  try {
    return await use(windows(descriptor, offset, size ?? fstatSync(descriptor).size, kept, large));
  } finally {
    closeSync(descriptor);
    for (const { buffer } of kept.values()) {
      if (spare.windows.length < MAX_WINDOWS) spare.windows.push(Buffer.from(buffer));
    }
    for (const { buffer } of large) {
      const most = spare.large?.length ?? 0;
      if (buffer.byteLength > most && buffer.byteLength <= MAX_LARGE) {
        spare.large = Buffer.from(buffer);
      }
    }
  }
}

function windows(
  descriptor: number,
  base: number,
  size: number,
  kept: Map<number, Buffer>,
  large: Buffer[],
): ByteSource {
  const windowAt = (index: number): Buffer => {
    let bytes = kept.get(index);
    if (bytes === undefined) {
      if (kept.size >= MAX_WINDOWS) kept.clear();
      const room = spare.windows.pop() ?? Buffer.allocUnsafeSlow(WINDOW);
      const length = Math.min(WINDOW, size - index * WINDOW);
      bytes = readInto(room.subarray(0, length), descriptor, base + index * WINDOW);
      kept.set(index, bytes);
    }
    return bytes;
  };
  const largeOf = (length: number): Buffer => {
    if (length > MAX_LARGE) return Buffer.allocUnsafeSlow(length);
    const found = spare.large !== undefined && spare.large.length >= length;
    const room = found
      ? (spare.large as Buffer)
      : Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(length)));
    if (found) spare.large = undefined;
    large.push(room);
    return room.subarray(0, length);
  };
  return {
    size,
    async read(offset, length) {
      const end = Math.min(offset + length, size);
      if (end <= offset) return new Uint8Array(0);
      const first = Math.floor(offset / WINDOW);
      const inside = offset % WINDOW;
      if (inside + end - offset <= WINDOW) {
        return windowAt(first).subarray(inside, inside + end - offset);
      }
      return readInto(largeOf(end - offset), descriptor, base + offset);
    },
  };
}

function readAt(descriptor: number, offset: number, length: number): Buffer {
  return readInto(Buffer.allocUnsafe(length), descriptor, offset);
}

function readInto(bytes: Buffer, descriptor: number, offset: number): Buffer {
  let filled = 0;
  while (filled < bytes.length) {
    const got = readSync(descriptor, bytes, filled, bytes.length - filled, offset + filled);
    if (got === 0) break;
    filled += got;
  }
  return bytes.subarray(0, filled);
}

/** The first bytes of a place, at most `limit`. */
export function readStart(place: ContentPlace, limit: number): Buffer {
  const { file, offset, size } = placeOf(place);
  const descriptor = openSync(file, 'r');
  try {
    const length = Math.min(limit, size ?? fstatSync(descriptor).size - offset);
    return readAt(descriptor, offset, length);
  } finally {
    closeSync(descriptor);
  }
}
