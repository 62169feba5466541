import type { ByteSource } from '@uport/elf';
import { takeApart } from './edit.ts';
import { fatElfError } from './errors.ts';
import { type FatElfImage, layOut } from './layout.ts';
import { findTarget, parseTarget } from './target.ts';

/**
 * The container without one of its programs. The other programs and the trailing data keep every
 * byte.
 *
 * @throws UportError as `readFatElf`, and UPORT_FATELF_PADDING, UPORT_FATELF_TARGET_UNKNOWN,
 *   UPORT_FATELF_TARGET_MISSING, UPORT_FATELF_TARGET_AMBIGUOUS, UPORT_FATELF_COUNT for the last one
 */
export async function removeFatElf(source: ByteSource, target: string): Promise<FatElfImage> {
  const wanted = parseTarget(target);
  const { fatElf, slices, trailing } = await takeApart(source);
  const index = findTarget(fatElf.records, wanted);
  if (slices.length === 1) {
    throw fatElfError(
      'COUNT',
      'the file holds only this program',
      'extract the program, or delete the file',
      { category: 'usage' },
    );
  }
  return layOut(slices.toSpliced(index, 1), trailing);
}
