import type { ByteSource } from '@uport/elf';
import { readExactly } from './container.ts';

/** Bytes to be written, made piece by piece: memory stays flat however large they are. */
export interface ByteStream {
  /** In bytes. */
  readonly size: number;
  /**
   * The bytes in order, in pieces of at most 1 MiB. Each call starts anew.
   *
   * @throws UportError UPORT_FATELF_CHANGED when an input got shorter meanwhile; the signal's reason
   */
  chunks(signal?: AbortSignal): AsyncGenerator<Uint8Array>;
}

const CHUNK = 1024 * 1024;

/** One piece of a stream: a part of a source, bytes, or zeros. */
export type Piece =
  | { readonly source: ByteSource; readonly offset: number; readonly size: number }
  | { readonly bytes: Uint8Array }
  | { readonly zeros: number };

export function streamOf(pieces: readonly Piece[]): ByteStream {
  return Object.freeze({
    size: pieces.reduce((sum, piece) => sum + pieceSize(piece), 0),
    chunks: (signal?: AbortSignal) => chunksOf(pieces, signal),
  });
}

function pieceSize(piece: Piece): number {
  if ('bytes' in piece) return piece.bytes.length;
  return 'zeros' in piece ? piece.zeros : piece.size;
}

async function* chunksOf(
  pieces: readonly Piece[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    const size = pieceSize(piece);
    for (let done = 0; done < size; done += CHUNK) {
      signal?.throwIfAborted();
      const length = Math.min(CHUNK, size - done);
      if ('bytes' in piece) yield piece.bytes.slice(done, done + length);
      else if ('zeros' in piece) yield new Uint8Array(length);
      else yield await readExactly(piece.source, piece.offset + done, length);
    }
  }
}
