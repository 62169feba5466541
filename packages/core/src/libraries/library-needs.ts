// Which libraries a closure lacks, and where its loader would look for them.
import type { Elf } from '@uport/elf';
import type { Closure } from '../closure/closure.ts';
import { guessedFolders } from '../closure/cpu-folders.ts';

export interface LibraryNeed {
  readonly soname: string;
  /** The symbol versions that are needed of it. */
  readonly versions: readonly string[];
  /** A closure without it does not run. */
  readonly required: boolean;
}

/**
 * What a closure lacks and what it is likely to open at run time. Names that are paths are left out:
 * no search would find them.
 *
 * @param opened also what programs open by a literal name
 */
export function libraryNeeds(closure: Closure, opened: boolean): readonly LibraryNeed[] {
  const needs: LibraryNeed[] = [];
  const add = (soname: string, versions: readonly string[], required: boolean) => {
    if (!soname.includes('/')) needs.push({ soname, versions, required });
  };
  const { interpreter } = closure;
  if (interpreter && !interpreter.found) {
    add(interpreter.path.slice(interpreter.path.lastIndexOf('/') + 1), [], true);
  }
  for (const { name, versions } of closure.missing) add(name, versions, true);
  for (const load of closure.runtimeLoads) {
    if (load.found.length > 0) continue;
    const wanted =
      load.kind === 'thread cancellation' ||
      (load.kind === 'dlopen note' && load.priority !== 'suggested') ||
      (load.kind === 'dlopen' && opened);
    if (wanted) for (const name of load.missing) add(name, [], false);
  }
  return needs;
}

/** The folders in which a program's loader finds a library, relative, best first. */
export function foldersForLibrary(
  program: Pick<Elf, 'identity' | 'abi' | 'interpreter'>,
  soname: string,
): readonly string[] {
  const { interpreter } = program;
  const own = interpreter?.endsWith(`/${soname}`)
    ? [interpreter.slice(0, interpreter.lastIndexOf('/'))]
    : [];
  return [...own, ...guessedFolders(program)].map((folder) => folder.slice(1));
}
