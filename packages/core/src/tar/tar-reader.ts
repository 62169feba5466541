// Reads a tar as a stream: ustar, pax, and GNU's long names and sparse files.
import type { ByteReader } from './byte-reader.ts';
import {
  type DeviceNumber,
  decodePax,
  decodeTarHeader,
  type PaxRecord,
  padding,
  type RawTarHeader,
  TAR_BLOCK,
  TAR_TYPES,
  type TarType,
  tarInvalid,
  XATTR_KEY,
  type Xattrs,
} from './tar-header.ts';
import {
  expandSparse,
  mapOfText,
  readGnuMap,
  readMapOfBody,
  type SparseMap,
  sparseMap,
} from './tar-sparse.ts';

/** One entry. Paths are bytes as Latin-1, just as they stand: nothing about them is checked. */
export interface TarMember {
  /** undefined for types that archives of files do not use. */
  readonly type: TarType | undefined;
  readonly path: string;
  readonly target: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of the content, holes included. */
  readonly size: number;
  /** Whole seconds since 1970. */
  readonly mtime: number;
  /** Where its header begins in the tar. */
  readonly offset: number;
  /** Of devices. */
  readonly device: DeviceNumber;
  readonly xattrs: Xattrs;
  /** Its content has holes, which an archive may hold cheaply. */
  readonly sparse: boolean;
  /** The content, holes as zeros; what is not read of it is passed over. */
  readonly body: AsyncIterable<Buffer>;
}

/** Extended headers hold names and attributes; all those before one entry together. */
const EXTENDED_MAX = 1 << 20;

const TYPE_OF_FLAG: ReadonlyMap<string, TarType> = new Map([
  ...Object.entries(TAR_TYPES).map(([type, flag]) => [flag, type as TarType] as const),
  // Before POSIX, contiguous files, which nothing treats otherwise, and GNU's sparse files.
  ['\0', 'file'],
  ['7', 'file'],
  ['S', 'file'],
]);

/** What extended headers said so far; keys that mean nothing here are not kept. */
class Extended {
  readonly fields = new Map<string, string>();
  readonly xattrs: Record<string, string> = {};
  /** Of GNU's sparse format 0.0, whose records repeat. */
  readonly sparse: string[] = [];

  add(records: readonly PaxRecord[], offset: number): void {
    for (const [key, value] of records) {
      if (FIELDS.has(key)) this.fields.set(key, value);
      else if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') {
        this.sparse.push(value);
      } else if (key.startsWith(XATTR_KEY)) {
        this.#attribute(key.slice(XATTR_KEY.length), value, offset);
      } else if (key.startsWith(BSD_XATTR_KEY)) {
        const name = key.slice(BSD_XATTR_KEY.length);
        const bytes = Buffer.from(value, 'base64').toString('latin1');
        // bsdtar writes both forms.
        if (!Object.hasOwn(this.xattrs, name)) this.#attribute(name, bytes, offset);
      }
    }
  }

  #attribute(name: string, value: string, offset: number): void {
    // What Linux takes: names of at most 255 bytes, values of at most 64 KiB.
    if (name === '' || name.length > 255 || name.includes('\0') || value.length > 65536) {
      throw tarInvalid('a pax header has an extended attribute that no file can have', offset);
    }
    Object.defineProperty(this.xattrs, name, { value, enumerable: true, configurable: true });
  }
}

const BSD_XATTR_KEY = 'LIBARCHIVE.xattr.';
const FIELDS: ReadonlySet<string> = new Set([
  ...['path', 'linkpath', 'size', 'uid', 'gid', 'mtime'],
  ...['SCHILY.devmajor', 'SCHILY.devminor'],
  ...['major', 'minor', 'name', 'realsize', 'size', 'map', 'numblocks'].map(
    (key) => `GNU.sparse.${key}`,
  ),
]);
/** Of these no archive says that they hold for all its entries, but for one made to confuse. */
const OF_ONE_ENTRY = /^(?:path|linkpath|size|(?:GNU\.sparse|SCHILY\.xattr|LIBARCHIVE\.xattr)\..*)$/;

/**
 * Yields the entries, then reads the stream to its end.
 *
 * @throws UportError UPORT_TAR_INVALID
 */
export async function* readTar(reader: ByteReader): AsyncGenerator<TarMember, void, undefined> {
  const globals = new Extended();
  let pax = new Extended();
  let extendedSize = 0;
  while (true) {
    const offset = reader.offset;
    const block = await reader.take(TAR_BLOCK);
    if (block.length === 0) {
      if (extendedSize > 0) throw tarInvalid('the tar ends after an extended header', offset);
      return;
    }
    if (block.length < TAR_BLOCK) throw tarInvalid('the tar ends inside a header', offset);
    const header = decodeTarHeader(block, offset);
    if (!header) break;
    if (header.size < 0) throw tarInvalid('a tar entry has a negative size', offset);
    if (EXTENDED_FLAGS.has(header.flag)) {
      extendedSize += header.size + TAR_BLOCK;
      const bytes = await extended(reader, header, extendedSize);
      if (header.flag === 'L') pax.fields.set('path', cut(bytes));
      else if (header.flag === 'K') pax.fields.set('linkpath', cut(bytes));
      else {
        const records = decodePax(bytes, offset);
        if (header.flag === 'g' && records.some(([key]) => OF_ONE_ENTRY.test(key))) {
          throw tarInvalid('a global pax header says what only one entry can have', offset);
        }
        (header.flag === 'g' ? globals : pax).add(records, offset);
      }
      continue;
    }
    const { xattrs, sparse } = pax;
    const fields = new Map([...globals.fields, ...pax.fields]);
    pax = new Extended();
    extendedSize = 0;
    const path = fields.get('GNU.sparse.name') ?? fields.get('path') ?? header.name;
    const type = typeOf(header, path);
    let stored = hasBody(type) ? number(fields, 'size', header.size, offset) : 0;
    let holes: SparseMap | undefined;
    if (type === 'file') {
      if (header.flag === 'S') holes = await readGnuMap(reader, block, offset);
      else if (fields.get('GNU.sparse.major') === '1') {
        const map = await readMapOfBody(reader, stored, sparseSize(fields, offset), offset);
        holes = map.holes;
        stored -= map.length;
      } else if (sparse.length > 0 || fields.has('GNU.sparse.map')) {
        const list = fields.get('GNU.sparse.map')?.split(',') ?? sparse;
        holes = sparseMap(mapOfText(list, offset), sparseSize(fields, offset), offset);
      }
      if (holes && holes.stored !== stored) {
        throw tarInvalid('a sparse file has other data than its map says', offset);
      }
    }
    const body = bodyOf(reader, stored);
    yield {
      type,
      path,
      target: fields.get('linkpath') ?? header.target,
      mode: header.mode,
      uid: number(fields, 'uid', header.uid, offset),
      gid: number(fields, 'gid', header.gid, offset),
      size: holes ? holes.size : stored,
      mtime: Math.floor(number(fields, 'mtime', header.mtime, offset)),
      offset,
      device: {
        major: number(fields, 'SCHILY.devmajor', header.device.major, offset),
        minor: number(fields, 'SCHILY.devminor', header.device.minor, offset),
      },
      xattrs,
      sparse: holes !== undefined,
      body: holes ? expandSparse(holes, body) : body,
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

const EXTENDED_FLAGS: ReadonlySet<string> = new Set(['x', 'g', 'L', 'K']);

function sparseSize(fields: ReadonlyMap<string, string>, offset: number): number {
  const key = fields.has('GNU.sparse.realsize') ? 'GNU.sparse.realsize' : 'GNU.sparse.size';
  return number(fields, key, -1, offset);
}

function typeOf(header: RawTarHeader, path: string): TarType | undefined {
  const type = TYPE_OF_FLAG.get(header.flag);
  // Old tars tell folders by the slash alone.
  return type === 'file' && path.endsWith('/') ? 'directory' : type;
}

function hasBody(type: TarType | undefined): boolean {
  return type === 'file' || type === undefined;
}

async function extended(reader: ByteReader, header: RawTarHeader, total: number): Promise<Buffer> {
  if (total > EXTENDED_MAX) {
    throw tarInvalid('the extended tar headers of an entry are larger than 1 MiB', reader.offset);
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
  const given = text === undefined || text === '' ? plain : decimal(text);
  const whole = key === 'mtime' || (Number.isSafeInteger(given) && given >= 0);
  if (Number.isFinite(given) && whole) return given;
  throw tarInvalid(`the ${key} of a tar entry is no number in range`, offset);
}

function decimal(text: string): number {
  return /^-?[0-9]{1,16}(\.[0-9]{0,30})?$/.test(text) ? Number(text) : Number.NaN;
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
