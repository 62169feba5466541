// Compression of a layer in blocks on Node's thread pool: the same bytes whatever the number of
// threads, since each block depends on the input alone.
import zlib from 'node:zlib';
import { collectAfter } from '../memory.ts';
import { OCI_LAYER_GZIP, OCI_LAYER_TAR, OCI_LAYER_ZSTD } from './media-types.ts';

export type Compression = 'gzip' | 'zstd';

/** One run of a compressor over one stream. */
export interface BlockCompressor {
  readonly mediaType: string;
  /** Size of every block but the last. */
  readonly blockSize: number;
  /** Bytes before the first block. */
  begin(): Uint8Array;
  /** Called in order; the answers may come in any order. The block must stay as it is until then. */
  compress(block: Buffer): readonly Uint8Array[] | Promise<readonly Uint8Array[]>;
  /** Bytes after the last block. */
  end(): Uint8Array;
}

/** What gzip levels 1 to 9 and zstd levels 1 to 19 cost and give is measured in docs/adr/0004. */
export const DEFAULT_LEVEL: Readonly<Record<Compression, number>> = Object.freeze({
  gzip: 2,
  zstd: 3,
});

export const MAX_LEVEL: Readonly<Record<Compression, number>> = Object.freeze({
  gzip: 9,
  zstd: 19,
});

export function createCompressor(compression: Compression, level: number): BlockCompressor {
  return compression === 'gzip' ? gzip(level) : zstd(level);
}

const WINDOW = 32 << 10;

/**
 * One gzip member (RFC 1952) whose deflate stream is put together from blocks. Each block is
 * deflated with the 32 KiB before it as dictionary, so little is lost against one pass, and ends on
 * a byte boundary (Z_SYNC_FLUSH). Data that would not shrink is stored: deflate finds that out at a
 * twentieth of the speed.
 */
function gzip(level: number): BlockCompressor {
  const window = Buffer.allocUnsafeSlow(WINDOW);
  let held = 0;
  let crc = 0;
  let size = 0;
  return {
    mediaType: OCI_LAYER_GZIP,
    blockSize: 128 << 10,
    // No time, no name, unknown operating system.
    begin: () => Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff),
    compress(block) {
      crc = zlib.crc32(block, crc);
      size += block.length;
      // zlib takes its copy of the dictionary before the call returns.
      const done = looksIncompressible(block)
        ? storedBlocks(block)
        : deflateBlock(block, level, window.subarray(0, held));
      held = block.copy(window, 0, Math.max(0, block.length - WINDOW));
      return done;
    },
    end() {
      // An empty final block with fixed codes closes the deflate stream.
      const trailer = Buffer.alloc(10);
      trailer.writeUInt8(0x03, 0);
      trailer.writeUInt32LE(crc >>> 0, 2);
      trailer.writeUInt32LE(size % 2 ** 32, 6);
      return trailer;
    },
  };
}

function deflateBlock(
  block: Buffer,
  level: number,
  dictionary: Buffer,
): Promise<readonly Uint8Array[]> {
  const options = {
    level,
    memLevel: 9,
    finishFlush: zlib.constants.Z_SYNC_FLUSH,
    // Half a block: room for most answers in one go, and less garbage than a whole one.
    chunkSize: 64 << 10,
    ...(dictionary.length > 0 && { dictionary }),
  };
  return new Promise((resolve, reject) => {
    zlib.deflateRaw(block, options, (error, result) => (error ? reject(error) : resolve([result])));
  });
}

const STORED_MAX = 0xffff;

/** Deflate blocks of type 0, not final: three header bits, padding to a byte, LEN, NLEN, the bytes. */
function storedBlocks(block: Buffer): readonly Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < block.length; at += STORED_MAX) {
    const piece = block.subarray(at, at + STORED_MAX);
    const header = Buffer.alloc(5);
    header.writeUInt16LE(piece.length, 1);
    header.writeUInt16LE(piece.length ^ 0xffff, 3);
    parts.push(header, piece);
  }
  return parts;
}

const SAMPLES = 16;
const SAMPLE = 256;

/**
 * Whether the bytes are spread as evenly as compressed or encrypted data has them. Counts pairs of
 * equal bytes in a sample: about 69,600 for random bytes, 80,000 and more for anything that Huffman
 * coding alone shrinks by a few percent. Integers only, so every machine decides alike.
 */
export function looksIncompressible(block: Buffer): boolean {
  if (block.length < SAMPLES * SAMPLE * 2) return false;
  const counts = new Uint32Array(256);
  const stride = Math.floor(block.length / SAMPLES);
  for (let s = 0; s < SAMPLES; s++) {
    const start = s * stride;
    for (let i = start; i < start + SAMPLE; i++) {
      const byte = block[i] as number;
      counts[byte] = (counts[byte] as number) + 1;
    }
  }
  let pairs = 0;
  for (const count of counts) pairs += count * count;
  return pairs < 73_000;
}

/** Concatenated frames (RFC 8878), each with its checksum: a decoder reads them as one stream. */
function zstd(level: number): BlockCompressor {
  const { ZSTD_c_compressionLevel, ZSTD_c_checksumFlag } = zlib.constants;
  return {
    mediaType: OCI_LAYER_ZSTD,
    blockSize: 2 << 20,
    begin: () => new Uint8Array(0),
    compress(block) {
      const options = {
        params: { [ZSTD_c_compressionLevel]: level, [ZSTD_c_checksumFlag]: 1 },
        chunkSize: 512 << 10,
      };
      return new Promise((resolve, reject) => {
        zlib.zstdCompress(block, options, (error, result) => {
          if (error) return reject(error);
          // Node puts it together from chunks, which it drops.
          collectAfter(result.length);
          resolve([result]);
        });
      });
    },
    end: () => new Uint8Array(0),
  };
}

/** The tar as it is. */
export function uncompressed(): BlockCompressor {
  return {
    mediaType: OCI_LAYER_TAR,
    blockSize: 1 << 20,
    begin: () => new Uint8Array(0),
    compress: (block) => [block],
    end: () => new Uint8Array(0),
  };
}
