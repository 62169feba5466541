import type { ByteSource } from '@uport/elf';
import { type FatElfRecord, readFatElf } from './container.ts';
import { type ExtractOptions, recordStream } from './extract.ts';
import type { ByteStream } from './stream.ts';
import { shortTargets } from './target.ts';

/** One program of a container under the shortest target name that only it has. */
export interface SplitPart {
  readonly record: FatElfRecord;
  /** The reference tool names the file `<container>-<target>`. */
  readonly target: string;
  readonly stream: ByteStream;
}

/**
 * All programs of a container, each as `extractFatElf` gives it.
 *
 * @throws UportError as `readFatElf`
 */
export async function splitFatElf(
  source: ByteSource,
  options: ExtractOptions = {},
): Promise<readonly SplitPart[]> {
  const fatElf = await readFatElf(source);
  const targets = shortTargets(fatElf.records);
  return fatElf.records.map((record, index) => ({
    record,
    target: targets[index] as string,
    stream: recordStream(source, fatElf, record, options),
  }));
}
