import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { NarChild, NarNode } from './nar-node.ts';
import { type NarEntry, readNar } from './nar-reader.ts';
import { NAR_MAGIC, narLength, narTokens } from './nar-wire.ts';
import { writeNar } from './nar-writer.ts';
import { collect } from './testing/collect.ts';
import { treeFrom, treeNode } from './testing/nar-trees.ts';

async function narOf(node: NarNode): Promise<Buffer> {
  return Buffer.concat(await collect(writeNar(node)));
}

async function* pieces(bytes: Buffer, size = 7): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Reads all of a NAR and builds the node that it holds. */
async function rebuild(bytes: Buffer): Promise<NarNode> {
  const folders = new Map<string, NarChild[]>();
  let root: NarNode | undefined;
  for await (const entry of readNar(pieces(bytes, 997), { size: bytes.length })) {
    const node = await nodeOf(entry, folders);
    if (entry.path === '') root = node;
    else {
      const slash = entry.path.lastIndexOf('/');
      const siblings = folders.get(entry.path.slice(0, Math.max(slash, 0)));
      siblings?.push({ name: entry.path.slice(slash + 1), node: () => node });
    }
  }
  return root as NarNode;
}

async function nodeOf(entry: NarEntry, folders: Map<string, NarChild[]>): Promise<NarNode> {
  if (entry.type === 'symlink') return entry;
  if (entry.type === 'directory') {
    const children: NarChild[] = [];
    folders.set(entry.path, children);
    return { type: 'directory', list: () => children };
  }
  const contents = await collect(entry.contents);
  return {
    type: 'file',
    executable: entry.executable,
    size: entry.size,
    async *open() {
      yield* contents;
    },
  };
}

const sampleTree = fc.array(fc.nat(), { size: 'max', maxLength: 200 }).map(treeFrom);

test('reads back what was written', async () => {
  await fc.assert(
    fc.asyncProperty(sampleTree, async (tree) => {
      const bytes = await narOf(treeNode(tree));
      expect((await narOf(await rebuild(bytes))).equals(bytes)).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test('a changed NAR is refused, or is another NAR in its one spelling', async () => {
  const change = fc.record({
    at: fc.nat(1 << 20),
    how: fc.constantFrom('flip', 'cut', 'insert', 'remove', 'length'),
    byte: fc.integer({ min: 1, max: 255 }),
  });
  await fc.assert(
    fc.asyncProperty(
      sampleTree,
      fc.array(change, { minLength: 1, maxLength: 3 }),
      async (tree, changes) => {
        let bytes = await narOf(treeNode(tree));
        for (const { at, how, byte } of changes) {
          const place = at % (bytes.length + 1);
          const before = bytes.subarray(0, place);
          const after = bytes.subarray(place);
          if (how === 'cut') bytes = before;
          else if (how === 'insert') bytes = Buffer.concat([before, Buffer.from([byte]), after]);
          else if (how === 'remove') bytes = Buffer.concat([before, after.subarray(1)]);
          else {
            bytes = Buffer.from(bytes);
            const index = how === 'length' ? place - (place % 8) : place;
            if (index < bytes.length) bytes[index] = (bytes[index] as number) ^ byte;
          }
        }
        let node: NarNode;
        try {
          node = await rebuild(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'UPORT_NAR_INVALID' });
          return;
        }
        expect((await narOf(node)).equals(bytes)).toBe(true);
      },
    ),
    { numRuns: 500 },
  );
});

const link = ['(', 'type', 'symlink', 'target', 't', ')'];
const entry = (name: string, node: readonly string[] = link) => [
  'entry',
  '(',
  'name',
  name,
  'node',
  ...node,
  ')',
];
const folder = (...entries: readonly string[][]) => [
  '(',
  'type',
  'directory',
  ...entries.flat(),
  ')',
];
const tokens = (words: readonly string[]) => narTokens(NAR_MAGIC, ...words);
const read = (bytes: Buffer, options = {}) => collect(readNar(pieces(bytes), options));

test.each([
  ['a name with a slash', tokens(folder(entry('a/b'))), 'name "a/b"'],
  ['a name with NUL', tokens(folder(entry('a\0'))), 'has the name'],
  ['the name .', tokens(folder(entry('.'))), 'name "."'],
  ['the name ..', tokens(folder(entry('..'))), 'name ".."'],
  ['an empty name', tokens(folder(entry(''))), 'name ""'],
  ['names out of order', tokens(folder(entry('b'), entry('a'))), 'after a later one'],
  ['a name twice', tokens(folder(entry('a'), entry('a'))), '"a" twice'],
  ['a name of 256 bytes', tokens(folder(entry('n'.repeat(256)))), 'a name of 256 bytes'],
  ['an empty link target', tokens(['(', 'type', 'symlink', 'target', '', ')']), 'link target'],
  ['a long link target', tokens(['(', 'type', 'symlink', 'target', 't'.repeat(4096), ')']), '4096'],
  ['an unknown type', tokens(['(', 'type', 'device', ')']), 'unknown type "device"'],
  ['an unknown word', tokens(['(', 'type', 'regular', 'mode', ')']), '"mode"'],
  ['another magic', narTokens('nix-archive-2', ...link), '"nix-archive-2"'],
  ['bytes after the end', Buffer.concat([tokens(link), Buffer.alloc(1)]), 'goes on'],
  ['padding with data', Buffer.from(tokens(link)).fill(1, 21, 22), 'padding'],
  ['nothing', Buffer.alloc(0), 'ends early'],
  [
    'a length past 2^53',
    Buffer.concat([tokens(['(', 'type', 'regular', 'contents']), Buffer.alloc(8, 0xff)]),
    'more than any file',
  ],
  [
    'a word of many gigabytes',
    Buffer.concat([tokens(['(']), narLength(2 ** 40)]),
    'a word of 1099511627776 bytes',
  ],
])('refuses %s', async (_, bytes, message) => {
  await expect(read(bytes)).rejects.toMatchObject({
    code: 'UPORT_NAR_INVALID',
    message: expect.stringContaining(message),
    offset: expect.any(Number),
  });
});

test('refuses a file longer than the archive before reading it', async () => {
  const bytes = Buffer.concat([
    tokens(['(', 'type', 'regular', 'contents']),
    narLength(2 ** 40),
    Buffer.alloc(64),
  ]);
  await expect(read(bytes, { size: bytes.length })).rejects.toThrow('ends after the archive does');
  await expect(read(bytes)).rejects.toThrow('ends early');
});

test('refuses folders nested deeper than allowed', async () => {
  let nested = link;
  for (let i = 0; i < 4; i++) nested = folder(entry('d', nested));
  expect(await read(tokens(nested), { maxDepth: 4 })).toHaveLength(5);
  await expect(read(tokens(nested), { maxDepth: 3 })).rejects.toThrow('more than 3 deep');
});

test('skips contents that nobody reads, wholly or in part', async () => {
  const files = folder(
    entry('a', ['(', 'type', 'regular', 'contents', 'x'.repeat(100), ')']),
    entry('b', ['(', 'type', 'regular', 'executable', '', 'contents', 'y'.repeat(100), ')']),
    entry('c'),
  );
  const seen: string[] = [];
  let late: AsyncIterable<Uint8Array> | undefined;
  for await (const found of readNar(pieces(tokens(files)))) {
    seen.push(found.path);
    if (found.type !== 'file') continue;
    late ??= found.contents;
    if (found.path === 'b') for await (const _ of found.contents) break;
  }
  expect(seen).toEqual(['', 'a', 'b', 'c']);
  await expect(collect(late as AsyncIterable<Uint8Array>)).rejects.toMatchObject({
    code: 'UPORT_NAR_ENTRY_PASSED',
  });
});

test('closes its source when the consumer stops', async () => {
  let closed = false;
  async function* source() {
    try {
      yield tokens(folder(entry('a')));
    } finally {
      closed = true;
    }
  }
  for await (const _ of readNar(source())) break;
  expect(closed).toBe(true);
});
