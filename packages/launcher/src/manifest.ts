// The launcher's manifest, docs/formats/launcher-manifest.md. manifest.c reads the same: one value
// has one spelling, and both refuse everything else.
import { UportError } from '@uport/errors';
import {
  encodeSurroundings,
  type LineCodec,
  type ManifestSurroundings,
  SURROUNDINGS_LIMITS,
  SurroundingsReader,
} from './surroundings.ts';

/** e_machine, EI_CLASS, EI_DATA and the e_flags bits of the programs an emulator runs. */
export interface ManifestCpu {
  readonly machine: number;
  readonly bits: 32 | 64;
  readonly order: 'lsb' | 'msb';
  readonly flags?: { readonly mask: number; readonly value: number };
}

/** Paths and arguments are bytes: each character stands for one (Latin-1). */
export interface ManifestEmulator {
  /** The guest CPU's name, for messages. */
  readonly name: string;
  readonly elf: ManifestCpu;
  /** Relative to the manifest's folder, or absolute. */
  readonly path: string;
  /** Options put before the program. */
  readonly args: readonly string[];
}

/**
 * An emulator other than QEMU, which is tried before it. Its folder, the program in it and a second name
 * of the launcher, `translate`, lie beside the manifest.
 */
export interface ManifestTranslator {
  /** The name of an emulator of the manifest. */
  readonly guest: string;
  /** Of its folder, and of the program in it. */
  readonly name: 'box64';
  /** Its ELF interpreter, in its folder. */
  readonly loader: string;
}

/** A program of an unpacked app. */
export interface ManifestProgram {
  /** What argv[0] ends with when this one is asked for. */
  readonly name: string;
  /** As an emulator's. */
  readonly path: string;
  /** Come before the caller's arguments. */
  readonly args?: readonly string[];
  /** Come in place of the caller's arguments when there are none. */
  readonly defaults?: readonly string[];
}

/** A file that must be as it was unpacked. */
export interface ManifestUnpacked {
  readonly path: string;
  /** In bytes. */
  readonly size: number;
}

export interface Manifest {
  /** The first one that fits a program runs it. */
  readonly emulators: readonly ManifestEmulator[];
  readonly translator?: ManifestTranslator;
  /** What the app is started in. */
  readonly surroundings?: ManifestSurroundings;
  /** The first one is the default. */
  readonly programs?: readonly ManifestProgram[];
  readonly unpacked?: readonly ManifestUnpacked[];
}

/** What the launcher takes at most; sizes in bytes. */
export const MANIFEST_LIMITS = Object.freeze({
  fileSize: 65536,
  emulators: 64,
  programs: 512,
  unpacked: 1024,
  args: 32,
  nameSize: 32,
  valueSize: 4095,
});

const FIRST_LINE = 'uport-manifest 1';
const NAME = /^[A-Za-z0-9_-]+$/;
const PLAIN = /^[!-$&-~]$/;

export function invalid(message: string): UportError {
  return new UportError({
    code: 'UPORT_MANIFEST_INVALID',
    category: 'input',
    message,
    hint: 'see docs/formats/launcher-manifest.md',
  });
}

function checkValue(value: string, what: string): void {
  for (const char of value) {
    if (char === '\0') throw invalid(`${what} holds a NUL byte`);
    if (char > '\xff') throw invalid(`${what} holds a character that is not a byte`);
  }
  if (value.length > MANIFEST_LIMITS.valueSize) {
    throw invalid(`${what} has more than ${MANIFEST_LIMITS.valueSize} bytes`);
  }
}

export function checkPath(path: string): void {
  checkValue(path, 'the path');
  if (path === '') throw invalid('the path is empty');
}

export function encodeValue(value: string): string {
  if (value === '') return '%';
  return Array.from(value, (char) => {
    if (PLAIN.test(char)) return char;
    return `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');
}

function decodeValue(field: string, fail: (what: string) => UportError): string {
  if (field === '%') return '';
  const value = field.replace(/%(..)?/gs, (_, hex: string | undefined) => {
    if (!hex || !/^[0-9A-F]{2}$/.test(hex)) throw fail('% without two upper-case hex digits');
    const char = String.fromCharCode(Number.parseInt(hex, 16));
    if (char === '\0') throw fail('NUL byte');
    if (PLAIN.test(char)) throw fail('percent-encoded byte that needs no encoding');
    return char;
  });
  if (value.length > MANIFEST_LIMITS.valueSize) throw fail('value of more than 4095 bytes');
  return value;
}

export function decodePath(field: string, fail: (what: string) => UportError): string {
  const path = decodeValue(field, fail);
  if (path === '') throw fail('empty path');
  return path;
}

function checkNumber(value: number, max: number, what: string): void {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw invalid(`${what} is not a whole number from 0 to ${max}`);
  }
}

function encodeEmulator(emulator: ManifestEmulator): string {
  const { name, elf, path, args } = emulator;
  const { mask, value } = elf.flags ?? { mask: 0, value: 0 };
  if (!NAME.test(name) || name.length > MANIFEST_LIMITS.nameSize) {
    throw invalid(`${JSON.stringify(name)} is not a name of 1 to 32 bytes of A-Z a-z 0-9 _ -`);
  }
  checkNumber(elf.machine, 0xffff, 'machine');
  if (elf.bits !== 32 && elf.bits !== 64) throw invalid('bits is neither 32 nor 64');
  if (elf.order !== 'lsb' && elf.order !== 'msb') throw invalid('order is neither lsb nor msb');
  checkNumber(mask, 0xffffffff, 'the mask of the flags');
  checkNumber(value, 0xffffffff, 'the value of the flags');
  if ((value & ~mask) !== 0) throw invalid('the value of the flags has bits outside the mask');
  checkPath(path);
  if (args.length > MANIFEST_LIMITS.args) throw invalid('more than 32 arguments');
  for (const arg of args) checkValue(arg, 'an argument');
  const fields = [name, elf.machine, elf.bits, elf.order, mask, value];
  return ['emulator', ...fields, ...[path, ...args].map(encodeValue)].join(' ');
}

/** Whether it names a file in a folder. */
export function isFileName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/');
}

/** The fields of a translator's line, after its keyword; the index of a payload has the same. */
export function encodeTranslator({ guest, name, loader }: ManifestTranslator): readonly string[] {
  if (!NAME.test(guest) || guest.length > MANIFEST_LIMITS.nameSize) {
    throw invalid(`${JSON.stringify(guest)} is not a name of 1 to 32 bytes of A-Z a-z 0-9 _ -`);
  }
  if (name !== 'box64') throw invalid(`${JSON.stringify(name)} is no emulator that is known`);
  checkValue(loader, 'the loader');
  if (!isFileName(loader)) throw invalid('the loader is no name of a file');
  return [guest, name, encodeValue(loader)];
}

/** @param fields those after the keyword */
export function parseTranslator(
  fields: readonly string[],
  fail: (what: string) => UportError,
): ManifestTranslator {
  const [guest, name, loader] = fields;
  if (guest === undefined || name === undefined || loader === undefined || fields.length > 3) {
    throw fail('too few or too many fields');
  }
  if (!NAME.test(guest)) throw fail('name with other bytes than A-Z a-z 0-9 _ -');
  if (guest.length > MANIFEST_LIMITS.nameSize) throw fail('name of more than 32 bytes');
  if (name !== 'box64') throw fail('emulator that is not known');
  const file = decodeValue(loader, fail);
  if (!isFileName(file)) throw fail('field that must be the name of a file');
  return Object.freeze({ guest, name, loader: file });
}

function encodeProgram(program: ManifestProgram): readonly string[] {
  const { name, path, args = [], defaults = [] } = program;
  checkValue(name, 'the name of a program');
  checkPath(path);
  for (const list of [args, defaults]) {
    if (list.length > SURROUNDINGS_LIMITS.args) throw invalid('more than 32 arguments');
    for (const arg of list) checkValue(arg, 'an argument');
  }
  const line = ['program', ...[name, path, ...args].map(encodeValue)].join(' ');
  if (defaults.length === 0) return [line];
  return [line, ['defaults', ...defaults.map(encodeValue)].join(' ')];
}

function encodeUnpacked({ path, size }: ManifestUnpacked): string {
  checkPath(path);
  checkNumber(size, Number.MAX_SAFE_INTEGER, 'the size');
  return `unpacked ${encodeValue(path)} ${size}`;
}

function checkCount(list: readonly unknown[], max: number, what: string): void {
  if (list.length > max) throw invalid(`more than ${max} ${what}`);
}

/**
 * The text of a manifest: ASCII, the same for the same value.
 *
 * @throws UportError UPORT_MANIFEST_INVALID when the launcher would not take it
 */
export function encodeManifest(manifest: Manifest): string {
  const { emulators, translator, surroundings = {}, programs = [], unpacked = [] } = manifest;
  checkCount(emulators, MANIFEST_LIMITS.emulators, 'emulators');
  if (translator && !emulators.some(({ name }) => name === translator.guest)) {
    throw invalid('a translator for programs that have no emulator');
  }
  checkCount(programs, MANIFEST_LIMITS.programs, 'programs');
  checkCount(unpacked, MANIFEST_LIMITS.unpacked, 'unpacked files');
  const text = [
    FIRST_LINE,
    ...emulators.map(encodeEmulator),
    ...(translator ? [['translator', ...encodeTranslator(translator)].join(' ')] : []),
    ...encodeSurroundings(surroundings, {
      encode(value) {
        checkValue(value, 'a variable');
        return encodeValue(value);
      },
      fail: invalid,
    }),
    ...programs.flatMap(encodeProgram),
    ...unpacked.map(encodeUnpacked),
    '',
  ].join('\n');
  if (text.length > MANIFEST_LIMITS.fileSize) {
    throw invalid(`more than ${MANIFEST_LIMITS.fileSize} bytes in all`);
  }
  return text;
}

function parseNumber(field: string, max: number, fail: (what: string) => UportError): number {
  if (!/^[0-9]+$/.test(field)) throw fail('field that must be a decimal number');
  if (field.length > 1 && field.startsWith('0')) throw fail('number with a leading zero');
  const value = Number(field);
  if (value > max) throw fail('number out of range');
  return value;
}

function parseEmulator(
  fields: readonly string[],
  fail: (what: string) => UportError,
): ManifestEmulator {
  const [, name, machine, bits, order, mask, value, path, ...args] = fields;
  if (path === undefined) throw fail('too few fields');
  const emulatorName = name as string;
  if (!NAME.test(emulatorName)) throw fail('name with other bytes than A-Z a-z 0-9 _ -');
  if (emulatorName.length > MANIFEST_LIMITS.nameSize) throw fail('name of more than 32 bytes');
  if (bits !== '32' && bits !== '64') throw fail('class that is neither 32 nor 64');
  if (order !== 'lsb' && order !== 'msb') throw fail('byte order that is neither lsb nor msb');
  const flags = {
    mask: parseNumber(mask as string, 0xffffffff, fail),
    value: parseNumber(value as string, 0xffffffff, fail),
  };
  if ((flags.value & ~flags.mask) !== 0) throw fail('flags outside their mask');
  if (args.length > MANIFEST_LIMITS.args) throw fail('more than 32 arguments');
  return Object.freeze({
    name: emulatorName,
    elf: Object.freeze({
      machine: parseNumber(machine as string, 0xffff, fail),
      bits: bits === '32' ? 32 : 64,
      order,
      ...(flags.mask === 0 ? {} : { flags: Object.freeze(flags) }),
    }),
    path: decodePath(path, fail),
    args: Object.freeze(args.map((arg) => decodeValue(arg, fail))),
  });
}

function parseProgram(
  fields: readonly string[],
  fail: (what: string) => UportError,
): ManifestProgram {
  const [, name, path, ...args] = fields;
  if (name === undefined || path === undefined) throw fail('too few or too many fields');
  if (args.length > SURROUNDINGS_LIMITS.args) throw fail('more than 32 arguments');
  return Object.freeze({
    name: decodeValue(name, fail),
    path: decodePath(path, fail),
    ...(args.length > 0 && { args: Object.freeze(args.map((arg) => decodeValue(arg, fail))) }),
  });
}

function parseDefaults(
  fields: readonly string[],
  program: ManifestProgram | undefined,
  fail: (what: string) => UportError,
): ManifestProgram {
  if (program === undefined || program.defaults !== undefined) {
    throw fail('keyword that is unknown or out of order');
  }
  const words = fields.slice(1);
  if (words.length === 0) throw fail('too few or too many fields');
  if (words.length > SURROUNDINGS_LIMITS.args) throw fail('more than 32 arguments');
  const defaults = Object.freeze(words.map((word) => decodeValue(word, fail)));
  return Object.freeze({ ...program, defaults });
}

function parseUnpacked(
  fields: readonly string[],
  fail: (what: string) => UportError,
): ManifestUnpacked {
  if (fields.length !== 3) throw fail('too few or too many fields');
  const [, path, size] = fields as [string, string, string];
  return Object.freeze({
    path: decodePath(path, fail),
    size: parseNumber(size, Number.MAX_SAFE_INTEGER, fail),
  });
}

function lineCodec(fail: (what: string) => UportError): LineCodec {
  return {
    encode: encodeValue,
    decode: (field) => decodeValue(field, fail),
    path: (field) => decodePath(field, fail),
    number: (field, max) => parseNumber(field, max, fail),
    fail,
  };
}

/**
 * Reads the text of a manifest, one character for each byte.
 *
 * @throws UportError UPORT_MANIFEST_INVALID for everything that the launcher would refuse
 */
export function parseManifest(text: string): Manifest {
  if (text.length > MANIFEST_LIMITS.fileSize) throw invalid('more than 65536 bytes in all');
  const lines = text.split('\n');
  if (lines.pop() !== '') throw invalid(`line ${lines.length + 1}: no newline at its end`);
  const emulators: ManifestEmulator[] = [];
  let translator: ManifestTranslator | undefined;
  const programs: ManifestProgram[] = [];
  const unpacked: ManifestUnpacked[] = [];
  const surroundings = new SurroundingsReader();
  for (const [index, line] of lines.entries()) {
    const fail = (what: string) => invalid(`line ${index + 1}: ${what}`);
    if (index === 0) {
      if (line !== FIRST_LINE) throw fail(`not \`${FIRST_LINE}\``);
      continue;
    }
    const fields = line.split(' ');
    if (fields.includes('')) throw fail('empty field');
    if (!/^[ -~]*$/.test(line)) throw fail('byte that is not percent-encoded');
    const [keyword] = fields;
    const beforePrograms = programs.length === 0 && unpacked.length === 0;
    const first = beforePrograms && !surroundings.begun && translator === undefined;
    if (keyword === 'translator' && first) {
      translator = parseTranslator(fields.slice(1), fail);
      const { guest } = translator;
      if (!emulators.some(({ name }) => name === guest)) {
        throw fail('translator for programs that have no emulator');
      }
    } else if (keyword === 'emulator' && first) {
      if (emulators.length === MANIFEST_LIMITS.emulators) throw fail('more than 64 emulators');
      emulators.push(parseEmulator(fields, fail));
    } else if (beforePrograms && surroundings.read(fields, lineCodec(fail))) {
      // It keeps what it read.
    } else if (keyword === 'defaults' && unpacked.length === 0) {
      programs.push(parseDefaults(fields, programs.pop(), fail));
    } else if (keyword === 'program' && unpacked.length === 0) {
      if (programs.length === MANIFEST_LIMITS.programs) throw fail('more than 512 programs');
      programs.push(parseProgram(fields, fail));
    } else if (keyword === 'unpacked') {
      if (unpacked.length === MANIFEST_LIMITS.unpacked) throw fail('more than 1024 unpacked files');
      unpacked.push(parseUnpacked(fields, fail));
    } else {
      throw fail('keyword that is unknown or out of order');
    }
  }
  if (lines.length === 0) throw invalid('line 1: no newline at its end');
  const around = surroundings.result();
  return Object.freeze({
    emulators: Object.freeze(emulators),
    ...(translator && { translator }),
    ...(around && { surroundings: around }),
    ...(programs.length > 0 && { programs: Object.freeze(programs) }),
    ...(unpacked.length > 0 && { unpacked: Object.freeze(unpacked) }),
  });
}
