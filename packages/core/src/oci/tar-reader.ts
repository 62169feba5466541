// Reads a tar as a stream: ustar, pax, and GNU's long names, which are what image layers hold.
import type { ByteReader } from './byte-reader.ts';
import {
  decodePax,
  decodeTarHeader,
  padding,
  type RawTarHeader,
  TAR_BLOCK,
  TAR_TYPES,
  type TarType,
  tarInvalid,
} from './tar-header.ts';

/** One entry. Paths are bytes as Latin-1, just as they stand: nothing about them is checked. */
export interface TarMember {
  /** undefined for types that layers do not use. */
  readonly type: TarType | undefined;
  readonly path: string;
  readonly target: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Whole seconds since 1970. */
  readonly mtime: number;
  /** Where its header begins in the tar. */
  readonly offset: number;
  /** The content; what is not read of it is passed over. */
  readonly body: AsyncIterable<Buffer>;
}

/** Extended headers hold names; no file system takes longer ones. */
const EXTENDED_MAX = 1 << 20;

const TYPE_OF_FLAG: ReadonlyMap<string, TarType> = new Map([
  ...Object.entries(TAR_TYPES).map(([type, flag]) => [flag, type as TarType] as const),
  // Before POSIX, and contiguous files, which nothing treats otherwise.
  ['\0', 'file'],
  ['7', 'file'],
]);

/**
 * Yields the entries, then reads the stream to its end.
 *
 * @throws UportError UPORT_TAR_INVALID
 */
export async function* readTar(reader: ByteReader): AsyncGenerator<TarMember, void, undefined> {
  let globals = new Map<string, string>();
  let pax = new Map<string, string>();
  while (true) {
    const offset = reader.offset;
    const block = await reader.take(TAR_BLOCK);
    if (block.length === 0) {
      if (pax.size > 0) throw tarInvalid('the tar ends after an extended header', offset);
      return;
    }
    if (block.length < TAR_BLOCK) throw tarInvalid('the tar ends inside a header', offset);
    const header = decodeTarHeader(block, offset);
    if (!header) break;
    if (header.size < 0) throw tarInvalid('a tar entry has a negative size', offset);
    switch (header.flag) {
      case 'x':
        pax = new Map([...pax, ...decodePax(await extended(reader, header), offset)]);
        continue;
      case 'g':
        globals = new Map([...globals, ...decodePax(await extended(reader, header), offset)]);
        continue;
      case 'L':
        pax.set('path', cut(await extended(reader, header)));
        continue;
      case 'K':
        pax.set('linkpath', cut(await extended(reader, header)));
        continue;
      default:
    }
    const fields = new Map([...globals, ...pax]);
    pax = new Map();
    const type = typeOf(header, fields.get('path') ?? header.name);
    const size = hasBody(type) ? number(fields, 'size', header.size, offset) : 0;
    const body = bodyOf(reader, size);
    yield {
      type,
      path: fields.get('path') ?? header.name,
      target: fields.get('linkpath') ?? header.target,
      mode: header.mode,
      uid: number(fields, 'uid', header.uid, offset),
      gid: number(fields, 'gid', header.gid, offset),
      size,
      mtime: Math.floor(number(fields, 'mtime', header.mtime, offset)),
      offset,
      body,
    };
    for await (const _ of body) {
      // Passed over.
    }
  }
  // Padding, up to any size.
  while ((await reader.some(1 << 20)) !== undefined) {
    // Passed over.
  }
}

function typeOf(header: RawTarHeader, path: string): TarType | undefined {
  const type = TYPE_OF_FLAG.get(header.flag);
  // Old tars tell folders by the slash alone.
  return type === 'file' && path.endsWith('/') ? 'directory' : type;
}

function hasBody(type: TarType | undefined): boolean {
  return type === 'file' || type === undefined;
}

async function extended(reader: ByteReader, header: RawTarHeader): Promise<Buffer> {
  if (header.size > EXTENDED_MAX) {
    throw tarInvalid('an extended tar header is larger than 1 MiB', reader.offset);
  }
  const bytes = await reader.take(header.size + padding(header.size));
  if (bytes.length < header.size) {
    throw tarInvalid('the tar ends inside an extended header', reader.offset);
  }
  return bytes.subarray(0, header.size);
}

function cut(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end < 0 ? bytes.length : end);
}

function number(
  fields: ReadonlyMap<string, string>,
  key: string,
  plain: number,
  offset: number,
): number {
  const text = fields.get(key);
  if (text === undefined || text === '') return plain;
  const value = /^-?[0-9]{1,16}(\.[0-9]{0,30})?$/.test(text) ? Number(text) : Number.NaN;
  const whole = key === 'mtime' || (Number.isSafeInteger(value) && value >= 0);
  if (Number.isFinite(value) && whole) return value;
  throw tarInvalid(`a pax ${key} is no number in range`, offset);
}

/** One pass over the content: a second iteration goes on where the first left off. */
function bodyOf(reader: ByteReader, size: number): AsyncIterable<Buffer> {
  let left = size;
  let skip = padding(size);
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        while (left > 0) {
          const part = await reader.some(left);
          if (part === undefined) throw tarInvalid('the tar ends inside a file', reader.offset);
          left -= part.length;
          return { done: false, value: part };
        }
        if (skip > 0) {
          const padded = await reader.take(skip);
          if (padded.length < skip) throw tarInvalid('the tar ends inside a file', reader.offset);
          skip = 0;
        }
        return { done: true, value: undefined };
      },
    }),
  };
}
