import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { diskNarNode } from './nar-sources.ts';
import { unpackNar } from './nar-unpack.ts';
import { NAR_MAGIC, narTokens } from './nar-wire.ts';
import { writeNar } from './nar-writer.ts';
import { collect } from './testing/collect.ts';
import { treeFrom, treeNode } from './testing/nar-trees.ts';

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(tmpdir(), 'unpack-nar-'));
});
afterEach(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

test('what was unpacked packs to the same NAR', async () => {
  const trees = fc.sample(fc.array(fc.nat(), { size: 'max', maxLength: 200 }).map(treeFrom), {
    numRuns: 20,
    seed: 6,
  });
  for (const [i, tree] of trees.entries()) {
    const place = path.join(folder, `${i}`);
    const nar = Buffer.concat(await collect(writeNar(treeNode(tree))));
    await unpackNar(once(nar), place);
    const again = Buffer.concat(await collect(writeNar(await diskNarNode(place))));
    expect(again.equals(nar)).toBe(true);
  }
  expect(fs.readdirSync(folder)).toHaveLength(20);
});

test('a NAR that is bad near its end leaves nothing', async () => {
  const file = ['(', 'type', 'regular', 'contents', 'text', ')'];
  const good = ['entry', '(', 'name', 'a', 'node', ...file, ')'];
  const bad = ['entry', '(', 'name', '../b', 'node', ...file, ')'];
  const nar = narTokens(NAR_MAGIC, '(', 'type', 'directory', ...good, ...bad, ')');
  await expect(unpackNar(once(nar), path.join(folder, 'x'))).rejects.toMatchObject({
    code: 'UPORT_NAR_INVALID',
  });
  expect(fs.readdirSync(folder)).toEqual([]);
});

test('nothing that is there is replaced', async () => {
  const nar = narTokens(NAR_MAGIC, '(', 'type', 'symlink', 'target', 'elsewhere', ')');
  const place = path.join(folder, 'x');
  await unpackNar(once(nar), place);
  expect(fs.readlinkSync(place)).toBe('elsewhere');
  await expect(unpackNar(once(nar), place)).rejects.toMatchObject({
    code: 'UPORT_OUTPUT_IN_THE_WAY',
  });
});

test('a folder that is missing is named', async () => {
  const nar = narTokens(NAR_MAGIC, '(', 'type', 'symlink', 'target', 't', ')');
  await expect(unpackNar(once(nar), path.join(folder, 'none', 'x'))).rejects.toMatchObject({
    code: 'UPORT_NOT_FOUND',
  });
});
