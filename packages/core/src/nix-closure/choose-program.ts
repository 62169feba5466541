// Which program of a package starts.
import path from 'node:path';
import { UportError } from '@uport/errors';
import type { Scan } from '../app/scan-folder.ts';
import { displayBytes, parseBytePath } from '../model/byte-path.ts';
import type { BytePath } from '../model/payload-tree.ts';

export interface PackageTop {
  /** Where the package lies in the payload. */
  readonly top: BytePath;
  /** Its main program, by its package's name. */
  readonly main: string;
  /** A path inside it that was named. */
  readonly asked: string | undefined;
  /** The package, for messages. */
  readonly shown: string;
}

/**
 * The program that was named; else the package itself when it is a file; else the one in `bin` that is
 * called after the package, or the only one.
 *
 * @throws UportError UPORT_ENTRYPOINT_MISSING
 */
export function chooseProgram(scan: Scan, { top, main, asked, shown }: PackageTop): BytePath {
  if (asked !== undefined) {
    const bytes = Buffer.from(path.posix.join(`/${asked}`)).toString('latin1');
    return parseBytePath(`${top}${bytes}`.replace(/\/+$/, ''));
  }
  if (scan.entries.some((entry) => entry.path === top && entry.type !== 'directory')) return top;
  const programs = binPrograms(scan, top);
  const chosen = programs.find((each) => each === main) ?? programs[0];
  if (chosen !== undefined && (programs.length === 1 || chosen === main)) {
    return parseBytePath(`${top}/bin/${chosen}`);
  }
  throw new UportError({
    code: 'UPORT_ENTRYPOINT_MISSING',
    category: 'usage',
    message:
      programs.length === 0
        ? `${shown} has no bin folder with a program`
        : `${shown} has ${programs.length} programs, and none is called ${main}`,
    hint: programsHint(programs),
    file: shown,
  });
}

/** The names in its `bin` folder that are not hidden, as wrapped programs are. */
export function binPrograms(scan: Scan, top: BytePath): readonly string[] {
  const prefix = `${top}/bin/`;
  return scan.entries
    .filter(({ path: each, type }) => each.startsWith(prefix) && type !== 'directory')
    .map(({ path: each }) => each.slice(prefix.length))
    .filter((name) => !name.includes('/') && !name.startsWith('.'));
}

export function programsHint(programs: readonly string[]): string {
  if (programs.length === 0) return 'name the program with --entrypoint, a path inside it';
  const some = programs.slice(0, 5).map((each) => `bin/${displayBytes(each)}`);
  return `name one with --entrypoint: ${some.join(', ')}${programs.length > 5 ? ', …' : ''}`;
}
