// What is read of a file, in one opening of it.
import {
  type DlopenNote,
  type Elf,
  readDlopenNotes,
  readDynamicStringBytes,
  readElf,
  readSymbolVersions,
  type SymbolVersions,
} from '@uport/elf';
import { UportError } from '@uport/errors';
import type { ContentPlace } from '../model/content.ts';
import { withWindows } from './file-windows.ts';
import { WATCHED_FUNCTIONS } from './runtime-rules.ts';
import { namesAmong } from './table-names.ts';

export interface FileFacts {
  readonly elf: Elf;
  readonly versions: SymbolVersions;
  /** Which of the functions that make a program load files are among its dynamic names. */
  readonly functions: ReadonlySet<string>;
  readonly dlopenNotes: readonly DlopenNote[];
}

const NO_VERSIONS: SymbolVersions = { needed: [], defined: [] };

/**
 * @param runtime also what tells of loading at run time
 * @throws UportError UPORT_ELF_*
 */
export function readFileFacts(place: ContentPlace, runtime: boolean): Promise<FileFacts> {
  return withWindows(place, async (source) => {
    const elf = await readElf(source);
    // Versions that cannot be read hinder no loading here; the linker would say so.
    const strings = await readDynamicStringBytes(source, elf).catch(passOver);
    const versions = strings && (await readSymbolVersions(source, elf, strings).catch(passOver));
    return {
      elf,
      versions: versions ?? NO_VERSIONS,
      functions: runtime && strings ? namesAmong(strings, WATCHED_FUNCTIONS) : new Set(),
      dlopenNotes: runtime && elf.dynamic ? await readDlopenNotes(source, elf) : [],
    };
  });
}

function passOver(error: unknown): undefined {
  if (error instanceof UportError) return undefined;
  throw error;
}
