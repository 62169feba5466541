// Putting a package's files into a payload tree.
import type { TreeRoot } from '../closure/tree-root.ts';
import { parseBytePath } from '../model/byte-path.ts';
import type { BytePath } from '../model/payload-tree.ts';
import type { DebEntry } from './deb-files.ts';

/** Folders that Debian has moved below `usr`; whatever suite a package is of, they become links. */
const MERGED_NAMES = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32', 'libo32'];
const MERGED = new RegExp(`^(?:${MERGED_NAMES.join('|')})$`);

/**
 * Adds a package's entries. What the payload has already stays: the app's own files go before
 * Debian's, and of two packages the first.
 *
 * @returns the paths of the files that were added
 */
export function placeFiles(tree: TreeRoot, entries: readonly DebEntry[]): readonly string[] {
  const placed: string[] = [];
  for (const entry of entries) {
    if (entry.type === 'directory') {
      makeFolder(tree, entry.path);
      continue;
    }
    const slash = entry.path.lastIndexOf('/');
    const folder = slash < 0 ? '' : makeFolder(tree, entry.path.slice(0, slash));
    if (folder === undefined) continue;
    const path = joined(folder, entry.path.slice(slash + 1));
    if (tree.get(path) !== undefined) continue;
    switch (entry.type) {
      case 'file': {
        const { mode, size, digest } = entry;
        tree.add({ type: 'file', path, mode, size, digest });
        placed.push(path);
        break;
      }
      case 'hardlink': {
        const target = tree.follow(`/${entry.target}`);
        if (target?.type !== 'file') break;
        tree.add({
          type: 'symlink',
          path,
          mode: 0o777,
          target: relativeTarget(folder, target.path.slice(1)),
        });
        break;
      }
      case 'symlink': {
        const { target } = entry;
        const absolute = target.startsWith('/');
        const shown = absolute ? relativeTarget(folder, target.replace(/^\/+/, '')) : target;
        tree.add({ type: 'symlink', path, mode: 0o777, target: shown });
        break;
      }
    }
  }
  return placed;
}

/**
 * Adds the links from `/lib` to `/usr/lib` and so on, which Debian's base-files brings: packages of newer
 * suites name the latter only, programs and scripts the former.
 */
export function linkMerged(tree: TreeRoot): void {
  for (const name of MERGED_NAMES) {
    if (tree.get(name) !== undefined || tree.follow(`/usr/${name}`) === undefined) continue;
    tree.add({ type: 'symlink', path: parseBytePath(name), mode: 0o777, target: `usr/${name}` });
  }
}

/** Adds a link from one place of the payload to another. */
export function placeLink(tree: TreeRoot, path: string, target: string): void {
  const slash = path.lastIndexOf('/');
  const folder = makeFolder(tree, path.slice(0, slash));
  const place = folder === undefined ? undefined : joined(folder, path.slice(slash + 1));
  if (folder === undefined || place === undefined || tree.get(place) !== undefined) return;
  tree.add({ type: 'symlink', path: place, mode: 0o777, target: relativeTarget(folder, target) });
}

const joined = (folder: string, name: string): BytePath =>
  parseBytePath(folder === '' ? name : `${folder}/${name}`);

/** Links must not lead out of a payload that is unpacked somewhere: they are relative. */
function relativeTarget(folder: string, target: string): string {
  const from = folder === '' ? [] : folder.split('/');
  const to = target.split('/').filter((part) => part !== '' && part !== '.');
  let shared = 0;
  while (shared < from.length && shared < to.length - 1 && from[shared] === to[shared]) shared++;
  return [...from.slice(shared).map(() => '..'), ...to.slice(shared)].join('/');
}

/**
 * The folder that a path of a package stands for, made where it is not there, links followed;
 * undefined where a file is in the way.
 */
function makeFolder(tree: TreeRoot, path: string): string | undefined {
  let at = '';
  for (const part of path.split('/')) {
    const next = at === '' ? part : `${at}/${part}`;
    const found = tree.follow(`/${next}`);
    if (found?.type === 'file') return undefined;
    if (found !== undefined) {
      at = found.path.slice(1);
      continue;
    }
    // A link that leads nowhere yet.
    if (tree.get(next) !== undefined) return undefined;
    if (at === '' && MERGED.test(part)) {
      const target = makeFolder(tree, `usr/${part}`);
      if (target === undefined) return undefined;
      tree.add({ type: 'symlink', path: parseBytePath(part), mode: 0o777, target });
      at = target;
      continue;
    }
    tree.add({ type: 'directory', path: parseBytePath(next), mode: 0o755 });
    at = next;
  }
  return at;
}
