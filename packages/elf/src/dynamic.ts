// The dynamic section (Elf32_Dyn, Elf64_Dyn): System V gABI, chapter 5 "Dynamic Section".
import { type ByteSource, readRange } from './byte-source.ts';
import { invalid, outOfBounds } from './errors.ts';
import { byteString, type ElfFormat, fieldsOf } from './fields.ts';
import { type FileRange, mapAddress, type ProgramHeader } from './program-header.ts';

export interface ElfDynamic {
  /** DT_NEEDED, in order: the sonames the dynamic linker loads. */
  readonly needed: readonly string[];
  /** The folders of DT_RPATH, `$ORIGIN` and the like unexpanded. */
  readonly rpath: readonly string[];
  /** The folders of DT_RUNPATH. Where it is there, the dynamic linker ignores DT_RPATH. */
  readonly runpath: readonly string[];
  readonly soname?: string;
  /** DT_FLAGS. */
  readonly flags: number;
  /** DT_FLAGS_1. */
  readonly flags1: number;
  /** DF_1_PIE: the linker made it as an executable. Linkers before 2016 do not set it. */
  readonly pie: boolean;
  /** DT_DEBUG, or what MIPS has for it, is there: linkers put it into executables only. */
  readonly debug: boolean;
  /** DT_STRTAB: the names of the dynamic section and of dynamic symbols. */
  readonly strings?: AddressRange;
  /** DT_VERNEED and DT_VERNEEDNUM: the symbol versions it needs. `size` counts entries. */
  readonly versionsNeeded?: AddressRange;
  /** DT_VERDEF and DT_VERDEFNUM: the symbol versions it has. `size` counts entries. */
  readonly versionsDefined?: AddressRange;
}

/** A table in memory, as the dynamic section tells; not yet checked against the file. */
export interface AddressRange {
  readonly address: bigint;
  readonly size: bigint;
}

const DT_NULL = 0n;
const DT_NEEDED = 1n;
const DT_STRTAB = 5n;
const DT_STRSZ = 10n;
const DT_SONAME = 14n;
const DT_RPATH = 15n;
const DT_DEBUG = 21n;
const DT_RUNPATH = 29n;
const DT_FLAGS = 30n;
const DT_FLAGS_1 = 0x6ffffffbn;
const DT_VERDEF = 0x6ffffffcn;
const DT_VERDEFNUM = 0x6ffffffdn;
const DT_VERNEED = 0x6ffffffen;
const DT_VERNEEDNUM = 0x6fffffffn;
const DF_1_PIE = 0x08000000;
const DT_MIPS_RLD_MAP = 0x70000016n;
const DT_MIPS_RLD_MAP_REL = 0x70000035n;
const DEBUG_TAGS = [DT_DEBUG, DT_MIPS_RLD_MAP, DT_MIPS_RLD_MAP_REL];

/** Far above any real file (hundreds); bounds time. */
const MAX_ENTRIES = 65_536;
const MAX_NEEDED = 16_384;
const CHUNK_ENTRIES = 128;

/** One name, and all names together: bounds memory when many entries share one long string. */
const MAX_STRING = 65_536;
const MAX_STRINGS = 1_048_576;

interface Entry {
  readonly tag: bigint;
  readonly value: bigint;
  /** Where it stands in the file. */
  readonly offset: bigint;
}

export async function readDynamic(
  source: ByteSource,
  format: ElfFormat,
  segments: readonly ProgramHeader[],
  segment: ProgramHeader,
): Promise<ElfDynamic> {
  const entries = await readEntries(source, format, segments, segment);
  // The dynamic linker keeps the last entry of a tag, all of DT_NEEDED.
  const last = (tag: bigint) => entries.findLast((entry) => entry.tag === tag);
  const needed = entries.filter((entry) => entry.tag === DT_NEEDED);
  if (needed.length > MAX_NEEDED) {
    throw invalid(
      `there are ${needed.length} DT_NEEDED; at most ${MAX_NEEDED} are read`,
      segment.offset,
    );
  }
  const rpath = last(DT_RPATH);
  const runpath = last(DT_RUNPATH);
  const soname = last(DT_SONAME);
  const asked = [...needed, rpath, runpath, soname].filter((entry) => entry !== undefined);
  const strings =
    asked.length === 0
      ? new Map<bigint, string>()
      : await readStrings(
          source,
          stringTable(segments, segment, last(DT_STRTAB), last(DT_STRSZ)),
          asked,
        );
  const text = (entry: Entry) => strings.get(entry.value) as string;
  const flags1 = Number((last(DT_FLAGS_1)?.value ?? 0n) & 0xffffffffn);
  const range = (address: bigint, size: bigint): AddressRange | undefined => {
    const [start, count] = [last(address), last(size)];
    return start && count && Object.freeze({ address: start.value, size: count.value });
  };
  const table = range(DT_STRTAB, DT_STRSZ);
  const versionsNeeded = range(DT_VERNEED, DT_VERNEEDNUM);
  const versionsDefined = range(DT_VERDEF, DT_VERDEFNUM);
  return Object.freeze({
    needed: Object.freeze(needed.map(text)),
    rpath: Object.freeze(folders(rpath && text(rpath))),
    runpath: Object.freeze(folders(runpath && text(runpath))),
    ...(soname && { soname: text(soname) }),
    flags: Number((last(DT_FLAGS)?.value ?? 0n) & 0xffffffffn),
    flags1,
    pie: (flags1 & DF_1_PIE) !== 0,
    debug: DEBUG_TAGS.some((tag) => last(tag) !== undefined),
    ...(table && { strings: table }),
    ...(versionsNeeded && { versionsNeeded }),
    ...(versionsDefined && { versionsDefined }),
  });
}

/** An empty path names no folder; an empty part of one is the current folder, and is kept. */
function folders(path: string | undefined): string[] {
  return path ? path.split(':') : [];
}

async function readEntries(
  source: ByteSource,
  format: ElfFormat,
  segments: readonly ProgramHeader[],
  segment: ProgramHeader,
): Promise<Entry[]> {
  if (segment.filesz === 0n) {
    throw invalid(
      'the dynamic section is not in the file',
      segment.offset,
      'the file seems to hold only debugging information; give the program itself',
    );
  }
  const size = format.bits === 64 ? 16 : 8;
  // The dynamic linker finds the section by its address; files without PT_LOAD have only the offset.
  const mapped = mapAddress(segments, segment.vaddr);
  const start = mapped?.offset ?? segment.offset;
  const room = mapped && mapped.length < segment.filesz ? mapped.length : segment.filesz;
  const count = room / BigInt(size);
  const entries: Entry[] = [];
  for (let index = 0n; index < count; index += BigInt(CHUNK_ENTRIES)) {
    if (entries.length >= MAX_ENTRIES) {
      throw invalid(`the dynamic section has more than ${MAX_ENTRIES} entries`, start);
    }
    const left = count - index;
    const chunk = left < BigInt(CHUNK_ENTRIES) ? Number(left) : CHUNK_ENTRIES;
    const offset = start + index * BigInt(size);
    const bytes = await readRange(source, offset, BigInt(chunk * size), 'the dynamic section');
    const fields = fieldsOf(bytes, format);
    for (let place = 0; place < bytes.length; place += size) {
      const tag = fields.word(place);
      if (tag === DT_NULL) return entries;
      entries.push({ tag, value: fields.word(place + size / 2), offset: offset + BigInt(place) });
    }
  }
  throw invalid('the dynamic section has no DT_NULL at its end', start);
}

function stringTable(
  segments: readonly ProgramHeader[],
  segment: ProgramHeader,
  table: Entry | undefined,
  size: Entry | undefined,
): FileRange {
  if (!table) throw invalid('the dynamic section has names and no DT_STRTAB', segment.offset);
  const mapped = mapAddress(segments, table.value);
  if (!mapped) {
    throw invalid(
      `DT_STRTAB is address 0x${table.value.toString(16)}, which no PT_LOAD holds`,
      table.offset,
    );
  }
  if (size && size.value > mapped.length) {
    throw outOfBounds(`DT_STRSZ (${size.value} bytes)`, size.offset, mapped.length);
  }
  return { offset: mapped.offset, length: size?.value ?? mapped.length };
}

async function readStrings(
  source: ByteSource,
  table: FileRange,
  entries: readonly Entry[],
): Promise<Map<bigint, string>> {
  const strings = new Map<bigint, string>();
  const names = stringReader(source, table);
  let total = 0;
  for (const entry of entries) {
    if (strings.has(entry.value)) continue;
    if (entry.value >= table.length) {
      throw outOfBounds(`a name (string ${entry.value})`, entry.offset, table.length);
    }
    const name = await names(entry.value);
    total += name.length;
    if (total > MAX_STRINGS) {
      throw invalid(`the names are longer than ${MAX_STRINGS} bytes together`, entry.offset);
    }
    strings.set(entry.value, name);
  }
  return strings;
}

/** Reads NUL-ended names, keeping the last window: names usually lie close together. */
function stringReader(source: ByteSource, table: FileRange): (index: bigint) => Promise<string> {
  const window = 1024n;
  let start = 0n;
  let bytes = new Uint8Array(0);
  const at = async (index: bigint): Promise<Uint8Array> => {
    if (index < start || index >= start + BigInt(bytes.length)) {
      const left = table.length - index;
      const length = left < window ? left : window;
      bytes = Uint8Array.from(
        await readRange(source, table.offset + index, length, 'the dynamic string table'),
      );
      start = index;
    }
    return bytes.subarray(Number(index - start));
  };
  return async (index) => {
    let name = '';
    for (let place = index; place < table.length; ) {
      const rest = await at(place);
      const end = rest.indexOf(0);
      name += byteString(end < 0 ? rest : rest.subarray(0, end));
      if (name.length > MAX_STRING) {
        throw invalid(`a name is longer than ${MAX_STRING} bytes`, table.offset + index);
      }
      if (end >= 0) return name;
      place += BigInt(rest.length);
    }
    throw invalid('a name runs past the end of the string table', table.offset + index);
  };
}
