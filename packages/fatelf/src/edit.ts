import { type ByteSource, partOf } from '@uport/elf';
import { type FatElf, readFatElf } from './container.ts';
import type { Slice } from './layout.ts';
import { paddingFaults } from './padding.ts';
import { formatTarget } from './target.ts';

/** A container taken apart, to be laid out again. */
export interface Parts {
  readonly fatElf: FatElf;
  readonly slices: readonly Slice[];
  readonly trailing: ByteSource;
}

/**
 * Takes a container apart. Bytes in the gaps would not come back, so they must be zeros.
 *
 * @throws UportError as `readFatElf`, and UPORT_FATELF_PADDING
 */
export async function takeApart(source: ByteSource): Promise<Parts> {
  const fatElf = await readFatElf(source);
  for await (const fault of paddingFaults(source, fatElf.records)) throw fault;
  return {
    fatElf,
    slices: fatElf.records.map((record) => ({
      identity: record,
      source: partOf(source, record.offset, record.size),
      name: formatTarget(record),
    })),
    trailing: partOf(source, fatElf.trailing.offset, fatElf.trailing.size),
  };
}
