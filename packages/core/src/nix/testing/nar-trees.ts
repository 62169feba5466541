// Random trees for NAR tests, in memory and on disk.
import fs from 'node:fs';
import type { NarNode } from '../nar-node.ts';
import { isNarName } from '../nar-wire.ts';

export type SampleTree =
  | { readonly type: 'file'; readonly mode: number; readonly bytes: Uint8Array }
  | { readonly type: 'symlink'; readonly target: string }
  | { readonly type: 'directory'; readonly children: ReadonlyMap<string, SampleTree> };

const MODES = [0o644, 0o755, 0o600, 0o711, 0o654, 0o4755, 0o444];
const NAMES = ['a', 'a.b', 'a b', 'A', 'a-', 'lib', '\xff', '\u00c3\u00a9', '...', '(', 'name'];

/** A tree from random numbers, each used once; zeros follow the last. */
export function treeFrom(numbers: readonly number[]): SampleTree {
  let used = 0;
  const next = (below: number): number => (numbers[used++] ?? 0) % below;
  const text = (max: number): string =>
    Array.from({ length: next(max) + 1 }, () => String.fromCharCode(next(255) + 1)).join('');
  const tree = (depth: number): SampleTree => {
    const kind = next(depth === 0 ? 6 : 4);
    if (kind === 3) return { type: 'symlink', target: text(20) };
    if (depth < 6 && (kind > 3 || kind === 2)) {
      const children = new Map<string, SampleTree>();
      for (let left = next(8); left > 0; left--) {
        const name = next(2) === 0 ? (NAMES[next(NAMES.length)] as string) : text(12);
        if (isNarName(name)) children.set(name, tree(depth + 1));
      }
      return { type: 'directory', children };
    }
    const size = next(40) === 39 ? 300_000 + next(20) : next(40);
    return {
      type: 'file',
      mode: MODES[next(MODES.length)] as number,
      bytes: new Uint8Array(size).fill(next(256)),
    };
  };
  return tree(0);
}

export function treeNode(tree: SampleTree): NarNode {
  if (tree.type === 'symlink') return tree;
  if (tree.type === 'directory') {
    const children = [...tree.children].map(([name, child]) => ({
      name,
      node: () => treeNode(child),
    }));
    return { type: 'directory', list: () => children };
  }
  const { mode, bytes } = tree;
  return {
    type: 'file',
    executable: (mode & 0o100) !== 0,
    size: bytes.length,
    async *open() {
      // In two pieces, since most files come in several.
      yield bytes.subarray(0, bytes.length >> 1);
      yield bytes.subarray(bytes.length >> 1);
    },
  };
}

export function layTree(tree: SampleTree, place: Buffer): void {
  if (tree.type === 'symlink') {
    fs.symlinkSync(Buffer.from(tree.target, 'latin1'), place);
  } else if (tree.type === 'file') {
    fs.writeFileSync(place, tree.bytes);
    fs.chmodSync(place, tree.mode);
  } else {
    fs.mkdirSync(place);
    for (const [name, child] of tree.children) {
      layTree(child, Buffer.concat([place, Buffer.from(`/${name}`, 'latin1')]));
    }
  }
}
