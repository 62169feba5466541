// Paths inside a root on disk, as a process that has it as its root would see them.
import { lstatSync, readlinkSync } from 'node:fs';
import path from 'node:path';

const LINKS_MAX = 40;

/** Where a path of the root really lies on this machine; undefined when nothing is there. */
export function locateInRoot(root: string, inside: string): string | undefined {
  let links = 0;
  let at: string[] = [];
  const todo = inside.split('/').reverse();
  while (todo.length > 0) {
    const part = todo.pop() as string;
    if (part === '' || part === '.') continue;
    if (part === '..') {
      at.pop();
      continue;
    }
    const place = path.join(root, ...at, part);
    const status = lstatSync(place, { throwIfNoEntry: false });
    if (status === undefined) return undefined;
    if (!status.isSymbolicLink()) {
      at.push(part);
      continue;
    }
    if (++links > LINKS_MAX) return undefined;
    const target = readlinkSync(place);
    if (target.startsWith('/')) at = [];
    todo.push(...target.split('/').reverse());
  }
  return path.join(root, ...at);
}
