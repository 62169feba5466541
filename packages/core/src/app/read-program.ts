import { open } from 'node:fs/promises';
import { type Elf, readElf } from '@uport/elf';
import { UportError } from '@uport/errors';
import { systemError } from '../system-error.ts';
import { fileSource } from './file-source.ts';

/** Reads a program's ELF facts; errors name the file as `shown`. */
export async function readProgram(file: string | Buffer, shown: string): Promise<Elf> {
  const handle = await open(file, 'r').catch((error: unknown) => {
    throw systemError(error, shown);
  });
  try {
    return await readElf(fileSource(handle, (await handle.stat()).size));
  } catch (error) {
    throw error instanceof UportError ? error.inFile(shown) : systemError(error, shown);
  } finally {
    await handle.close();
  }
}
