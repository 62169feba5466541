import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { scanFolder } from '../app/scan-folder.ts';
import { textPath } from '../model/byte-path.ts';
import { sha256Digest } from '../model/digest.ts';
import type { BytePath, PayloadTree } from '../model/payload-tree.ts';
import { silentProgress } from '../model/progress.ts';
import { formatNixHash, hashStream, type NixHashFormat } from './hash.ts';
import type { NarNode } from './nar-node.ts';
import { diskNarNode, payloadNarNode } from './nar-sources.ts';
import { writeNar } from './nar-writer.ts';
import { collect } from './testing/collect.ts';
import { layTree, treeFrom } from './testing/nar-trees.ts';
import { nixMissing, runNix } from './testing/nix-command.ts';

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(tmpdir(), 'nar-'));
});
afterEach(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

async function narOf(node: NarNode): Promise<Buffer> {
  return Buffer.concat(await collect(writeNar(node)));
}

const sampleTree = fc.array(fc.nat(), { size: 'max', maxLength: 300 }).map(treeFrom);

const contentIsMissing = { locate: () => undefined };

test.skipIf(nixMissing)(
  '300 random trees give what nix-store --dump and nix hash path print (apt-get install nix-bin)',
  async () => {
    const trees = fc.sample(sampleTree, { numRuns: 300, seed: 4 });
    const all = path.join(folder, 'all');
    fs.mkdirSync(all);
    const places = trees.map((tree, i) => {
      const place = path.join(all, `tree${i}`);
      layTree(tree, Buffer.from(place));
      return place;
    });
    const dumped = runNix(folder, 'nix-store', ['--dump', all]);
    expect((await narOf(await diskNarNode(all))).equals(dumped)).toBe(true);

    const hashes = await Promise.all(
      places.map(async (place) => (await hashStream(writeNar(await diskNarNode(place)))).hash),
    );
    for (const format of ['sri', 'base16', 'base32'] satisfies NixHashFormat[]) {
      const printed = runNix(folder, 'nix', ['hash', 'path', `--${format}`, ...places]).toString();
      expect(hashes.map((hash) => formatNixHash(hash, format))).toEqual(printed.trim().split('\n'));
    }
  },
);

test.skipIf(nixMissing)(
  'a payload tree gives the NAR of the folder it was read from (apt-get install nix-bin)',
  async () => {
    const app = path.join(folder, 'top', 'app');
    fs.mkdirSync(path.dirname(app));
    const trees = fc.sample(sampleTree, { numRuns: 30, seed: 5 });
    layTree(
      { type: 'directory', children: new Map(trees.map((tree, i) => [`t${i}`, tree])) },
      Buffer.from(app),
    );
    fs.writeFileSync(path.join(app, 'z'), 'linked');
    fs.chmodSync(path.join(app, 'z'), 0o755);
    fs.linkSync(path.join(app, 'z'), path.join(app, 'hard'));
    const { entries, files } = await scanFolder(app, textPath('app'), {
      task: silentProgress.start(''),
      signal: new AbortController().signal,
    });
    const node = payloadNarNode({ entries }, { locate: (digest) => files.get(digest) });
    const dumped = runNix(folder, 'nix-store', ['--dump', path.dirname(app)]);
    expect((await narOf(node)).equals(dumped)).toBe(true);
  },
);

test('a file larger than 4 GiB passes in little memory, its length in 64 bits', async () => {
  const block = new Uint8Array(1 << 20);
  const blocks = 4097;
  const node: NarNode = {
    type: 'file',
    executable: false,
    size: blocks * block.length + 3,
    async *open() {
      for (let i = 0; i < blocks; i++) yield block;
      yield block.subarray(0, 3);
    },
  };
  let size = 0;
  let head: Buffer | undefined;
  for await (const chunk of writeNar(node)) {
    head ??= Buffer.from(chunk.subarray(0, 128));
    size += chunk.length;
  }
  const before = 24 + 16 + 16 + 16 + 16;
  expect(head?.readBigUInt64LE(before)).toBe(0x1_0010_0003n);
  expect(size).toBe(before + 8 + 0x1_0010_0003 + 5 + 16);
});

test('a file that grew or shrank since it was measured is a fault', async () => {
  const file = path.join(folder, 'file');
  fs.writeFileSync(file, 'abc');
  for (const now of ['abcd', 'ab', '']) {
    fs.writeFileSync(file, 'abc');
    const node = await diskNarNode(file);
    fs.writeFileSync(file, now);
    await expect(narOf(node)).rejects.toMatchObject({ code: 'UPORT_INPUT_CHANGED' });
  }
});

test('a payload file with other bytes than its digest is a fault, and so is one not there', async () => {
  const file = path.join(folder, 'file');
  fs.writeFileSync(file, 'abc');
  const tree: PayloadTree = {
    entries: [
      {
        type: 'file',
        path: 'f' as BytePath,
        mode: 0o644,
        size: 3,
        digest: sha256Digest('0'.repeat(64)),
      },
    ],
  };
  const changed = payloadNarNode(tree, { locate: () => file });
  await expect(narOf(changed)).rejects.toMatchObject({ code: 'UPORT_INPUT_CHANGED' });
  await expect(narOf(payloadNarNode(tree, contentIsMissing))).rejects.toMatchObject({
    code: 'UPORT_CONTENT_MISSING',
  });
});

test('payload trees that are no trees are refused', () => {
  const at = (path: string) =>
    ({ type: 'directory', path: path as BytePath, mode: 0o755 }) as const;
  const link = {
    type: 'hardlink',
    path: 'l' as BytePath,
    mode: 0o644,
    target: 'a' as BytePath,
  } as const;
  for (const entries of [[at('a/b')], [at('a'), at('a')], [at('a'), link], [link]]) {
    expect(() => payloadNarNode({ entries }, contentIsMissing)).toThrow(
      expect.objectContaining({ code: 'UPORT_PAYLOAD_TREE_INVALID' }),
    );
  }
});

test('names that no folder can hold are refused', async () => {
  const link: NarNode = { type: 'symlink', target: 't' };
  for (const names of [['a/b'], ['.'], ['..'], [''], ['a\0'], ['a', 'a']]) {
    const node: NarNode = {
      type: 'directory',
      list: () => names.map((name) => ({ name, node: () => link })),
    };
    await expect(narOf(node)).rejects.toMatchObject({ code: 'UPORT_NAR_NAME_INVALID' });
  }
});

test('sockets and pipes are refused by name, links to them are not', async () => {
  fs.symlinkSync('/dev/null', path.join(folder, 'link'));
  expect(await diskNarNode(path.join(folder, 'link'))).toEqual({
    type: 'symlink',
    target: '/dev/null',
  });
  await expect(diskNarNode('/dev/null')).rejects.toMatchObject({
    code: 'UPORT_PAYLOAD_FILE_TYPE',
    file: '/dev/null',
  });
  await expect(diskNarNode(path.join(folder, 'none'))).rejects.toMatchObject({
    code: 'UPORT_NOT_FOUND',
  });
});

test('stops when told to', async () => {
  const controller = new AbortController();
  const nar = writeNar(
    {
      type: 'directory',
      list: () => {
        controller.abort();
        return [{ name: 'a', node: () => ({ type: 'symlink', target: 't' }) }];
      },
    },
    { signal: controller.signal },
  );
  await expect(collect(nar)).rejects.toMatchObject({ name: 'AbortError' });
});
