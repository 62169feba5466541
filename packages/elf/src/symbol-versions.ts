// Symbol versions: Verneed, Vernaux, Verdef, Verdaux of the Linux Standard Base, "Symbol Versioning".
import { type ByteSource, readRange } from './byte-source.ts';
import type { AddressRange } from './dynamic.ts';
import { readDynamicStringBytes } from './dynamic-strings.ts';
import type { Elf } from './elf.ts';
import { invalid } from './errors.ts';
import { type ElfFormat, type Fields, fieldsOf } from './fields.ts';
import { mapAddress } from './program-header.ts';

/** A version that must be there when the dynamic linker binds. */
export interface VersionNeed {
  readonly name: string;
  /** VER_FLG_WEAK: the linker warns and goes on. */
  readonly weak: boolean;
}

/** What is needed of one library. */
export interface NeededVersions {
  /** The library, as DT_NEEDED names it. */
  readonly library: string;
  readonly versions: readonly VersionNeed[];
}

export interface SymbolVersions {
  readonly needed: readonly NeededVersions[];
  /** What it has, without the base version, which is the library's own name. */
  readonly defined: readonly string[];
}

const VER_FLG_BASE = 1;
const VER_FLG_WEAK = 2;

/** All entries of a file; real ones have some hundreds. */
const MAX_ENTRIES = 65_536;
const MAX_TABLE = 4n << 20n;

/** Offsets of the fields of both record kinds. The two word sizes have the same layout. */
const NEED = { size: 16, count: 2, file: 4, aux: 8, next: 12 } as const;
const NEED_AUX = { size: 16, flags: 4, name: 8, next: 12 } as const;
const DEF = { size: 20, flags: 2, count: 6, aux: 12, next: 16 } as const;
const DEF_AUX = { size: 8, name: 0 } as const;

/** Bytes of a name; real ones are a few dozen. */
const MAX_NAME = 1024;

const NONE: SymbolVersions = Object.freeze({ needed: [], defined: [] });

/**
 * Reads the symbol versions that a program or library needs and has.
 *
 * @param strings what `readDynamicStringBytes` gave, if it was read already
 * @throws UportError UPORT_ELF_TRUNCATED, UPORT_ELF_OUT_OF_BOUNDS, UPORT_ELF_INVALID
 */
export async function readSymbolVersions(
  source: ByteSource,
  elf: Elf,
  strings?: Buffer,
): Promise<SymbolVersions> {
  const { dynamic, identity } = elf;
  if (!dynamic?.versionsNeeded && !dynamic?.versionsDefined) return NONE;
  const names = strings ?? (await readDynamicStringBytes(source, elf));
  const name = (index: number): string => {
    const length = names.subarray(index, index + MAX_NAME + 1).indexOf(0);
    if (length < 0) {
      throw invalid('the name of a symbol version is outside the string table, or too long', 0);
    }
    return names.toString('latin1', index, index + length);
  };
  const open = (table: AddressRange) => openTable(source, elf, identity, table);
  return Object.freeze({
    needed: dynamic.versionsNeeded ? readNeeded(await open(dynamic.versionsNeeded), name) : [],
    defined: dynamic.versionsDefined ? readDefined(await open(dynamic.versionsDefined), name) : [],
  });
}

interface Table {
  readonly fields: Fields;
  /** Bytes. */
  readonly size: number;
  /** Entries that the dynamic section promises. */
  readonly entries: number;
}

/** The table has no size of its own: all that is mapped after its start, up to a bound. */
async function openTable(
  source: ByteSource,
  elf: Elf,
  format: ElfFormat,
  { address, size: entries }: AddressRange,
): Promise<Table> {
  const mapped = mapAddress(elf.segments, address);
  if (!mapped) throw invalid('a table of symbol versions is in no PT_LOAD', 0);
  if (entries > MAX_ENTRIES) throw invalid('there are too many symbol versions', mapped.offset);
  // Versions lie close together: most tables are in the first window.
  const window = 16_384n + entries * 64n;
  const length = [mapped.length, MAX_TABLE, window].reduce((a, b) => (a < b ? a : b));
  const bytes = await readRange(source, mapped.offset, length, 'a table of symbol versions');
  return { fields: fieldsOf(bytes, format), size: bytes.length, entries: Number(entries) };
}

/** Follows a chain of records; `next` of 0 ends it. */
function* chain(
  table: Table,
  start: number,
  count: number,
  layout: { readonly size: number; readonly next: number },
  budget: { left: number },
): Generator<number> {
  let at = start;
  for (let index = 0; index < count; index++) {
    if (at + layout.size > table.size) throw invalid('a symbol version runs past its table', at);
    if (budget.left-- <= 0) throw invalid('there are too many symbol versions', at);
    yield at;
    const next = table.fields.u32(at + layout.next);
    if (next === 0) return;
    at += next;
  }
}

function readNeeded(table: Table, name: (index: number) => string): readonly NeededVersions[] {
  const { fields } = table;
  const budget = { left: MAX_ENTRIES };
  const needed: NeededVersions[] = [];
  for (const at of chain(table, 0, table.entries, NEED, budget)) {
    const versions: VersionNeed[] = [];
    const start = at + fields.u32(at + NEED.aux);
    for (const aux of chain(table, start, fields.u16(at + NEED.count), NEED_AUX, budget)) {
      versions.push({
        name: name(fields.u32(aux + NEED_AUX.name)),
        weak: (fields.u16(aux + NEED_AUX.flags) & VER_FLG_WEAK) !== 0,
      });
    }
    needed.push({ library: name(fields.u32(at + NEED.file)), versions });
  }
  return needed;
}

function readDefined(table: Table, name: (index: number) => string): readonly string[] {
  const { fields } = table;
  const budget = { left: MAX_ENTRIES };
  const defined: string[] = [];
  for (const at of chain(table, 0, table.entries, DEF, budget)) {
    if (fields.u16(at + DEF.flags) & VER_FLG_BASE) continue;
    // The first auxiliary entry is the version's name; further ones name what it inherits.
    const aux = at + fields.u32(at + DEF.aux);
    if (fields.u16(at + DEF.count) === 0) continue;
    if (aux + DEF_AUX.size > table.size) throw invalid('a symbol version runs past its table', at);
    defined.push(name(fields.u32(aux + DEF_AUX.name)));
  }
  return defined;
}
