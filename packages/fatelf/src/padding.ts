import type { ByteSource } from '@uport/elf';
import type { UportError } from '@uport/errors';
import { type FatElfRecord, gapsOf } from './container.ts';
import { fatElfError } from './errors.ts';
import { streamOf } from './stream.ts';

/** One fault for each gap between the table and the ELFs that holds other bytes than zeros. */
export async function* paddingFaults(
  source: ByteSource,
  records: readonly FatElfRecord[],
  signal?: AbortSignal,
): AsyncGenerator<UportError> {
  for (const gap of gapsOf(records)) {
    let place = gap.offset;
    for await (const chunk of streamOf([{ source, ...gap }]).chunks(signal)) {
      const found = chunk.findIndex((byte) => byte !== 0);
      if (found >= 0) {
        yield fatElfError(
          'PADDING',
          `the ${gap.size} bytes before an ELF are not all zeros`,
          'bytes outside of all records are lost when the file is edited; glue it anew from its programs',
          { offset: place + found },
        );
        break;
      }
      place += chunk.length;
    }
  }
}
