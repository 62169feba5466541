// What an app is started in: lines that the launcher's manifest and the index of a payload share.
// surroundings.c reads the same. Strings are bytes, each character one (Latin-1).
import type { ManifestCpu } from './manifest.ts';

/** One variable of the app's environment. */
export type ManifestSetting =
  /** Of every program that the app starts. */
  | { readonly kind: 'env'; readonly name: string; readonly value: string }
  | { readonly kind: 'unset'; readonly name: string }
  /** Of programs of the guest's CPU only: host programs never see it. */
  | { readonly kind: 'guest-env'; readonly name: string; readonly value: string }
  /** The same, with files of the app by their absolute names, before what the variable holds. */
  | { readonly kind: 'guest-paths'; readonly name: string; readonly paths: readonly string[] };

export interface ManifestSurroundings {
  /** The CPU that `guest-env` and `guest-paths` are for. */
  readonly guest?: { readonly name: string; readonly elf: ManifestCpu };
  readonly settings?: readonly ManifestSetting[];
  /** A folder, relative to the manifest's or absolute. */
  readonly workdir?: string;
  /** The unpacked tree is the root of the app's file system; paths are names in it. */
  readonly wholeRoot?: boolean;
}

/** What the launcher takes at most. */
export const SURROUNDINGS_LIMITS = Object.freeze({ settings: 256, paths: 32, args: 32 });

/** How a reader and a writer of such lines treat values. */
export interface LineCodec {
  encode(value: string): string;
  decode(field: string): string;
  path(field: string): string;
  number(field: string, max: number): number;
  fail(what: string): Error;
}

/** The lines of it. */
export function encodeSurroundings(
  { guest, settings = [], workdir, wholeRoot }: ManifestSurroundings,
  codec: Pick<LineCodec, 'encode' | 'fail'>,
): readonly string[] {
  const lines: string[] = [];
  if (guest !== undefined) {
    const { mask, value } = guest.elf.flags ?? { mask: 0, value: 0 };
    const { machine, bits, order } = guest.elf;
    lines.push(['guest', guest.name, machine, bits, order, mask, value].join(' '));
  }
  if (settings.length > SURROUNDINGS_LIMITS.settings) {
    throw codec.fail(`more than ${SURROUNDINGS_LIMITS.settings} variables`);
  }
  for (const setting of settings) {
    if (setting.name === '' || setting.name.includes('=')) {
      throw codec.fail('name that no variable can have');
    }
    if (setting.kind.startsWith('guest-') && guest === undefined) {
      throw codec.fail('a variable of the guest, and no guest');
    }
    lines.push([setting.kind, ...valuesOf(setting, codec).map(codec.encode)].join(' '));
  }
  if (workdir !== undefined) {
    if (workdir === '') throw codec.fail('empty path');
    lines.push(`workdir ${codec.encode(workdir)}`);
  }
  if (wholeRoot) lines.push('whole-root');
  return lines;
}

function valuesOf(setting: ManifestSetting, codec: Pick<LineCodec, 'fail'>): readonly string[] {
  switch (setting.kind) {
    case 'unset':
      return [setting.name];
    case 'guest-paths':
      if (setting.paths.length === 0 || setting.paths.includes('')) throw codec.fail('empty path');
      if (setting.paths.length > SURROUNDINGS_LIMITS.paths) throw codec.fail('more than 32 paths');
      return [setting.name, ...setting.paths];
    default:
      return [setting.name, setting.value];
  }
}

/** Collects such lines as they come. */
export class SurroundingsReader {
  #guest: ManifestSurroundings['guest'];
  readonly #settings: ManifestSetting[] = [];
  #workdir: string | undefined;
  #wholeRoot = false;

  /** Whether there was a line yet. */
  get begun(): boolean {
    return this.#guest !== undefined || this.#settings.length > 0 || this.#isLate;
  }

  get #isLate(): boolean {
    return this.#workdir !== undefined || this.#wholeRoot;
  }

  /** @returns whether it is such a line */
  read(fields: readonly string[], codec: LineCodec): boolean {
    const [keyword, ...rest] = fields;
    switch (keyword) {
      case 'guest':
        if (this.begun) throw codec.fail('keyword that is unknown or out of order');
        this.#guest = readGuest(rest, codec);
        return true;
      case 'env':
      case 'unset':
      case 'guest-env':
      case 'guest-paths':
        this.#setting(keyword, rest, codec);
        return true;
      case 'workdir':
        if (this.#isLate) return false;
        if (rest.length !== 1) throw codec.fail('too few or too many fields');
        this.#workdir = codec.path(rest[0] as string);
        return true;
      case 'whole-root':
        if (this.#wholeRoot) return false;
        if (rest.length !== 0) throw codec.fail('too few or too many fields');
        this.#wholeRoot = true;
        return true;
      default:
        return false;
    }
  }

  #setting(kind: ManifestSetting['kind'], fields: readonly string[], codec: LineCodec): void {
    if (this.#isLate || (kind.startsWith('guest-') && this.#guest === undefined)) {
      throw codec.fail('keyword that is unknown or out of order');
    }
    if (this.#settings.length === SURROUNDINGS_LIMITS.settings) {
      throw codec.fail('more than 256 variables');
    }
    const [first, ...values] = fields;
    const name = codec.decode(first ?? '%');
    if (name === '' || name.includes('=')) throw codec.fail('name that no variable can have');
    if (kind === 'guest-paths') {
      if (values.length === 0) throw codec.fail('too few fields');
      if (values.length > SURROUNDINGS_LIMITS.paths) throw codec.fail('more than 32 paths');
      this.#settings.push(
        Object.freeze({ kind, name, paths: Object.freeze(values.map((each) => codec.path(each))) }),
      );
      return;
    }
    if (values.length !== (kind === 'unset' ? 0 : 1)) {
      throw codec.fail('too few or too many fields');
    }
    const value = kind === 'unset' ? undefined : codec.decode(values[0] as string);
    this.#settings.push(
      Object.freeze(kind === 'unset' ? { kind, name } : { kind, name, value: value as string }),
    );
  }

  /** Undefined when there was no such line. */
  result(): ManifestSurroundings | undefined {
    if (!this.begun) return undefined;
    return Object.freeze({
      ...(this.#guest && { guest: this.#guest }),
      ...(this.#settings.length > 0 && { settings: Object.freeze([...this.#settings]) }),
      ...(this.#workdir !== undefined && { workdir: this.#workdir }),
      ...(this.#wholeRoot && { wholeRoot: true }),
    });
  }
}

function readGuest(fields: readonly string[], codec: LineCodec): ManifestSurroundings['guest'] {
  const [name, machine, bits, order, mask, value] = fields as string[];
  if (fields.length !== 6) throw codec.fail('too few or too many fields');
  if (!/^[A-Za-z0-9_-]{1,32}$/.test(name as string)) {
    throw codec.fail('name with other bytes than A-Z a-z 0-9 _ -');
  }
  if (bits !== '32' && bits !== '64') throw codec.fail('class that is neither 32 nor 64');
  if (order !== 'lsb' && order !== 'msb')
    throw codec.fail('byte order that is neither lsb nor msb');
  const flags = {
    mask: codec.number(mask as string, 0xffffffff),
    value: codec.number(value as string, 0xffffffff),
  };
  if ((flags.value & ~flags.mask) !== 0) throw codec.fail('flags outside their mask');
  return Object.freeze({
    name: name as string,
    elf: Object.freeze({
      machine: codec.number(machine as string, 0xffff),
      bits: bits === '32' ? 32 : 64,
      order,
      ...(flags.mask === 0 ? {} : { flags: Object.freeze(flags) }),
    }),
  });
}
