// Finds where the frames of a zstd stream (RFC 8878, section 3.1) begin and end, without decoding.
import { UportError } from '@uport/errors';
import type { ByteReader } from '../tar/byte-reader.ts';

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
const BLOCK_MAX = 128 << 10;

/**
 * Yields each data frame as a stream, to be read to its end before the next is asked for. Its chunks
 * are parts of what came, not copies.
 */
export async function* zstdFrames(
  reader: ByteReader,
): AsyncGenerator<AsyncGenerator<Buffer, void, undefined>, void, undefined> {
  let frames = 0;
  while (true) {
    const start = reader.offset;
    const magic = await reader.take(4);
    if (magic.length === 0 && frames > 0) return;
    if (magic.length < 4) throw damaged('it ends inside a zstd frame', start);
    const number = magic.readUInt32LE(0);
    if ((number & 0xfffffff0) >>> 0 === SKIPPABLE) {
      let left = (await exactly(reader, 4)).readUInt32LE(0);
      while (left > 0) {
        const part = await reader.some(left);
        if (!part) throw damaged('it ends inside a zstd frame', reader.offset);
        left -= part.length;
      }
      continue;
    }
    if (number !== MAGIC) throw damaged('what should be a zstd frame is none', start);
    frames++;
    yield joinAdjacent(frame(reader, magic));
  }
}

async function* frame(reader: ByteReader, magic: Buffer): AsyncGenerator<Buffer, void, undefined> {
  const descriptor = await exactly(reader, 1);
  const flags = descriptor[0] as number;
  const singleSegment = (flags >> 5) & 1;
  const dictionary = [0, 1, 2, 4][flags & 3] as number;
  const contentSize = [singleSegment, 2, 4, 8][flags >> 6] as number;
  const rest = 1 - singleSegment + dictionary + contentSize;
  yield Buffer.concat([magic, descriptor, await exactly(reader, rest)]);
  while (true) {
    const header = await exactly(reader, 3);
    const bits = header.readUIntLE(0, 3);
    const size = bits >> 3;
    const type = (bits >> 1) & 3;
    if (type === 3 || size > BLOCK_MAX) throw damaged('a zstd block is malformed', reader.offset);
    yield header;
    // A run-length block holds one byte, whatever its size.
    let left = type === 1 ? 1 : size;
    while (left > 0) {
      const part = await reader.some(left);
      if (!part) throw damaged('it ends inside a zstd frame', reader.offset);
      left -= part.length;
      yield part;
    }
    if (bits & 1) break;
  }
  if (flags & 4) yield await exactly(reader, 4);
}

/** Makes one chunk of those that lie one after the other in memory. */
async function* joinAdjacent(
  chunks: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void, undefined> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    if (chunk.buffer === held.buffer && chunk.byteOffset === held.byteOffset + held.length) {
      held = Buffer.from(held.buffer, held.byteOffset, held.length + chunk.length);
      continue;
    }
    if (held.length > 0) yield held;
    held = chunk;
  }
  if (held.length > 0) yield held;
}

async function exactly(reader: ByteReader, length: number): Promise<Buffer> {
  const bytes = await reader.take(length);
  if (bytes.length === length) return bytes;
  throw damaged('it ends inside a zstd frame', reader.offset);
}

function damaged(message: string, offset: number): UportError {
  return new UportError({
    code: 'UPORT_LAYER_DAMAGED',
    category: 'input',
    message: `the layer does not decompress: ${message}`,
    hint: 'build or fetch it again',
    offset,
  });
}
