import { type ByteSource, describeMachine } from '@uport/elf';
import type { UportError } from '@uport/errors';
import { inspectFatElf, type Range } from './container.ts';
import type { RawRecord } from './record.ts';
import { formatTarget, osabiTargetName } from './target.ts';

export interface RecordInfo extends RawRecord {
  readonly index: number;
  /** Its `EM_` name. */
  readonly machineName: string;
  readonly osabiName: string;
  /** The target name that picks it out; of use only when the record has no fault. */
  readonly target: string;
}

export interface FatElfInfo {
  readonly version: number;
  readonly records: readonly RecordInfo[];
  /** What comes after the last ELF; size 0 when nothing does. */
  readonly trailing: Range;
  /** What `readFatElf` would refuse it for. */
  readonly faults: readonly UportError[];
}

/**
 * What is in a container, also in a damaged one.
 *
 * @throws UportError UPORT_FATELF_NOT_FATELF, UPORT_FATELF_VERSION, UPORT_FATELF_TRUNCATED
 */
export async function infoFatElf(source: ByteSource): Promise<FatElfInfo> {
  const { records, ...rest } = await inspectFatElf(source);
  return {
    ...rest,
    records: records.map((record, index) => ({
      ...record,
      index,
      machineName: describeMachine(record.machine),
      osabiName: osabiTargetName(record.osabi),
      target: formatTarget(record),
    })),
  };
}
