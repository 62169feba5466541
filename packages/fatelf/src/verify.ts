import type { ByteSource } from '@uport/elf';
import { readFatElf } from './container.ts';
import { matchTarget, parseTarget } from './target.ts';

/**
 * Whether a container has a program for this target.
 *
 * @throws UportError as `readFatElf`, and UPORT_FATELF_TARGET_UNKNOWN, UPORT_FATELF_TARGET_AMBIGUOUS
 */
export async function verifyFatElf(source: ByteSource, target: string): Promise<boolean> {
  const wanted = parseTarget(target);
  const { records } = await readFatElf(source);
  return matchTarget(records, wanted) !== undefined;
}
