import type { ByteSource } from '@uport/elf';

const PIECE = 1 << 20;

/** A source from its first byte to its last, in pieces of 1 MiB. */
export async function* streamSource(
  source: ByteSource,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < source.size; offset += PIECE) {
    signal.throwIfAborted();
    yield await source.read(offset, Math.min(PIECE, source.size - offset));
  }
}

/** One stream after the other. */
export async function* concat(
  streams: readonly (AsyncIterable<Uint8Array> | Iterable<Uint8Array>)[],
): AsyncGenerator<Uint8Array> {
  for (const stream of streams) yield* stream;
}
