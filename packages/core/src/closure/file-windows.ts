// Reading a little of a large file at once.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { ByteSource } from '@uport/elf';
import { type ContentPlace, placeOf } from '../model/content.ts';

/** Headers, notes, dynamic section and names of most files lie in a few of these. */
const WINDOW = 32 << 10;
const MAX_WINDOWS = 64;

/**
 * Opens a file as a source that reads windows and keeps them, calls `use`, and closes it. System
 * calls are synchronous: they take microseconds, a turn through the thread pool takes fifty.
 */
export async function withWindows<T>(
  place: ContentPlace,
  use: (source: ByteSource) => Promise<T>,
): Promise<T> {
  const { file, offset, size } = placeOf(place);
  const descriptor = openSync(file, 'r');
  try {
    return await use(windows(descriptor, offset, size ?? fstatSync(descriptor).size));
  } finally {
    closeSync(descriptor);
  }
}

function windows(descriptor: number, base: number, size: number): ByteSource {
  const kept = new Map<number, Buffer>();
  const windowAt = (index: number): Buffer => {
    let bytes = kept.get(index);
    if (bytes === undefined) {
      if (kept.size >= MAX_WINDOWS) kept.clear();
      bytes = readAt(descriptor, base + index * WINDOW, Math.min(WINDOW, size - index * WINDOW));
      kept.set(index, bytes);
    }
    return bytes;
  };
  return {
    size,
    async read(offset, length) {
      const end = Math.min(offset + length, size);
      if (end <= offset) return new Uint8Array(0);
      const first = Math.floor(offset / WINDOW);
      const last = Math.floor((end - 1) / WINDOW);
      if (first === last) return windowAt(first).subarray(offset % WINDOW, end - first * WINDOW);
      if (length > 4 * WINDOW) return readAt(descriptor, base + offset, end - offset);
      const parts: Buffer[] = [];
      for (let index = first; index <= last; index++) parts.push(windowAt(index));
      const start = offset - first * WINDOW;
      return Buffer.concat(parts).subarray(start, start + end - offset);
    },
  };
}

function readAt(descriptor: number, offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const got = readSync(descriptor, bytes, filled, length - filled, offset + filled);
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
