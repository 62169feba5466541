import { outOfBounds, truncated } from './errors.ts';

/** Bytes that can be read at any place: a file, a part of one, or memory. */
export interface ByteSource {
  /** In bytes; at most 2^53 - 1. */
  readonly size: number;
  /** Answers exactly `length` bytes; a short answer makes the reader fail. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** Bytes in memory as a source. */
export function bytesSource(bytes: Uint8Array): ByteSource {
  return Object.freeze({
    size: bytes.length,
    read: async (offset: number, length: number) => bytes.subarray(offset, offset + length),
  });
}

/**
 * A part of a source as a source of its own.
 *
 * @throws RangeError when the part is not inside
 */
export function partOf(source: ByteSource, offset: number, size: number): ByteSource {
  if (!(offset >= 0 && size >= 0 && size <= source.size - offset)) {
    throw new RangeError(`bytes ${offset} to ${offset + size} of ${source.size}`);
  }
  return Object.freeze({
    size,
    read: async (start: number, length: number) =>
      source.read(offset + start, Math.max(0, Math.min(length, size - start))),
  });
}

/**
 * Reads a range that the file itself names, so any number may come.
 *
 * @throws UportError UPORT_ELF_OUT_OF_BOUNDS when it starts past the end, UPORT_ELF_TRUNCATED when
 *   only its end is missing or the source gave less than asked
 */
export async function readRange(
  source: ByteSource,
  offset: bigint,
  length: bigint,
  what: string,
): Promise<Uint8Array> {
  checkRange(source, offset, length, what);
  const bytes = await source.read(Number(offset), Number(length));
  if (bytes.length !== Number(length)) throw truncated(what, offset, length, source.size);
  return bytes;
}

/** The bounds of `readRange` without reading. */
export function checkRange(source: ByteSource, offset: bigint, length: bigint, what: string): void {
  const size = BigInt(source.size);
  if (offset > size) throw outOfBounds(what, offset, source.size);
  if (length > size - offset) throw truncated(what, offset, length, source.size);
}
