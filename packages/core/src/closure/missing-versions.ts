import { readElf, readSymbolVersions, type SymbolVersions } from '@uport/elf';
import type { MissingVersion } from './closure.ts';
import { withWindows } from './file-windows.ts';
import type { RootFile } from './library-root.ts';
import type { Loaded } from './loaded.ts';

type Alternatives = (name: string, object: Loaded) => Iterable<{ path: string; found: RootFile }>;

/**
 * The symbol versions that objects need and the libraries that were found do not have, as glibc
 * checks them before it runs a program.
 */
export async function findMissingVersions(
  loaded: readonly Loaded[],
  alternatives: Alternatives,
): Promise<readonly MissingVersion[]> {
  const missing: MissingVersion[] = [];
  for (const object of loaded) {
    for (const { library, versions } of object.versions.needed) {
      const holder = loaded.find(({ names }) => names.has(library));
      // A library without any versions satisfies all, with a warning.
      if (holder === undefined || holder.versions.defined.length === 0) continue;
      for (const { name: version, weak } of versions) {
        if (holder.versions.defined.includes(version)) continue;
        missing.push({
          object: object.path,
          library,
          path: holder.path,
          version,
          weak,
          newest: newestOf(version, holder.versions.defined),
          alternatives: await havingVersion(version, alternatives(library, object), holder),
        });
      }
    }
  }
  return missing;
}

/** GLIBC_2.38 is of the series GLIBC. */
function newestOf(version: string, defined: readonly string[]): string | undefined {
  const series = version.replace(/_?[0-9][0-9.]*[a-z]?$/, '');
  return defined
    .filter((each) => each.startsWith(series) && /[0-9]/.test(each.charAt(series.length + 1)))
    .sort((a, b) => compareVersions(a.slice(series.length + 1), b.slice(series.length + 1)))
    .at(-1);
}

function compareVersions(a: string, b: string): number {
  const [left, right] = [a.split('.').map(Number), b.split('.').map(Number)];
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

async function havingVersion(
  version: string,
  candidates: Iterable<{ path: string; found: RootFile }>,
  holder: Loaded,
): Promise<readonly string[]> {
  const having: string[] = [];
  for (const { path, found } of candidates) {
    if (found.identity === holder.found.identity) continue;
    const { defined } = await versionsOf(found);
    if (defined.includes(version)) having.push(path);
  }
  return having;
}

const NONE: SymbolVersions = { needed: [], defined: [] };

async function versionsOf(found: RootFile): Promise<SymbolVersions> {
  try {
    return await withWindows(found.file, async (source) =>
      readSymbolVersions(source, await readElf(source)),
    );
  } catch {
    return NONE;
  }
}
