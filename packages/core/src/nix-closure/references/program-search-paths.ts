// Where a program keeps the folders in which the loader searches for its libraries.
import { type ByteSource, dynamicStringsPlace, readDynamicStrings, readElf } from '@uport/elf';
import { UportError } from '@uport/errors';

/**
 * Where in the file the folders of DT_RPATH and DT_RUNPATH begin, in which `$ORIGIN` stands for the
 * program's own folder. None for a library: there `$ORIGIN` is the folder of the path that it was
 * opened by, which may be a link at another depth. None either when the file is damaged.
 */
export async function programSearchPaths(source: ByteSource): Promise<ReadonlySet<number>> {
  const places = new Set<number>();
  try {
    const elf = await readElf(source);
    if (elf.linkage === 'shared-object') return places;
    const table = dynamicStringsPlace(elf);
    const strings = table === undefined ? '' : await readDynamicStrings(source, elf);
    for (const folders of [elf.dynamic?.rpath, elf.dynamic?.runpath]) {
      if (table === undefined || folders === undefined || folders.length === 0) continue;
      // One that is the end of another string may be that string to somebody else.
      const text = `\0${folders.join(':')}\0`;
      let at = Number(table.offset) + `\0${strings}`.indexOf(text);
      if (at < Number(table.offset)) continue;
      for (const folder of folders) {
        places.add(at);
        at += folder.length + 1;
      }
    }
  } catch (error) {
    if (!(error instanceof UportError)) throw error;
  }
  return places;
}
