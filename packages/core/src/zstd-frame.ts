// One zstd frame, written and read. Node's own stream may append an empty second frame, which a
// launcher refuses.
import { constants, createZstdCompress, type ZstdCompress } from 'node:zlib';
import { freeBytes } from './memory.ts';
import { zstdFrames } from './oci/zstd-frames.ts';
import { byteReader } from './tar/byte-reader.ts';

export interface ZstdFrameOptions {
  readonly level: number;
  /** Of all that will come, in bytes: it is written into the frame. */
  readonly size: number;
  /** The window's size as a power of two. Default: as the level says. */
  readonly windowLog?: number;
}

/**
 * Compresses a stream to exactly one frame with its content size and no checksum. Same bytes in and
 * same version of zstd: same bytes out, however they are cut into chunks and whenever they come.
 *
 * A source's chunk is not used any more when its next one is asked for. The memory of the chunks that
 * come out is freed soon after the next one is asked for: who keeps one copies it.
 */
export async function* zstdFrame(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { level, size, windowLog }: ZstdFrameOptions,
): AsyncGenerator<Buffer> {
  const compressor = createZstdCompress({
    chunkSize: 1 << 18,
    pledgedSrcSize: size,
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_contentSizeFlag]: 1,
      [constants.ZSTD_c_checksumFlag]: 0,
      ...(windowLog !== undefined && { [constants.ZSTD_c_windowLog]: windowLog }),
    },
  });
  const fed = feed(compressor, source).catch((error: Error) => {
    compressor.destroy(error);
  });
  try {
    // When the last bytes fill a chunk exactly, Node asks zstd for the end once more.
    let first = true;
    for await (const frame of zstdFrames(byteReader(freeingFull(compressor)))) {
      for await (const bytes of frame) if (first) yield bytes;
      first = false;
    }
  } finally {
    compressor.destroy();
    await fed;
  }
}

/**
 * The compressor fills one block of memory after the other, and gives it away in parts. Each is freed
 * when the one after it has been read: parts of two at most are in use.
 */
async function* freeingFull(compressor: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let full: Buffer | undefined;
  for await (const chunk of compressor) {
    yield chunk;
    // Nothing more fits into its memory, so nothing writes there any more.
    if (chunk.byteOffset + chunk.length < chunk.buffer.byteLength) continue;
    if (full) freeBytes(full);
    full = chunk;
  }
}

/** Ends the stream only when all is compressed: what ends together with its last chunk, ends twice. */
async function feed(
  compressor: ZstdCompress,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  for await (const chunk of source) {
    await new Promise<void>((resolve) => {
      // Of a stream that is destroyed meanwhile, writes do not end.
      compressor.once('close', resolve);
      compressor.write(chunk, () => {
        compressor.off('close', resolve);
        resolve();
      });
    });
    if (compressor.destroyed) return;
  }
  compressor.end();
}

/**
 * The bytes of a stream that must be one zstd frame and nothing else. Block by block, undecoded.
 *
 * @throws UportError UPORT_LAYER_DAMAGED when it is no frame, and RangeError when something follows
 */
export async function* singleZstdFrame(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let frames = 0;
  for await (const frame of zstdFrames(byteReader(chunks))) {
    if (++frames > 1) throw new RangeError('there is more than one zstd frame');
    yield* frame;
  }
}
