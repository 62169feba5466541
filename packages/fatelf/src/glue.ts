import { type ByteSource, readElfIdentity } from '@uport/elf';
import { UportError } from '@uport/errors';
import { cutShort, recordIdentity } from './container.ts';
import { type FatElfImage, layOut, type Slice } from './layout.ts';

/** A program to put in. */
export interface GlueInput {
  readonly source: ByteSource;
  /** What to call it in errors; its number by default. */
  readonly name?: string;
}

export interface GlueOptions {
  /** Data that all programs share; it follows the last ELF and goes into each extracted one. */
  readonly trailing?: ByteSource;
}

/**
 * Makes a container of 1 to 255 ELF programs or libraries for different targets, in this order.
 *
 * @throws UportError UPORT_FATELF_COUNT, UPORT_FATELF_DUPLICATE, UPORT_ELF_NOT_ELF,
 *   UPORT_ELF_INVALID, UPORT_ELF_TRUNCATED, UPORT_ELF_OUT_OF_BOUNDS
 */
export async function glueFatElf(
  inputs: readonly GlueInput[],
  options: GlueOptions = {},
): Promise<FatElfImage> {
  const slices: Slice[] = [];
  for (const [index, { source, name = `program ${index}` }] of inputs.entries()) {
    slices.push(await readSlice(source, name));
  }
  return layOut(slices, options.trailing);
}

/** An ELF with its identity, refused when it is none or misses bytes. */
export async function readSlice(source: ByteSource, name: string): Promise<Slice> {
  try {
    const identity = recordIdentity(await readElfIdentity(source));
    const cut = await cutShort(source);
    if (cut) throw cut;
    return { identity, source, name };
  } catch (error) {
    throw error instanceof UportError ? error.inFile(name) : error;
  }
}
