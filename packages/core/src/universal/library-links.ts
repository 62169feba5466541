// Links that let an unpacked app's own loader find libraries that programs name by absolute paths. Pure.
import path from 'node:path';
import type { BytePath, PayloadEntry } from '../model/payload-tree.ts';
import { resolveEntry } from '../model/resolve-entry.ts';
import type { AppPlan } from '../plan/plan.ts';

export interface LibraryLink {
  readonly path: BytePath;
  /** Relative. */
  readonly target: string;
}

const SHARED_OBJECT = /\.so(\.[^/]*)?$/;

/**
 * Links in the loader's folder to the libraries of the app's library folders. The launcher gives the
 * loader that one folder, since the paths that programs name lead nowhere on a host. The first folder
 * that has a name serves it; what lies beside the loader goes before all.
 *
 * @returns by path; none when the app has no loader or no such folders
 */
export function libraryLinks(
  { loader, libraryFolders = [] }: Pick<AppPlan, 'loader' | 'libraryFolders'>,
  byPath: ReadonlyMap<string, PayloadEntry>,
): readonly LibraryLink[] {
  if (loader === undefined || libraryFolders.length === 0) return [];
  const beside = path.posix.dirname(loader);
  const links = new Map<string, LibraryLink>();
  const ranks = new Map<string, number>(libraryFolders.map((folder, rank) => [folder, rank]));
  const found = [...byPath.values()]
    .map(({ path: file }) => ({ file, rank: ranks.get(path.posix.dirname(file)) }))
    .filter(
      (each): each is { file: BytePath; rank: number } =>
        each.rank !== undefined && SHARED_OBJECT.test(each.file),
    )
    .sort((a, b) => a.rank - b.rank);
  for (const { file } of found) {
    const place = `${beside}/${path.posix.basename(file)}` as BytePath;
    if (byPath.has(place) || links.has(place)) continue;
    if (resolveEntry(byPath, file)?.type !== 'file') continue;
    links.set(place, { path: place, target: path.posix.relative(beside, file) });
  }
  return [...links.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}
