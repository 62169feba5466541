import { type ByteSource, partOf } from '@uport/elf';
import { UportError } from '@uport/errors';
import { cutShort, type FatElfRecord, inspectFatElf } from './container.ts';
import { fatElfError } from './errors.ts';
import { paddingFaults } from './padding.ts';

/**
 * Everything that is wrong with a container, all at once; empty when it is valid. Besides what
 * `readFatElf` checks, each program must have all the bytes its headers name, and the gaps must be
 * zeros. It reads the headers and the gaps only.
 */
export async function validateFatElf(
  source: ByteSource,
  signal?: AbortSignal,
): Promise<readonly UportError[]> {
  try {
    const { records, faults } = await inspectFatElf(source);
    const found = [...faults];
    const placed = records.flatMap((record, index): (FatElfRecord & { index: number })[] => {
      const inside = record.offset + record.size <= BigInt(source.size);
      return inside
        ? [{ ...record, index, offset: Number(record.offset), size: Number(record.size) }]
        : [];
    });
    for (const { index, offset, size } of placed) {
      signal?.throwIfAborted();
      const cut = await cutShort(partOf(source, offset, size));
      if (!cut || hasMismatch(faults, offset)) continue;
      found.push(
        fatElfError(
          'CUT',
          `record ${index}: its program misses bytes: ${cut.message}`,
          'glue the file anew from whole programs',
          {
            offset,
            cause: cut,
          },
        ),
      );
    }
    // Where a record has no place, what is a gap cannot be told.
    if (placed.length === records.length) {
      for await (const fault of paddingFaults(source, placed, signal)) found.push(fault);
    }
    return found;
  } catch (error) {
    if (error instanceof UportError && error.code.startsWith('UPORT_FATELF_')) return [error];
    throw error;
  }
}

/** Where no ELF is, nothing more is to be said about it. */
function hasMismatch(faults: readonly UportError[], offset: number): boolean {
  return faults.some(
    (fault) => fault.code === 'UPORT_FATELF_MISMATCH' && fault.offset === BigInt(offset),
  );
}
