import type { RootPath } from './find-closure.ts';
import type { LibraryRoot } from './library-root.ts';

const MAX_FILES = 200_000;
const MAX_DEPTH = 40;

/**
 * The files below a folder that are named as libraries, by name; of equal names the one nearest to
 * the top, then the first bytewise.
 */
export function filesByName(root: LibraryRoot, top: string): ReadonlyMap<string, RootPath> {
  const found = new Map<string, RootPath>();
  let level = [top];
  let seen = 0;
  for (let depth = 0; depth < MAX_DEPTH && level.length > 0 && seen < MAX_FILES; depth++) {
    const next: string[] = [];
    for (const folder of level) {
      for (const name of root.list(folder)) {
        const path = `${folder}/${name}`;
        seen++;
        if (/\.so(?:$|\.)/.test(name)) {
          if (!found.has(name) && root.find(path)) found.set(name, { root, path });
        } else if (root.hasFolder(path)) next.push(path);
      }
    }
    level = next;
  }
  return found;
}
