// The index and the footer of a universal file's payload: docs/formats/universal.md.
import { createHash } from 'node:crypto';
import { UportError } from '@uport/errors';
import {
  encodeSurroundings,
  encodeTranslator,
  isFileName,
  type LineCodec,
  type ManifestSurroundings,
  type ManifestTranslator,
  parseTranslator,
  SURROUNDINGS_LIMITS,
  SurroundingsReader,
} from '@uport/launcher';
import { parseBytePath } from '../model/byte-path.ts';
import { type Digest, digestHex, sha256Digest } from '../model/digest.ts';
import type { BytePath } from '../model/payload-tree.ts';
import { BRANCH_FILTERS, type BranchFilter } from './branch-filter.ts';

/** One zstd frame of the payload. Sizes in bytes; `digest` is of the raw bytes. */
export interface PayloadBlob {
  readonly offset: number;
  readonly stored: number;
  readonly raw: number;
  readonly digest: Digest;
  /** What was done to the raw bytes before they were compressed. */
  readonly filter?: BranchFilter;
}

/** An emulator that a host has; `blob` counts from 0. */
export interface PayloadEmulator {
  readonly guest: string;
  readonly elf: {
    readonly machine: number;
    readonly bits: 32 | 64;
    readonly order: 'lsb' | 'msb';
    readonly flags?: { readonly mask: number; readonly value: number };
  };
  readonly blob: number;
  readonly args: readonly string[];
}

/** An emulator other than QEMU that a host has, with the files of its folder. */
export interface PayloadTranslator extends ManifestTranslator {
  readonly parts: readonly { readonly blob: number; readonly name: string }[];
}

export interface PayloadHost {
  readonly name: string;
  readonly launcher: { readonly size: number; readonly digest: Digest };
  readonly emulators: readonly PayloadEmulator[];
  readonly translator?: PayloadTranslator;
  readonly slices: readonly { readonly blob: number; readonly path: BytePath }[];
}

export type PayloadNode =
  | { readonly type: 'directory'; readonly path: BytePath; readonly mode: number }
  | {
      readonly type: 'file';
      readonly path: BytePath;
      readonly mode: number;
      readonly size: number;
    }
  | { readonly type: 'symlink'; readonly path: BytePath; readonly target: string }
  | { readonly type: 'hardlink'; readonly path: BytePath; readonly target: BytePath };

export interface PayloadProgram {
  readonly name: string;
  readonly path: BytePath;
  /** Come before the caller's arguments. */
  readonly args?: readonly string[];
  /** Come when the caller gives no arguments. */
  readonly defaults?: readonly string[];
}

export interface PayloadIndex {
  readonly app: string;
  readonly blobs: readonly PayloadBlob[];
  readonly hosts: readonly PayloadHost[];
  /** The blob that holds the contents of all files, one after the other. */
  readonly tree: number;
  /** What the app is started in; paths are the payload's. */
  readonly surroundings?: ManifestSurroundings;
  /** The first is the default. Names and arguments are bytes as Latin-1. */
  readonly programs: readonly PayloadProgram[];
  readonly nodes: readonly PayloadNode[];
}

export const FOOTER_SIZE = 96;
const FOOTER_MAGIC = 'UPORTPAY';
const VERSION = 1;
const FIRST_LINE = 'uport-payload 1';
const MAX_INDEX = 64 << 20;
const MAX_LINES = 1 << 20;
const MAX_PARTS = 64;
const MAX_WORDS = SURROUNDINGS_LIMITS.args;

export interface PayloadFooter {
  /** Of the whole payload, this footer included. */
  readonly size: number;
  readonly indexOffset: number;
  readonly indexStored: number;
  readonly indexRaw: number;
  readonly indexDigest: Digest;
}

export function encodeFooter(footer: PayloadFooter): Buffer {
  const bytes = Buffer.alloc(FOOTER_SIZE);
  bytes.write(FOOTER_MAGIC, 0, 'latin1');
  bytes.writeUInt32LE(VERSION, 8);
  bytes.writeBigUInt64LE(BigInt(footer.size), 16);
  bytes.writeBigUInt64LE(BigInt(footer.indexOffset), 24);
  bytes.writeBigUInt64LE(BigInt(footer.indexStored), 32);
  bytes.writeBigUInt64LE(BigInt(footer.indexRaw), 40);
  bytes.write(digestHex(footer.indexDigest), 64, 'hex');
  return bytes;
}

/** Whether these last 96 bytes of a file say that it has a payload. */
export function hasFooter(bytes: Buffer): boolean {
  return bytes.length === FOOTER_SIZE && bytes.toString('latin1', 0, 8) === FOOTER_MAGIC;
}

/**
 * Reads the last 96 bytes of a file.
 *
 * @returns undefined when the file has no payload
 * @throws UportError UPORT_PAYLOAD_INVALID when it has a damaged one
 */
export function parseFooter(bytes: Buffer, fileSize: number): PayloadFooter | undefined {
  if (!hasFooter(bytes)) return undefined;
  if (bytes.readUInt32LE(8) !== VERSION || bytes.readUInt32LE(12) !== 0) {
    throw invalid('its footer has another version than 1');
  }
  const number = (at: number): number => {
    const value = bytes.readBigUInt64LE(at);
    if (value > BigInt(fileSize)) throw invalid('its footer points past the end of the file');
    return Number(value);
  };
  const raw = bytes.readBigUInt64LE(40);
  if (raw > BigInt(MAX_INDEX)) throw invalid('its index is larger than 64 MiB');
  const footer: PayloadFooter = {
    size: number(16),
    indexOffset: number(24),
    indexStored: number(32),
    indexRaw: Number(raw),
    indexDigest: sha256Digest(bytes.toString('hex', 64, 96)),
  };
  if (footer.indexOffset + footer.indexStored !== footer.size - FOOTER_SIZE) {
    throw invalid('its index does not end where the footer begins');
  }
  return footer;
}

/** The name of everything that can be unpacked from the payload. */
export function payloadId(indexDigest: Digest): string {
  return digestHex(indexDigest).slice(0, 32);
}

export function indexDigest(text: string): Digest {
  return sha256Digest(createHash('sha256').update(text, 'latin1').digest('hex'));
}

/** ASCII text, the same for the same value. */
export function encodeIndex(index: PayloadIndex): string {
  const lines: (readonly (string | number)[])[] = [['app', field(index.app)]];
  for (const blob of index.blobs) {
    const filter = blob.filter === undefined ? [] : [blob.filter];
    const numbers = [blob.offset, blob.stored, blob.raw];
    lines.push(['blob', ...numbers, digestHex(blob.digest), ...filter]);
  }
  for (const host of index.hosts) {
    lines.push(['host', host.name]);
    lines.push(['launcher', host.launcher.size, digestHex(host.launcher.digest)]);
    for (const { guest, elf, blob, args } of host.emulators) {
      const { mask, value } = elf.flags ?? { mask: 0, value: 0 };
      const cpu = [elf.machine, elf.bits, elf.order, mask, value];
      lines.push(['emulator', guest, ...cpu, blob, ...args.map(field)]);
    }
    if (host.translator) {
      lines.push(['translator', ...encodeTranslator(host.translator)]);
      for (const { blob, name } of host.translator.parts) lines.push(['part', blob, field(name)]);
    }
    for (const { blob, path } of host.slices) lines.push(['slice', blob, field(path)]);
  }
  lines.push(['tree', index.tree]);
  for (const line of encodeSurroundings(index.surroundings ?? {}, { encode: field, fail: invalid }))
    lines.push([line]);
  for (const { name, path, args = [], defaults = [] } of index.programs) {
    if (args.length > MAX_WORDS || defaults.length > MAX_WORDS)
      throw invalid('more than 32 arguments');
    lines.push(['program', field(name), field(path), ...args.map(field)]);
    if (defaults.length > 0) lines.push(['defaults', ...defaults.map(field)]);
  }
  for (const node of index.nodes) lines.push(nodeLine(node));
  return `${[FIRST_LINE, ...lines.map((line) => line.join(' '))].join('\n')}\n`;
}

function nodeLine(node: PayloadNode): readonly (string | number)[] {
  switch (node.type) {
    case 'directory':
      return ['dir', octal(node.mode), field(node.path)];
    case 'file':
      return ['file', octal(node.mode), node.size, field(node.path)];
    case 'symlink':
      return ['symlink', field(node.path), field(node.target)];
    case 'hardlink':
      return ['link', field(node.path), field(node.target)];
  }
}

const octal = (mode: number) => mode.toString(8).padStart(4, '0');

/** Bytes as the launcher's manifest writes them. */
function field(bytes: string): string {
  if (bytes === '') return '%';
  return bytes.replace(
    /[^!-$&-~]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

/**
 * Reads an index; refuses whatever `encodeIndex` would not write.
 *
 * @param payloadSize bytes before the index: where blobs may lie
 * @throws UportError UPORT_PAYLOAD_INVALID
 */
export function parseIndex(text: string, payloadSize: number): PayloadIndex {
  const lines = text.split('\n');
  if (lines.pop() !== '') throw invalid('its index does not end with a newline');
  if (lines.length > MAX_LINES) throw invalid('its index has too many lines');
  return new IndexParser(lines, payloadSize).parse();
}

class IndexParser {
  readonly #lines: readonly string[];
  readonly #limit: number;
  #at = 0;

  constructor(lines: readonly string[], limit: number) {
    this.#lines = lines;
    this.#limit = limit;
  }

  parse(): PayloadIndex {
    if (this.#lines[this.#at++] !== FIRST_LINE) throw this.#fault(`is not \`${FIRST_LINE}\``);
    const app = bytes(this.#one('app', 1)[0] as string, this.#fail);
    const blobs = this.#blobs();
    const hosts: PayloadHost[] = [];
    for (let host = this.#optional('host', 1); host; host = this.#optional('host', 1)) {
      hosts.push(this.#host(host[0] as string, blobs.length));
    }
    const tree = this.#reference(this.#one('tree', 1)[0] as string, blobs.length);
    const surroundings = this.#surroundings();
    const programs: PayloadProgram[] = [];
    for (let p = this.#optional('program', 2, true); p; p = this.#optional('program', 2, true)) {
      programs.push(this.#program(p));
    }
    if (programs.length === 0) throw this.#fault('names no program');
    const nodes: PayloadNode[] = [];
    while (this.#at < this.#lines.length) nodes.push(this.#node());
    this.#checkTree(nodes, blobs[tree] as PayloadBlob);
    return { app, blobs, hosts, tree, ...(surroundings && { surroundings }), programs, nodes };
  }

  #surroundings(): ManifestSurroundings | undefined {
    const reader = new SurroundingsReader();
    const codec: LineCodec = {
      encode: field,
      decode: (text) => bytes(text, this.#fail),
      path: (text) => this.#path(text),
      number: (text, max) => this.#number(text, max),
      fail: this.#fail,
    };
    for (let line = this.#lines[this.#at]; line !== undefined; line = this.#lines[this.#at]) {
      const fields = line.split(' ');
      this.#at++;
      if (!reader.read(fields, codec)) {
        this.#at--;
        break;
      }
      if (fields.includes('')) throw this.#fault('has an empty field');
    }
    return reader.result();
  }

  #program([name, path, ...args]: readonly string[]): PayloadProgram {
    const defaults = this.#optional('defaults', 1, true) ?? [];
    if (args.length > MAX_WORDS || defaults.length > MAX_WORDS) {
      throw this.#fault('has more than 32 arguments');
    }
    return {
      name: bytes(name as string, this.#fail),
      path: this.#path(path as string),
      ...(args.length > 0 && { args: args.map((arg) => bytes(arg, this.#fail)) }),
      ...(defaults.length > 0 && { defaults: defaults.map((arg) => bytes(arg, this.#fail)) }),
    };
  }

  readonly #fail = (what: string): UportError => this.#fault(what);

  #fault(what: string): UportError {
    return invalid(`line ${this.#at} of its index ${what}`);
  }

  #optional(keyword: string, count: number, more = false): readonly string[] | undefined {
    const fields = this.#lines[this.#at]?.split(' ') ?? [];
    if (fields[0] !== keyword) return undefined;
    this.#at++;
    const rest = fields.slice(1);
    if (rest.length < count || (!more && rest.length > count) || rest.includes('')) {
      throw this.#fault(`has ${rest.length} fields`);
    }
    return rest;
  }

  #one(keyword: string, count: number): readonly string[] {
    const fields = this.#optional(keyword, count);
    if (fields) return fields;
    this.#at++;
    throw this.#fault(`is not a ${keyword} line`);
  }

  #many<T>(keyword: string, count: number, read: (fields: readonly string[]) => T): T[] {
    const values: T[] = [];
    for (let next = this.#optional(keyword, count); next; next = this.#optional(keyword, count)) {
      values.push(read(next));
    }
    return values;
  }

  #number(text: string, max: number): number {
    const value = /^(0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
    if (!(value <= max)) throw this.#fault('has a number that is out of range');
    return value;
  }

  #reference(text: string, blobs: number): number {
    return this.#number(text, blobs - 1);
  }

  #digest(hex: string): Digest {
    if (!/^[0-9a-f]{64}$/.test(hex)) throw this.#fault('has no sha256');
    return sha256Digest(hex);
  }

  #path(text: string): BytePath {
    try {
      return parseBytePath(bytes(text, this.#fail));
    } catch {
      throw this.#fault('has a path that leads elsewhere');
    }
  }

  #mode(text: string): number {
    if (!/^[0-7]{4}$/.test(text)) throw this.#fault('has no mode');
    return Number.parseInt(text, 8);
  }

  #blobs(): PayloadBlob[] {
    const blobs: PayloadBlob[] = [];
    for (let f = this.#optional('blob', 4, true); f; f = this.#optional('blob', 4, true)) {
      blobs.push(this.#blob(f));
    }
    return blobs;
  }

  #blob([offset, stored, raw, sha256, filterName, ...more]: readonly string[]): PayloadBlob {
    const filter = BRANCH_FILTERS.find((name) => name === filterName);
    if (more.length > 0 || (filterName !== undefined && filter === undefined)) {
      throw this.#fault('has an unknown filter');
    }
    const blob: PayloadBlob = {
      offset: this.#number(offset as string, this.#limit),
      stored: this.#number(stored as string, this.#limit),
      raw: this.#number(raw as string, Number.MAX_SAFE_INTEGER),
      digest: this.#digest(sha256 as string),
      ...(filter !== undefined && { filter }),
    };
    if (blob.offset + blob.stored > this.#limit) throw this.#fault('is a blob past the end');
    return blob;
  }

  #host(name: string, blobs: number): PayloadHost {
    if (!/^[a-z0-9_]{1,32}$/.test(name)) throw this.#fault('is no host');
    const [size, sha256] = this.#one('launcher', 2) as [string, string];
    const launcher = {
      size: this.#number(size, Number.MAX_SAFE_INTEGER),
      digest: this.#digest(sha256),
    };
    const emulators: PayloadEmulator[] = [];
    for (let e = this.#optional('emulator', 7, true); e; e = this.#optional('emulator', 7, true)) {
      emulators.push(this.#emulator(e, blobs));
    }
    const translator = this.#translator(emulators, blobs);
    const slices = this.#many('slice', 2, ([blob, path]) => ({
      blob: this.#reference(blob as string, blobs),
      path: this.#path(path as string),
    }));
    return { name, launcher, emulators, ...(translator && { translator }), slices };
  }

  #translator(emulators: readonly PayloadEmulator[], blobs: number): PayloadTranslator | undefined {
    const fields = this.#optional('translator', 3);
    if (fields === undefined) return undefined;
    const translator = parseTranslator(fields, this.#fail);
    if (!emulators.some(({ guest }) => guest === translator.guest)) {
      throw this.#fault('is a translator for programs that have no emulator');
    }
    const parts = this.#many('part', 2, ([blob, name]) => {
      const file = bytes(name as string, this.#fail);
      if (!isFileName(file)) throw this.#fault('has no name of a file');
      return { blob: this.#reference(blob as string, blobs), name: file };
    });
    if (parts.length === 0 || parts.length > MAX_PARTS) {
      throw this.#fault(`has a translator of no file, or of more than ${MAX_PARTS}`);
    }
    if (new Set(parts.map(({ name }) => name)).size < parts.length) {
      throw this.#fault('has a translator with two files of one name');
    }
    return { ...translator, parts };
  }

  #emulator(fields: readonly string[], blobs: number): PayloadEmulator {
    const [guest, machine, bits, order, mask, value, blob, ...args] = fields as [
      string,
      string,
      string,
      string,
      string,
      string,
      string,
      ...string[],
    ];
    if (!/^[A-Za-z0-9_-]{1,32}$/.test(guest)) throw this.#fault('is an emulator of no CPU');
    if (bits !== '32' && bits !== '64') throw this.#fault('is neither 32 nor 64 bits');
    if (order !== 'lsb' && order !== 'msb') throw this.#fault('is neither lsb nor msb');
    const flags = {
      mask: this.#number(mask, 0xffffffff),
      value: this.#number(value, 0xffffffff),
    };
    if ((flags.value & ~flags.mask) !== 0) throw this.#fault('has flags outside their mask');
    return {
      guest,
      elf: {
        machine: this.#number(machine, 0xffff),
        bits: bits === '32' ? 32 : 64,
        order,
        ...(flags.mask !== 0 && { flags }),
      },
      blob: this.#reference(blob, blobs),
      args: args.map((arg) => bytes(arg, this.#fail)),
    };
  }

  #node(): PayloadNode {
    const dir = this.#optional('dir', 2);
    if (dir) {
      const [mode, path] = dir as [string, string];
      return { type: 'directory', path: this.#path(path), mode: this.#mode(mode) };
    }
    const file = this.#optional('file', 3);
    if (file) {
      const [mode, size, path] = file as [string, string, string];
      return {
        type: 'file',
        path: this.#path(path),
        mode: this.#mode(mode),
        size: this.#number(size, Number.MAX_SAFE_INTEGER),
      };
    }
    const symlink = this.#optional('symlink', 2);
    if (symlink) {
      const [path, target] = symlink as [string, string];
      return { type: 'symlink', path: this.#path(path), target: bytes(target, this.#fail) };
    }
    const [path, target] = this.#one('link', 2) as [string, string];
    return { type: 'hardlink', path: this.#path(path), target: this.#path(target) };
  }

  #checkTree(nodes: readonly PayloadNode[], blob: PayloadBlob): void {
    const seen = new Map<string, PayloadNode['type']>();
    let total = 0;
    for (const node of nodes) {
      const parent = node.path.slice(0, Math.max(0, node.path.lastIndexOf('/')));
      if (seen.has(node.path) || (parent !== '' && seen.get(parent) !== 'directory')) {
        throw invalid('its index names a path twice, or one whose folder is missing');
      }
      if (node.type === 'hardlink' && seen.get(node.target) !== 'file') {
        throw invalid('its index has a hard link to no file before it');
      }
      if (node.type === 'file') total += node.size;
      seen.set(node.path, node.type);
    }
    if (total !== blob.raw) throw invalid("its files' sizes do not add up to the tree blob's");
  }
}

/** The inverse of `field`. */
function bytes(text: string, fail: (what: string) => UportError): string {
  if (text === '%') return '';
  if (!/^[!-~]+$/.test(text)) throw fail('has a byte that is not percent-encoded');
  return text.replace(/%(.{0,2})/g, (_, hex: string) => {
    const char = /^[0-9A-F]{2}$/.test(hex) ? String.fromCharCode(Number.parseInt(hex, 16)) : '\0';
    if (char === '\0' || /[!-$&-~]/.test(char)) throw fail('has a wrong percent-encoding');
    return char;
  });
}

function invalid(what: string): UportError {
  return new UportError({
    code: 'UPORT_PAYLOAD_INVALID',
    category: 'input',
    message: `the file's payload is damaged: ${what}`,
    hint: 'get the file again, or build it again',
  });
}
