import type { LibraryFile } from '../debian/contents-index.ts';

/** Which of a suite's files is taken for a soname. */
export interface LibraryChoice {
  readonly path: string;
  readonly package: string;
}

const merged = (folder: string) => folder.replace(/^usr\//, '');

/**
 * Picks the file that a loader would find: in one of its own folders before one below them, of the
 * package that is named after the library before others, then the shortest name. Files elsewhere
 * (other calling conventions, cross compilers) are not taken.
 *
 * @param folders the loader's folders, relative, such as `usr/lib/riscv64-linux-gnu`
 */
export function chooseLibrary(
  soname: string,
  candidates: readonly LibraryFile[],
  folders: readonly string[],
): LibraryChoice | undefined {
  const own = new Set(folders.map(merged));
  // `lib` and `lib64` hold the loader, but below them lie other CPUs' folders.
  const deep = [...own].filter((folder) => folder.includes('/'));
  const choices = candidates.flatMap(({ path, packages }) => {
    const folder = merged(path.slice(0, path.lastIndexOf('/')));
    const depth = own.has(folder)
      ? 0
      : deep.some((each) => folder.startsWith(`${each}/`)) && !folder.includes('/debug')
        ? 1
        : undefined;
    if (depth === undefined) return [];
    return packages.map((name) => ({
      path,
      package: name,
      rank: [depth, strangeness(soname, name)],
    }));
  });
  choices.sort(
    (a, b) =>
      (a.rank[0] as number) - (b.rank[0] as number) ||
      (a.rank[1] as number) - (b.rank[1] as number) ||
      a.package.length - b.package.length ||
      (a.package < b.package ? -1 : a.package > b.package ? 1 : 0) ||
      (a.path < b.path ? -1 : 1),
  );
  const [best] = choices;
  return best && { path: best.path, package: best.package };
}

/** Debian policy 8.1: a library's package is called after its soname. */
function strangeness(soname: string, name: string): number {
  const parts = /^(.*?)\.so\.?(.*)$/.exec(soname);
  const stem = (parts?.[1] ?? soname).toLowerCase().replaceAll('_', '-');
  const version = parts?.[2] ?? '';
  const expected = /\d$/.test(stem) && version !== '' ? `${stem}-${version}` : `${stem}${version}`;
  if (name === expected || name === `${expected}t64`) return 0;
  if (name.startsWith(expected)) return 1;
  if (name.startsWith(stem)) return 2;
  return /-(?:dev|dbg|dbgsym|cross)$/.test(name) ? 4 : 3;
}
