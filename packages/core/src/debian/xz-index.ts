// The index at the end of an xz stream (section 4 of the .xz file format): where its blocks lie.
// Blocks are independent, so a stream of some of them can be made without unpacking the others.
import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';

const HEADER = 12;
const FOOTER = 12;
const MAGIC = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
const END_MAGIC = 0x5a59;
/** One record takes at least two bytes; a large package has some hundred blocks. */
const MAX_INDEX = 1 << 20;

export interface XzBlock {
  /** Of its first byte in the file. */
  readonly offset: number;
  /** In the file, without the padding to four bytes. */
  readonly unpaddedSize: number;
  /** Of its first byte in what the stream holds. */
  readonly contentOffset: number;
  readonly contentSize: number;
}

export interface XzIndex {
  /** Two bytes: which check follows each block. */
  readonly flags: Buffer;
  readonly blocks: readonly XzBlock[];
}

/**
 * Reads the index of the one stream that lies between two places of a file. Undefined when there is
 * more than one stream, padding, or damage: then the stream can only be read from its start.
 */
export async function readXzIndex(
  file: FileHandle,
  start: number,
  end: number,
): Promise<XzIndex | undefined> {
  if (end - start < HEADER + FOOTER) return undefined;
  const header = await readBytes(file, start, HEADER);
  const footer = await readBytes(file, end - FOOTER, FOOTER);
  if (!header.subarray(0, 6).equals(MAGIC) || footer.readUInt16LE(10) !== END_MAGIC)
    return undefined;
  const flags = header.subarray(6, 8);
  const indexSize = (footer.readUInt32LE(4) + 1) * 4;
  const indexAt = end - FOOTER - indexSize;
  if (!footer.subarray(8, 10).equals(flags)) return undefined;
  if (crc32(footer.subarray(4, 10)) !== footer.readUInt32LE(0)) return undefined;
  if (indexSize > MAX_INDEX || indexAt < start + HEADER) return undefined;
  const index = await readBytes(file, indexAt, indexSize);
  const blocks = readRecords(index, start + HEADER);
  const last = blocks?.at(-1);
  if (!blocks || !last || last.offset + padded(last.unpaddedSize) !== indexAt) return undefined;
  return { flags, blocks };
}

function readRecords(index: Buffer, firstBlock: number): readonly XzBlock[] | undefined {
  const body = index.subarray(0, -4);
  if (index[0] !== 0 || crc32(body) !== index.readUInt32LE(index.length - 4)) return undefined;
  const reader = { bytes: body, at: 1 };
  const count = readNumber(reader);
  if (count === undefined || count > index.length / 2) return undefined;
  const blocks: XzBlock[] = [];
  let offset = firstBlock;
  let contentOffset = 0;
  for (let i = 0; i < count; i++) {
    const unpaddedSize = readNumber(reader);
    const contentSize = readNumber(reader);
    if (unpaddedSize === undefined || contentSize === undefined) return undefined;
    blocks.push({ offset, unpaddedSize, contentOffset, contentSize });
    offset += padded(unpaddedSize);
    contentOffset += contentSize;
  }
  return blocks;
}

/** What to put before and after the bytes of consecutive blocks to make a stream of them. */
export function frameXzBlocks(
  flags: Buffer,
  blocks: readonly XzBlock[],
): { readonly before: Buffer; readonly after: Buffer } {
  const records = blocks.flatMap((block) => [
    ...writeNumber(block.unpaddedSize),
    ...writeNumber(block.contentSize),
  ]);
  const body = [0, ...writeNumber(blocks.length), ...records];
  while (body.length % 4 !== 0) body.push(0);
  const index = withCrc(Buffer.from(body));
  const fields = Buffer.alloc(6);
  fields.writeUInt32LE(index.length / 4 - 1);
  flags.copy(fields, 4);
  const footer = Buffer.alloc(FOOTER);
  footer.writeUInt32LE(crc32(fields));
  fields.copy(footer, 4);
  footer.writeUInt16LE(END_MAGIC, 10);
  return {
    before: Buffer.concat([MAGIC, withCrc(flags)]),
    after: Buffer.concat([index, footer]),
  };
}

function withCrc(bytes: Buffer): Buffer {
  const crc = Buffer.alloc(4);
  crc.writeUInt32LE(crc32(bytes));
  return Buffer.concat([bytes, crc]);
}

function padded(size: number): number {
  return Math.ceil(size / 4) * 4;
}

/** Seven bits a byte, the lowest first; sizes past 2^53 are no sizes here. */
function readNumber(reader: { readonly bytes: Buffer; at: number }): number | undefined {
  let value = 0;
  for (let i = 0; i < 9; i++) {
    const byte = reader.bytes[reader.at++];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return Number.isSafeInteger(value) ? value : undefined;
  }
  return undefined;
}

function writeNumber(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
  return bytes;
}

async function readBytes(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  await file.read(buffer, 0, length, offset);
  return buffer;
}
