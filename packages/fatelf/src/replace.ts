import type { ByteSource } from '@uport/elf';
import { takeApart } from './edit.ts';
import { fatElfError } from './errors.ts';
import { type GlueInput, readSlice } from './glue.ts';
import { type FatElfImage, layOut } from './layout.ts';
import { sameIdentity } from './record.ts';
import { formatTarget } from './target.ts';

/**
 * The container with another program for a target that it has: the one whose record matches the new
 * ELF. The other programs and the trailing data keep every byte.
 *
 * @throws UportError as `readFatElf` and `glueFatElf`, and UPORT_FATELF_PADDING,
 *   UPORT_FATELF_TARGET_MISSING when it has no program for that target
 */
export async function replaceFatElf(source: ByteSource, input: GlueInput): Promise<FatElfImage> {
  const slice = await readSlice(input.source, input.name ?? 'the new program');
  const { fatElf, slices, trailing } = await takeApart(source);
  const index = fatElf.records.findIndex((record) => sameIdentity(record, slice.identity));
  if (index < 0) {
    throw fatElfError(
      'TARGET_MISSING',
      `no record is for ${formatTarget(slice.identity)}, as the new program is`,
      `the file has: ${fatElf.records.map(formatTarget).join(' ')}`,
      { file: slice.name },
    );
  }
  return layOut(slices.with(index, slice), trailing);
}
