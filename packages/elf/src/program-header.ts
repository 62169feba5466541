// The program header table (Elf32_Phdr, Elf64_Phdr): System V gABI, chapter 5 "Program Header".
import { type ByteSource, checkRange, readRange } from './byte-source.ts';
import { invalid } from './errors.ts';
import { type ElfFormat, fieldsOf } from './fields.ts';
import { type ElfTables, programHeaderSize, sectionHeaderSize } from './header.ts';

export interface ProgramHeader {
  /** p_type, one of `PT_*` or a number of the CPU's or system's own. */
  readonly type: number;
  /** p_flags: 1 execute, 2 write, 4 read. */
  readonly flags: number;
  readonly offset: bigint;
  readonly vaddr: bigint;
  readonly paddr: bigint;
  /** Bytes in the file. */
  readonly filesz: bigint;
  /** Bytes in memory. */
  readonly memsz: bigint;
  readonly align: bigint;
}

export const PT_LOAD = 1;
export const PT_DYNAMIC = 2;
export const PT_INTERP = 3;
export const PT_NOTE = 4;

/** e_phnum when the real number stands in sh_info of section header 0. */
const PN_XNUM = 0xffff;

/** Real core files have one segment per mapping (65,530 by default); this bounds memory. */
const MAX_SEGMENTS = 131_072;

/** Segments whose bytes the reader or the kernel uses, so they must lie inside the file. */
const CHECKED = new Map([
  [PT_LOAD, 'a PT_LOAD segment'],
  [PT_DYNAMIC, 'the PT_DYNAMIC segment'],
  [PT_INTERP, 'the PT_INTERP segment'],
  [PT_NOTE, 'a PT_NOTE segment'],
]);

export async function readProgramHeaders(
  source: ByteSource,
  format: ElfFormat,
  tables: ElfTables,
): Promise<readonly ProgramHeader[]> {
  const count = await segmentCount(source, format, tables);
  if (count === 0) return [];
  const entrySize = programHeaderSize(format.bits);
  if (tables.phentsize !== entrySize) {
    throw invalid(
      `e_phentsize is ${tables.phentsize}; ${format.bits}-bit files have ${entrySize}`,
      format.bits === 64 ? 54 : 42,
    );
  }
  if (count > MAX_SEGMENTS) {
    throw invalid(`the file claims ${count} segments; at most ${MAX_SEGMENTS} are read`, 0);
  }
  const bytes = await readRange(
    source,
    tables.phoff,
    BigInt(count * entrySize),
    'the program header table',
  );
  return Array.from({ length: count }, (_, index) =>
    readProgramHeader(bytes.subarray(index * entrySize, (index + 1) * entrySize), format),
  );
}

async function segmentCount(
  source: ByteSource,
  format: ElfFormat,
  tables: ElfTables,
): Promise<number> {
  if (tables.phnum !== PN_XNUM) return tables.phnum;
  const entrySize = sectionHeaderSize(format.bits);
  if (tables.shoff === 0n || tables.shentsize !== entrySize) {
    throw invalid(
      'e_phnum says that section header 0 holds the number of segments, and there is none',
      format.bits === 64 ? 56 : 44,
    );
  }
  const section = await readRange(source, tables.shoff, BigInt(entrySize), 'section header 0');
  return fieldsOf(section, format).u32(format.bits === 64 ? 44 : 28);
}

function readProgramHeader(bytes: Uint8Array, format: ElfFormat): ProgramHeader {
  const fields = fieldsOf(bytes, format);
  if (format.bits === 64) {
    return Object.freeze({
      type: fields.u32(0),
      flags: fields.u32(4),
      offset: fields.word(8),
      vaddr: fields.word(16),
      paddr: fields.word(24),
      filesz: fields.word(32),
      memsz: fields.word(40),
      align: fields.word(48),
    });
  }
  return Object.freeze({
    type: fields.u32(0),
    offset: fields.word(4),
    vaddr: fields.word(8),
    paddr: fields.word(12),
    filesz: fields.word(16),
    memsz: fields.word(20),
    flags: fields.u32(24),
    align: fields.word(28),
  });
}

/**
 * Checks what a program or shared object must hold to be loaded at all.
 *
 * @throws UportError UPORT_ELF_INVALID, UPORT_ELF_OUT_OF_BOUNDS, UPORT_ELF_TRUNCATED
 */
export function checkSegments(
  source: ByteSource,
  format: ElfFormat,
  segments: readonly ProgramHeader[],
): void {
  const memory = 1n << BigInt(format.bits);
  for (const segment of segments) {
    const what = CHECKED.get(segment.type);
    if (what === undefined) continue;
    if (segment.filesz > 0n) checkRange(source, segment.offset, segment.filesz, what);
    if (segment.type !== PT_LOAD) continue;
    if (segment.filesz > segment.memsz) {
      throw invalid(`${what} has more bytes in the file than in memory`, segment.offset);
    }
    if (segment.memsz > memory - segment.vaddr) {
      throw invalid(`${what} reaches past the end of memory`, segment.offset);
    }
  }
}

/** The one segment of this type, or undefined. The gABI allows one PT_INTERP and one PT_DYNAMIC. */
export function onlySegment(
  segments: readonly ProgramHeader[],
  type: typeof PT_DYNAMIC | typeof PT_INTERP,
): ProgramHeader | undefined {
  const [first, second] = segments.filter((segment) => segment.type === type);
  if (second) throw invalid(`${CHECKED.get(type)} is there more than once`, second.offset);
  return first;
}

/** A place in the file, and how many bytes follow it there. */
export interface FileRange {
  readonly offset: bigint;
  readonly length: bigint;
}

/**
 * Where the bytes of an address lie in the file; undefined when no PT_LOAD holds it. Where several
 * do, the last counts: the kernel maps them in this order, each over the ones before.
 */
export function mapAddress(
  segments: readonly ProgramHeader[],
  address: bigint,
): FileRange | undefined {
  const holder = segments.findLast(
    (segment) =>
      segment.type === PT_LOAD &&
      address >= segment.vaddr &&
      address - segment.vaddr < segment.filesz,
  );
  if (!holder) return undefined;
  const skipped = address - holder.vaddr;
  return { offset: holder.offset + skipped, length: holder.filesz - skipped };
}
