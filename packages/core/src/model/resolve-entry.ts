import type { BytePath, PayloadEntry } from './payload-tree.ts';

const MAX_LINKS = 40;

/** Follows symbolic and hard links inside a payload, as the kernel would if its root were `/`. */
export function resolveEntry(
  entries: ReadonlyMap<string, PayloadEntry>,
  start: BytePath,
): PayloadEntry | undefined {
  let rest = start.split('/');
  let done: string[] = [];
  for (let links = 0; links < MAX_LINKS; ) {
    const part = rest.shift();
    if (part === undefined) return undefined;
    if (part === '' || part === '.') continue;
    if (part === '..') {
      done.pop();
      continue;
    }
    const at = [...done, part];
    const entry = entries.get(at.join('/'));
    if (entry === undefined) return undefined;
    if (entry.type === 'symlink') {
      links++;
      if (entry.target.startsWith('/')) done = [];
      rest = [...entry.target.split('/'), ...rest];
    } else if (entry.type === 'hardlink') {
      links++;
      done = [];
      rest = [...entry.target.split('/'), ...rest];
    } else if (rest.length === 0) {
      return entry;
    } else {
      done = at;
    }
  }
  return undefined;
}
