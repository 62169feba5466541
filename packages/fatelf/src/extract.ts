import type { ByteSource } from '@uport/elf';
import { type FatElf, type FatElfRecord, readFatElf } from './container.ts';
import { type ByteStream, streamOf } from './stream.ts';
import { findTarget, parseTarget } from './target.ts';

export interface ExtractOptions {
  /** Whether the trailing data follows the ELF, as the format wants it; true by default. */
  readonly trailing?: boolean;
}

/**
 * One program of a container, with the container's trailing data after it.
 *
 * @throws UportError as `readFatElf`, and UPORT_FATELF_TARGET_UNKNOWN, UPORT_FATELF_TARGET_MISSING,
 *   UPORT_FATELF_TARGET_AMBIGUOUS
 */
export async function extractFatElf(
  source: ByteSource,
  target: string,
  options: ExtractOptions = {},
): Promise<ByteStream> {
  const wanted = parseTarget(target);
  const fatElf = await readFatElf(source);
  const record = fatElf.records[findTarget(fatElf.records, wanted)] as FatElfRecord;
  return recordStream(source, fatElf, record, options);
}

export function recordStream(
  source: ByteSource,
  fatElf: FatElf,
  record: FatElfRecord,
  { trailing = true }: ExtractOptions,
): ByteStream {
  const own = { source, offset: record.offset, size: record.size };
  return streamOf(trailing ? [own, { source, ...fatElf.trailing }] : [own]);
}
