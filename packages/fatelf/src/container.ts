import { type ByteSource, type ElfIdentity, partOf, readElf, readElfIdentity } from '@uport/elf';
import { UportError } from '@uport/errors';
import { changed, fatElfError } from './errors.ts';
import {
  FATELF_MAGIC,
  FATELF_VERSION,
  type FatElfHeader,
  HEADER_SIZE,
  readHeader,
} from './header.ts';
import { SMALLEST_PAGE } from './page-size.ts';
import {
  type RawRecord,
  RECORD_SIZE,
  type RecordIdentity,
  readRecord,
  sameIdentity,
} from './record.ts';
import { formatTarget } from './target.ts';

/** A record whose every field was checked against the file. */
export interface FatElfRecord extends RecordIdentity {
  /** In bytes from the start of the container. */
  readonly offset: number;
  readonly size: number;
}

/** A part of the file that belongs to no record. */
export interface Range {
  readonly offset: number;
  readonly size: number;
}

/** A valid container. */
export interface FatElf {
  readonly version: number;
  readonly records: readonly FatElfRecord[];
  /** What comes after the last ELF; size 0 when nothing does. */
  readonly trailing: Range;
}

/** What the table says, unchecked, and all that is wrong with it. */
export interface FatElfInspection {
  readonly version: number;
  readonly records: readonly RawRecord[];
  readonly trailing: Range;
  readonly faults: readonly UportError[];
}

const DAMAGED = 'the file is damaged or was made by a faulty tool; glue it anew from its programs';

/** Bytes of the header and the table of this many records. */
export function tableSize(count: number): number {
  return HEADER_SIZE + RECORD_SIZE * count;
}

/**
 * Reads and checks a container: the table, its places and each embedded ELF header.
 *
 * @throws UportError the first fault that `validateFatElf` would list, its `cause` holding all; the
 *   padding and the inside of the programs are not looked at
 */
export async function readFatElf(source: ByteSource): Promise<FatElf> {
  const { faults, ...table } = await inspectFatElf(source);
  const [first] = faults;
  if (first) throw faults.length === 1 ? first : severalFaults(first, faults);
  return Object.freeze({
    version: table.version,
    records: Object.freeze(table.records.map(checkedRecord)),
    trailing: table.trailing,
  });
}

function severalFaults(first: UportError, faults: readonly UportError[]): UportError {
  return new UportError({
    code: first.code,
    category: first.category,
    message: `${first.message} (and ${faults.length - 1} more)`,
    hint: first.hint,
    ...(first.offset !== undefined && { offset: first.offset }),
    cause: new AggregateError(faults, 'the faults of the container'),
  });
}

function checkedRecord(record: RawRecord): FatElfRecord {
  const { reserved: _, offset, size, ...identity } = record;
  return Object.freeze({ ...identity, offset: Number(offset), size: Number(size) });
}

/**
 * Reads the table and says what is wrong with it, without refusing a damaged one.
 *
 * @throws UportError UPORT_FATELF_NOT_FATELF, UPORT_FATELF_VERSION or UPORT_FATELF_TRUNCATED when
 *   there is no table to read
 */
export async function inspectFatElf(source: ByteSource): Promise<FatElfInspection> {
  const header = await readCheckedHeader(source);
  const end = tableSize(header.count);
  if (end > source.size) {
    throw fatElfError(
      'TRUNCATED',
      `the file ends inside the table of ${header.count} records: it has ${source.size} bytes`,
      'the file is incomplete; copy or download it again',
      { offset: HEADER_SIZE },
    );
  }
  const bytes = await readExactly(source, HEADER_SIZE, end - HEADER_SIZE);
  const records = Array.from({ length: header.count }, (_, index) =>
    readRecord(bytes.subarray(index * RECORD_SIZE, (index + 1) * RECORD_SIZE)),
  );
  const faults: UportError[] = [];
  if (header.reserved !== 0) {
    faults.push(
      fatElfError('RESERVED', 'the reserved byte of the header is not 0', DAMAGED, { offset: 7 }),
    );
  }
  for (const [index, record] of records.entries()) {
    faults.push(...recordFaults(source, record, index, end));
  }
  faults.push(...duplicateFaults(records), ...overlapFaults(records));
  for (const [index, record] of records.entries()) {
    const fault = await mismatch(source, record, index);
    if (fault) faults.push(fault);
  }
  return Object.freeze({
    version: header.version,
    records: Object.freeze(records),
    trailing: trailingOf(source, records, end),
    faults: Object.freeze(faults),
  });
}

async function readCheckedHeader(source: ByteSource): Promise<FatElfHeader> {
  if (source.size < HEADER_SIZE) {
    throw notFatElf(
      source.size === 0 ? 'the file is empty' : 'the file is shorter than a FatELF header',
    );
  }
  const bytes = await readExactly(source, 0, HEADER_SIZE);
  const header = readHeader(bytes);
  if (header.magic !== FATELF_MAGIC) {
    const elf = bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
    throw notFatElf(
      elf
        ? 'the file is one ELF program, not FatELF'
        : 'the file does not start with the FatELF magic',
    );
  }
  if (header.version !== FATELF_VERSION) {
    throw fatElfError(
      'VERSION',
      `FatELF version ${header.version} is not known`,
      'only version 1 is read',
      { offset: 4 },
    );
  }
  return header;
}

function notFatElf(message: string): UportError {
  return fatElfError('NOT_FATELF', message, 'make a FatELF file with fatelf glue', { offset: 0 });
}

/** @throws UportError UPORT_FATELF_CHANGED when the source gives less than it has */
export async function readExactly(
  source: ByteSource,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const bytes = length === 0 ? new Uint8Array(0) : await source.read(offset, length);
  if (bytes.length === length) return bytes;
  throw changed(offset);
}

function recordFaults(
  source: ByteSource,
  record: RawRecord,
  index: number,
  tableEnd: number,
): UportError[] {
  const place = tableSize(index);
  const faults: UportError[] = [];
  const fault = (reason: Parameters<typeof fatElfError>[0], message: string, field: number) =>
    faults.push(
      fatElfError(reason, `record ${index}: ${message}`, DAMAGED, { offset: place + field }),
    );
  if (record.reserved !== 0) fault('RESERVED', 'the reserved bytes are not 0', 6);
  if (record.elfClass !== 1 && record.elfClass !== 2) {
    fault('RECORD', `the word size is ${record.elfClass}, neither 1 (32 bit) nor 2 (64 bit)`, 4);
  }
  if (record.data !== 1 && record.data !== 2) {
    fault('RECORD', `the byte order is ${record.data}, neither 1 (little) nor 2 (big endian)`, 5);
  }
  if (record.offset % BigInt(SMALLEST_PAGE) !== 0n) {
    fault('UNALIGNED', `its ELF starts at ${record.offset}, not on a page of 4096 bytes`, 8);
  }
  if (record.offset < BigInt(tableEnd)) {
    fault('OVERLAP', `its ELF starts at ${record.offset}, inside the table`, 8);
  }
  if (record.offset > BigInt(source.size)) {
    fault('OUT_OF_BOUNDS', `its ELF starts at ${record.offset}, past the end (${source.size})`, 8);
  } else if (record.offset + record.size > BigInt(source.size)) {
    fault(
      'OUT_OF_BOUNDS',
      `its ELF ends at ${record.offset + record.size}, past the end (${source.size})`,
      16,
    );
  }
  return faults;
}

function duplicateFaults(records: readonly RawRecord[]): UportError[] {
  const seen = new Map<string, number>();
  return records.flatMap((record, index) => {
    // All five fields as numbers: a name would hide a field that is out of range.
    const key = [
      record.machine,
      record.osabi,
      record.osabiVersion,
      record.elfClass,
      record.data,
    ].join();
    const first = seen.get(key);
    if (first === undefined) {
      seen.set(key, index);
      return [];
    }
    return fatElfError(
      'DUPLICATE',
      `records ${first} and ${index} are for the same target, ${formatTarget(record)}`,
      'a target can be there once; remove one of them',
      { offset: tableSize(index) },
    );
  });
}

function overlapFaults(records: readonly RawRecord[]): UportError[] {
  const placed = records
    .map((record, index) => ({ index, start: record.offset, end: record.offset + record.size }))
    .filter(({ start, end }) => end > start)
    .sort((a, b) => (a.start === b.start ? a.index - b.index : a.start < b.start ? -1 : 1));
  const faults: UportError[] = [];
  let furthest = placed[0];
  for (const next of placed.slice(1)) {
    if (furthest && next.start < furthest.end) {
      faults.push(
        fatElfError(
          'OVERLAP',
          `the ELFs of records ${furthest.index} and ${next.index} overlap at ${next.start}`,
          DAMAGED,
          { offset: tableSize(next.index) + 8 },
        ),
      );
    }
    if (!furthest || next.end > furthest.end) furthest = next;
  }
  return faults;
}

/** The record of an ELF, but for its place. */
export function recordIdentity(elf: ElfIdentity): RecordIdentity {
  return {
    machine: elf.machine,
    osabi: elf.osabi,
    osabiVersion: elf.osabiVersion,
    elfClass: elf.bits / 32,
    data: elf.order === 'lsb' ? 1 : 2,
  };
}

/** The bytes of a record as far as the file has them. */
function sliceOf(source: ByteSource, record: RawRecord): ByteSource | undefined {
  if (record.offset > BigInt(source.size)) return undefined;
  const start = Number(record.offset);
  const left = BigInt(source.size - start);
  return partOf(source, start, Number(record.size < left ? record.size : left));
}

/** The specification: readers must not trust a record without looking at the real ELF header. */
async function mismatch(
  source: ByteSource,
  record: RawRecord,
  index: number,
): Promise<UportError | undefined> {
  const slice = sliceOf(source, record);
  if (!slice) return undefined;
  const fault = (message: string, cause?: unknown) =>
    fatElfError('MISMATCH', `record ${index}: ${message}`, DAMAGED, {
      offset: record.offset,
      ...(cause !== undefined && { cause }),
    });
  try {
    const identity = recordIdentity(await readElfIdentity(slice));
    if (sameIdentity(identity, record)) return undefined;
    return fault(`it says ${formatTarget(record)} and the ELF there is ${formatTarget(identity)}`);
  } catch (error) {
    if (!(error instanceof UportError) || !error.code.startsWith('UPORT_ELF_')) throw error;
    return fault(`no ELF is there: ${error.message}`, error);
  }
}

/**
 * Whether a program misses bytes that its own headers name.
 *
 * @returns the reader's error, or undefined when all is there or nothing can be said
 */
export async function cutShort(slice: ByteSource): Promise<UportError | undefined> {
  try {
    await readElf(slice);
    return undefined;
  } catch (error) {
    if (!(error instanceof UportError) || !error.code.startsWith('UPORT_ELF_')) throw error;
    const short = error.code === 'UPORT_ELF_TRUNCATED' || error.code === 'UPORT_ELF_OUT_OF_BOUNDS';
    return short ? error : undefined;
  }
}

function trailingOf(source: ByteSource, records: readonly RawRecord[], tableEnd: number): Range {
  let furthest = BigInt(tableEnd);
  for (const record of records) {
    const end = record.offset + record.size;
    if (end > furthest) furthest = end;
  }
  const offset = furthest > BigInt(source.size) ? source.size : Number(furthest);
  return Object.freeze({ offset, size: source.size - offset });
}

/** The parts between the table and the ELFs, which should be zeros. */
export function gapsOf(records: readonly FatElfRecord[]): readonly Range[] {
  const gaps: Range[] = [];
  let end = tableSize(records.length);
  for (const record of records.toSorted((a, b) => a.offset - b.offset)) {
    if (record.offset > end) gaps.push({ offset: end, size: record.offset - end });
    end = Math.max(end, record.offset + record.size);
  }
  return gaps;
}
