import { open } from 'node:fs/promises';
import { type Elf, partOf, readElf } from '@uport/elf';
import { UportError } from '@uport/errors';
import { type ContentPlace, placeOf } from '../model/content.ts';
import { systemError } from '../system-error.ts';
import { fileSource } from './file-source.ts';

/** Reads a program's ELF facts; errors name the file as `shown`. */
export async function readProgram(place: ContentPlace, shown: string): Promise<Elf> {
  const { file, offset, size } = placeOf(place);
  const handle = await open(file, 'r').catch((error: unknown) => {
    throw systemError(error, shown);
  });
  try {
    const whole = fileSource(handle, (await handle.stat()).size);
    return await readElf(size === undefined ? whole : partOf(whole, offset, size));
  } catch (error) {
    throw error instanceof UportError ? error.inFile(shown) : systemError(error, shown);
  } finally {
    await handle.close();
  }
}
