// The 512-byte header of a tar entry: POSIX.1-2001 ustar, with pax extended headers where a field
// does not fit. Names are bytes (one per character of the string), as file systems have them.
import { UportError } from '@uport/errors';

export const TAR_BLOCK = 512;

export const TAR_TYPES = Object.freeze({
  file: '0',
  hardlink: '1',
  symlink: '2',
  characterDevice: '3',
  blockDevice: '4',
  directory: '5',
  fifo: '6',
} as const);

export type TarType = keyof typeof TAR_TYPES;

export interface TarHeader {
  readonly type: TarType;
  /** Bytes as Latin-1, without a trailing slash. */
  readonly path: string;
  /** Permission bits, 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content that follow, 0 for all but files. */
  readonly size: number;
  /** Whole seconds since 1970. */
  readonly mtime: number;
  /** Of a link: bytes as Latin-1. */
  readonly target?: string;
  /** Of a device. */
  readonly device?: DeviceNumber;
  /** Extended attributes, such as `security.capability`: bytes as Latin-1. */
  readonly xattrs?: Xattrs;
}

export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

export type Xattrs = Readonly<Record<string, string>>;

/** How pax records name an extended attribute, as GNU tar, bsdtar and container engines do. */
export const XATTR_KEY = 'SCHILY.xattr.';

const NAME = 100;
const PREFIX = 155;

/** One header with what must come before it: a multiple of 512 bytes. */
export function encodeTarHeader(header: TarHeader): Buffer {
  const path = header.type === 'directory' ? `${header.path}/` : header.path;
  const target = header.target ?? '';
  const pax: [key: string, value: string][] = [];
  let name = path;
  let prefix = '';
  if (path.length > NAME) {
    const split = splitPath(path);
    if (split) [prefix, name] = split;
    else {
      pax.push(['path', path]);
      name = path.slice(0, NAME);
    }
  }
  if (target.length > NAME) pax.push(['linkpath', target]);
  const number = (key: string, value: number, digits: number): string => {
    if (Number.isSafeInteger(value) && value >= 0 && value < 8 ** digits) {
      return value.toString(8).padStart(digits, '0');
    }
    pax.push([key, String(value)]);
    return '0'.repeat(digits);
  };
  const numbers = {
    uid: number('uid', header.uid, 7),
    gid: number('gid', header.gid, 7),
    size: number('size', header.size, 11),
    mtime: number('mtime', header.mtime, 11),
  };
  for (const [key, value] of Object.entries(header.xattrs ?? {}).sort(byName)) {
    pax.push([XATTR_KEY + key, value]);
  }
  const { device } = header;
  const block = ustar({
    ...numbers,
    ...(device && {
      devmajor: number('SCHILY.devmajor', device.major, 7),
      devminor: number('SCHILY.devminor', device.minor, 7),
    }),
    name,
    prefix,
    mode: header.mode.toString(8).padStart(7, '0'),
    type: TAR_TYPES[header.type],
    target: target.slice(0, NAME),
  });
  if (pax.length === 0) return block;
  const records = Buffer.from(pax.map(([key, value]) => paxRecord(key, value)).join(''), 'latin1');
  const before = ustar({
    name: `PaxHeaders/${header.path.split('/').at(-1) ?? ''}`.slice(0, NAME),
    prefix: '',
    mode: '0000644',
    uid: '0000000',
    gid: '0000000',
    size: records.length.toString(8).padStart(11, '0'),
    mtime: numbers.mtime,
    type: 'x',
    target: '',
  });
  return Buffer.concat([before, records, Buffer.alloc(padding(records.length)), block]);
}

/** The zero bytes that bring content of this size to a whole block. */
export function padding(size: number): number {
  return (TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK;
}

/** `LENGTH KEY=VALUE\n`, where the length counts its own digits. */
function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) {
    length = String(length).length + rest.length;
  }
  return length + rest;
}

function splitPath(path: string): [prefix: string, name: string] | undefined {
  // The leftmost slash that leaves a short enough name; a directory's own last slash is part of it.
  const slash = path.indexOf('/', path.length - NAME - 1);
  if (slash <= 0 || slash > PREFIX || slash === path.length - 1) return undefined;
  return [path.slice(0, slash), path.slice(slash + 1)];
}

interface UstarFields {
  readonly name: string;
  readonly prefix: string;
  readonly mode: string;
  readonly uid: string;
  readonly gid: string;
  readonly size: string;
  readonly mtime: string;
  readonly type: string;
  readonly target: string;
  readonly devmajor?: string;
  readonly devminor?: string;
}

function byName([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : 1;
}

function ustar(fields: UstarFields): Buffer {
  // From the shared pool: thousands of separate allocations would wait for the collector.
  const block = Buffer.allocUnsafe(TAR_BLOCK).fill(0);
  block.write(fields.name, 0, NAME, 'latin1');
  block.write(fields.mode, 100, 7, 'latin1');
  block.write(fields.uid, 108, 7, 'latin1');
  block.write(fields.gid, 116, 7, 'latin1');
  block.write(fields.size, 124, 11, 'latin1');
  block.write(fields.mtime, 136, 11, 'latin1');
  block.write(fields.type, 156, 1, 'latin1');
  block.write(fields.target, 157, NAME, 'latin1');
  block.write('ustar\x0000', 257, 8, 'latin1');
  if (fields.devmajor !== undefined) block.write(fields.devmajor, 329, 7, 'latin1');
  if (fields.devminor !== undefined) block.write(fields.devminor, 337, 7, 'latin1');
  block.write(fields.prefix, 345, PREFIX, 'latin1');
  block.write(`${checksum(block).unsigned.toString(8).padStart(6, '0')}\0 `, 148, 8, 'latin1');
  return block;
}

/** The sum over the header with its own eight bytes as spaces; old writers summed signed bytes. */
function checksum(block: Buffer): { unsigned: number; signed: number } {
  let unsigned = 8 * 0x20;
  let signed = unsigned;
  for (let i = 0; i < TAR_BLOCK; i++) {
    if (i >= 148 && i < 156) continue;
    const byte = block[i] as number;
    unsigned += byte;
    signed += byte < 0x80 ? byte : byte - 0x100;
  }
  return { unsigned, signed };
}

/** What one header block says by itself, before pax and GNU extensions. */
export interface RawTarHeader {
  /** The type flag: TAR_TYPES, `x` and `g` (pax), `L` and `K` (GNU long names), `S` (sparse), or others. */
  readonly flag: string;
  readonly name: string;
  readonly target: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly device: DeviceNumber;
}

/** @throws UportError UPORT_TAR_INVALID; undefined for the zero block that ends an archive. */
export function decodeTarHeader(block: Buffer, offset: number): RawTarHeader | undefined {
  if (block.every((byte) => byte === 0)) return undefined;
  const sums = checksum(block);
  const stated = octal(block, 148, 8, offset);
  if (stated !== sums.unsigned && stated !== sums.signed) {
    throw tarInvalid('a tar header has a wrong checksum', offset);
  }
  const magic = block.toString('latin1', 257, 263);
  const prefix = magic === 'ustar\0' ? text(block, 345, PREFIX) : '';
  const name = text(block, 0, NAME);
  return {
    flag: String.fromCharCode(block[156] as number),
    name: prefix ? `${prefix}/${name}` : name,
    target: text(block, 157, NAME),
    mode: octal(block, 100, 8, offset) & 0o7777,
    uid: octal(block, 108, 8, offset),
    gid: octal(block, 116, 8, offset),
    size: octal(block, 124, 12, offset),
    mtime: octal(block, 136, 12, offset),
    device: isDevice(block) ? deviceOf(block, offset) : { major: 0, minor: 0 },
  };
}

function isDevice(block: Buffer): boolean {
  const flag = block[156];
  return flag === 0x33 || flag === 0x34;
}

function deviceOf(block: Buffer, offset: number): DeviceNumber {
  return { major: octal(block, 329, 8, offset), minor: octal(block, 337, 8, offset) };
}

export type PaxRecord = readonly [key: string, value: string];

/** The records of a pax header, in their order: a key may come more than once. @throws UportError UPORT_TAR_INVALID */
export function decodePax(bytes: Buffer, offset: number): PaxRecord[] {
  const records: PaxRecord[] = [];
  let at = 0;
  while (at < bytes.length) {
    const space = bytes.indexOf(0x20, at);
    const digits = space < 0 ? '' : bytes.toString('latin1', at, Math.min(space, at + 12));
    const length = /^[0-9]{1,10}$/.test(digits) ? Number(digits) : 0;
    const end = at + length;
    const equals = bytes.indexOf(0x3d, space);
    if (length === 0 || end > bytes.length || bytes[end - 1] !== 0x0a) {
      throw tarInvalid('a pax header is malformed', offset + at);
    }
    if (equals < 0 || equals >= end || equals === space + 1) {
      throw tarInvalid('a pax record has no key', offset + at);
    }
    const key = bytes.toString('latin1', space + 1, equals);
    const value = bytes.toString('latin1', equals + 1, end - 1);
    if (/^(path|linkpath)$/.test(key) && value.includes('\0')) {
      throw tarInvalid(`a pax ${key} holds a zero byte`, offset + at);
    }
    records.push([key, value]);
    at = end;
  }
  return records;
}

export function tarInvalid(message: string, offset: number): UportError {
  return new UportError({
    code: 'UPORT_TAR_INVALID',
    category: 'input',
    message,
    hint: 'the archive is damaged; build or fetch it again',
    offset,
  });
}

function text(block: Buffer, start: number, length: number): string {
  const field = block.toString('latin1', start, start + length);
  const end = field.indexOf('\0');
  return end < 0 ? field : field.slice(0, end);
}

/** A number field: octal digits, or GNU's base 256. @throws UportError UPORT_TAR_INVALID */
export function octal(block: Buffer, start: number, length: number, offset: number): number {
  const first = block[start] as number;
  if (first & 0x80) return base256(block.subarray(start, start + length), offset + start);
  const digits = text(block, start, length).trim();
  if (!/^[0-7]*$/.test(digits)) {
    throw tarInvalid('a tar header has a field that is not a number', offset + start);
  }
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

/** GNU's form of numbers that do not fit: two's complement, big-endian, first bit set. */
function base256(field: Buffer, offset: number): number {
  let value = BigInt((field[0] as number) & 0x7f);
  for (const byte of field.subarray(1)) value = (value << 8n) | BigInt(byte);
  if ((field[0] as number) & 0x40) value -= 1n << BigInt(field.length * 8 - 1);
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) {
    throw tarInvalid('a tar header has a number out of range', offset);
  }
  return Number(value);
}
