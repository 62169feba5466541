// The table of shims in an image, docs/formats/shims.md. shim.c reads it.
import type { UportError } from '@uport/errors';
import { checkPath, decodePath, encodeValue, invalid } from './manifest.ts';

/** Absolute paths; each character stands for one byte (Latin-1). */
export interface ShimEntry {
  /** Where the launcher lies in the place of a program. */
  readonly place: string;
  /** Where that program is. */
  readonly original: string;
}

const FIRST_LINE = 'uport-shims 1';
const SIZE_MAX = 1 << 20;

/**
 * The text of a table: ASCII, the same for the same value.
 *
 * @throws UportError UPORT_MANIFEST_INVALID when the launcher would not take it
 */
export function encodeShims(shims: readonly ShimEntry[]): string {
  const lines = shims.map(({ place, original }) => {
    for (const path of [place, original]) {
      checkPath(path);
      if (!path.startsWith('/')) throw invalid('the path of a shim is not absolute');
    }
    return `shim ${encodeValue(place)} ${encodeValue(original)}\n`;
  });
  const text = [`${FIRST_LINE}\n`, ...lines].join('');
  if (text.length > SIZE_MAX) throw invalid('a table of shims of more than 1 MiB');
  return text;
}

/**
 * Reads the text of a table, one character for each byte.
 *
 * @throws UportError UPORT_MANIFEST_INVALID for everything that the launcher would refuse
 */
export function parseShims(text: string): readonly ShimEntry[] {
  if (text.length > SIZE_MAX) throw invalid('a table of shims of more than 1 MiB');
  const lines = text.split('\n');
  if (lines.pop() !== '') throw invalid(`line ${lines.length + 1}: no newline at its end`);
  if (lines[0] !== FIRST_LINE) throw invalid(`line 1: not \`${FIRST_LINE}\``);
  return lines.slice(1).map((line, index) => {
    const fail = (what: string): UportError => invalid(`line ${index + 2}: ${what}`);
    const [keyword, ...paths] = line.split(' ');
    if (!/^[ -~]*$/.test(line)) throw fail('byte that is not percent-encoded');
    if (keyword !== 'shim') throw fail('keyword that is unknown');
    if (paths.length !== 2 || paths.includes('')) throw fail('too few or too many fields');
    const [place, original] = paths.map((field) => decodePath(field, fail)) as [string, string];
    if (!place.startsWith('/') || !original.startsWith('/'))
      throw fail('path that is not absolute');
    return Object.freeze({ place, original });
  });
}
