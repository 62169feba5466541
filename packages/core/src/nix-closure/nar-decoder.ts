// Unpacks a NAR as a binary cache keeps it.
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import zlib from 'node:zlib';
import { UportError } from '@uport/errors';
import { unxz } from '../debian/xz.ts';
import { layerDecoder } from '../oci/decompress.ts';
import { OCI_LAYER_ZSTD } from '../oci/media-types.ts';

type Decoder = (file: string, size: number, signal: AbortSignal) => AsyncIterable<Uint8Array>;

const read = (file: string): AsyncIterable<Buffer> =>
  createReadStream(file, { highWaterMark: 256 << 10 });

/** By what a .narinfo's `Compression` says. */
const DECODERS: ReadonlyMap<string, Decoder> = new Map<string, Decoder>([
  ['none', read],
  ['gzip', (file) => through(file, zlib.createGunzip())],
  ['br', (file) => through(file, zlib.createBrotliDecompress())],
  ['zstd', (file) => layerDecoder(OCI_LAYER_ZSTD)?.(read(file)) ?? read(file)],
  ['xz', unpackXz],
]);

/** The thread takes each chunk's bytes back; the NAR's reader may hold on to them. */
async function* unpackXz(file: string, size: number, signal: AbortSignal) {
  for await (const chunk of unxz(file, 0, size, signal)) yield Buffer.from(chunk);
}

async function* through(file: string, decoder: zlib.Gunzip | zlib.BrotliDecompress) {
  const source = Readable.from(read(file), { objectMode: false });
  source.on('error', (error) => decoder.destroy(error));
  for await (const chunk of source.pipe(decoder)) yield chunk as Buffer;
}

/**
 * @param size of the file, in bytes
 * @throws UportError UPORT_NIX_COMPRESSION_UNKNOWN; while reading UPORT_NIX_NAR_DAMAGED
 */
export async function* decodeNar(
  file: string,
  size: number,
  compression: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const decoder = DECODERS.get(compression);
  if (decoder === undefined) {
    throw new UportError({
      code: 'UPORT_NIX_COMPRESSION_UNKNOWN',
      category: 'input',
      message: `the cache has its NARs under ${JSON.stringify(compression.slice(0, 40))}`,
      hint: `fill the cache again with one of: ${[...DECODERS.keys()].join(', ')}`,
    });
  }
  try {
    yield* decoder(file, size, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw new UportError({
      code: 'UPORT_NIX_NAR_DAMAGED',
      category: 'input',
      message: `the ${compression} data of a NAR cannot be unpacked: ${(error as Error).message}`,
      hint: 'the cache is damaged; fill it again',
      cause: error,
    });
  }
}
