import { stat } from 'node:fs/promises';
import type { Elf } from '@uport/elf';
import { readProgram } from '../app/read-program.ts';

/** An ELF file's facts. @throws UportError UPORT_NOT_FOUND, UPORT_ELF_* */
export async function inspectElf(file: string): Promise<{ size: number; elf: Elf }> {
  const elf = await readProgram(file, file);
  return { size: (await stat(file)).size, elf };
}
