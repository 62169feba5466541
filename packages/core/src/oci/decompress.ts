// Streams a layer's tar out of its blob.
import { PassThrough, pipeline, Readable, type Transform } from 'node:stream';
import zlib from 'node:zlib';
import { UportError } from '@uport/errors';
import { byteReader } from '../tar/byte-reader.ts';
import { DOCKER_LAYER_GZIP, OCI_LAYER_GZIP, OCI_LAYER_TAR, OCI_LAYER_ZSTD } from './media-types.ts';
import { zstdFrames } from './zstd-frames.ts';

type Decoder = (chunks: AsyncIterable<Buffer>) => AsyncIterable<Buffer>;

const DECODERS: ReadonlyMap<string, Decoder> = new Map([
  [OCI_LAYER_TAR, (chunks) => chunks],
  [OCI_LAYER_GZIP, gunzip],
  [DOCKER_LAYER_GZIP, gunzip],
  [OCI_LAYER_ZSTD, unzstd],
] satisfies [string, Decoder][]);

/** The decoder for a layer's media type; undefined for types that are no layers. */
export function layerDecoder(mediaType: string): Decoder | undefined {
  return DECODERS.get(mediaType);
}

function gunzip(chunks: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  return through(chunks, zlib.createGunzip({ chunkSize: 256 << 10 }));
}

async function* unzstd(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  // Node's decoder stops after the first frame, so each gets its own.
  for await (const frame of zstdFrames(byteReader(chunks))) {
    const decoder = zlib.createZstdDecompress({
      chunkSize: 256 << 10,
      // 128 MiB: what a frame may ask a reader to hold.
      params: { [zlib.constants.ZSTD_d_windowLogMax]: 27 },
    });
    yield* through(frame, decoder);
  }
}

/**
 * What a decoder makes of a stream. Faults of the stream itself come through as they are.
 *
 * @throws UportError UPORT_LAYER_DAMAGED
 */
async function* through(
  chunks: AsyncIterable<Buffer>,
  decoder: Transform,
): AsyncGenerator<Buffer, void, undefined> {
  let sourceFault: unknown;
  const source = async function* () {
    try {
      yield* chunks;
    } catch (error) {
      sourceFault = error;
      throw error;
    }
  };
  const output = new PassThrough({ highWaterMark: 512 << 10 });
  pipeline(Readable.from(source(), { objectMode: false }), decoder, output, () => undefined);
  try {
    for await (const chunk of output) yield chunk as Buffer;
  } catch (error) {
    if (sourceFault !== undefined) throw sourceFault;
    if (!(error instanceof Error) || error instanceof UportError) throw error;
    throw layerDamaged(error.message, error);
  }
}

export function layerDamaged(message: string, cause?: unknown): UportError {
  return new UportError({
    code: 'UPORT_LAYER_DAMAGED',
    category: 'input',
    message: `the layer does not decompress: ${message}`,
    hint: 'build or fetch it again',
    ...(cause !== undefined && { cause }),
  });
}
