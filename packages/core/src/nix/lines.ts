// Lines of printed source, and how they join.

/** The most characters on a line, not counting its indentation. */
export const LIMIT = 100;
const INDENT = '  ';

/** Lines of which the first goes on where the printer stands; the others carry their own indentation. */
export type Lines = readonly string[];

export function width(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

export function lineWidth(line: string): number {
  return width(line.trimStart());
}

export function indented(lines: Lines): Lines {
  return lines.map((line) => (line === '' ? '' : INDENT + line));
}

/** The text before the first line and after the last one. */
export function surround(before: string, lines: Lines, after: string): Lines {
  return append(append(before, lines), after);
}

/** Joins at the lines that meet. */
export function append(...parts: readonly (string | Lines)[]): Lines {
  const all: string[] = [''];
  for (const part of parts) {
    const [first = '', ...rest] = typeof part === 'string' ? [part] : part;
    all[all.length - 1] += first;
    all.push(...rest);
  }
  return all;
}
