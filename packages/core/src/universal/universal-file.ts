import type { ByteSource } from '@uport/elf';
import { freeing } from '../memory.ts';
import { concat } from './byte-streams.ts';
import { glueContainer, type OpenLauncher } from './container.ts';
import { STAGE0_SIZE, type Stage0Record, stage0 } from './stage0.ts';
import type { WrittenPayload } from './write-payload.ts';

/** A universal file (docs/formats/universal.md), ready to be written. */
export interface UniversalFile {
  /** In bytes. */
  readonly size: number;
  /** The whole file, each time anew. */
  chunks(signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/**
 * The shell's part, and after it the container of all launchers with the payload.
 *
 * @param trailing the payload's bytes
 */
export async function universalFile(
  payload: WrittenPayload,
  launchers: readonly OpenLauncher[],
  trailing: ByteSource,
): Promise<UniversalFile> {
  const container = await glueContainer(launchers, trailing);
  const records = container.records.map(
    (record, index): Stage0Record => ({
      host: (launchers[index] as OpenLauncher).host,
      offset: STAGE0_SIZE + record.offset,
      size: record.size,
    }),
  );
  const start = stage0(payload.id, records);
  return {
    size: start.length + container.size,
    chunks: (signal) => concat([[start], freeing(container.chunks(signal))]),
  };
}
