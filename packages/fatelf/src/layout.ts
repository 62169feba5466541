import type { ByteSource } from '@uport/elf';
import { type FatElfRecord, tableSize } from './container.ts';
import { fatElfError } from './errors.ts';
import { FATELF_MAGIC, FATELF_VERSION, MAX_RECORDS, writeHeader } from './header.ts';
import { pageSizeOf } from './page-size.ts';
import { type RecordIdentity, sameIdentity, writeRecord } from './record.ts';
import { type ByteStream, type Piece, streamOf } from './stream.ts';
import { formatTarget } from './target.ts';

/** An ELF to be placed, and whose it is. */
export interface Slice {
  readonly identity: RecordIdentity;
  readonly source: ByteSource;
  /** What to call it in errors. */
  readonly name: string;
}

/** A container ready to be written. */
export interface FatElfImage extends ByteStream {
  readonly records: readonly FatElfRecord[];
}

/**
 * Places ELFs in this order, each on a page boundary of its CPU with zeros before it, then the
 * trailing data. The same slices give the same bytes.
 *
 * @throws UportError UPORT_FATELF_COUNT, UPORT_FATELF_DUPLICATE
 */
export function layOut(slices: readonly Slice[], trailing: ByteSource | undefined): FatElfImage {
  if (slices.length < 1 || slices.length > MAX_RECORDS) {
    throw fatElfError(
      'COUNT',
      `${slices.length} programs; a FatELF file holds 1 to ${MAX_RECORDS}`,
      slices.length === 0 ? 'give at least one ELF program' : 'leave some programs out',
      { category: 'usage' },
    );
  }
  refuseDuplicates(slices);
  let end = tableSize(slices.length);
  const records = slices.map(({ identity, source }): FatElfRecord => {
    const page = pageSizeOf(identity.machine);
    const offset = Math.ceil(end / page) * page;
    end = offset + source.size;
    return Object.freeze({ ...identity, offset, size: source.size });
  });
  const table = Buffer.concat([
    writeHeader({
      magic: FATELF_MAGIC,
      version: FATELF_VERSION,
      count: records.length,
      reserved: 0,
    }),
    ...records.map(({ offset, size, ...identity }) =>
      writeRecord({ ...identity, reserved: 0, offset: BigInt(offset), size: BigInt(size) }),
    ),
  ]);
  let written = table.length;
  const pieces: Piece[] = [{ bytes: table }];
  for (const [index, { offset, size }] of records.entries()) {
    pieces.push({ zeros: offset - written });
    pieces.push({ source: (slices[index] as Slice).source, offset: 0, size });
    written = offset + size;
  }
  if (trailing) pieces.push({ source: trailing, offset: 0, size: trailing.size });
  return Object.freeze({ ...streamOf(pieces), records: Object.freeze(records) });
}

function refuseDuplicates(slices: readonly Slice[]): void {
  for (const [index, slice] of slices.entries()) {
    const first = slices
      .slice(0, index)
      .find((other) => sameIdentity(other.identity, slice.identity));
    if (!first) continue;
    throw fatElfError(
      'DUPLICATE',
      `${first.name} and ${slice.name} are for the same target, ${formatTarget(slice.identity)}`,
      'FatELF tells programs apart by these fields alone; leave one out',
      { file: slice.name },
    );
  }
}
