import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFile, cp, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fileBlob, type PushBlob, readPushContent } from './push-content.ts';
import { type LayoutFixture, writeLayout } from './testing/layout-fixture.ts';

let dir: string;
let layout: LayoutFixture;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'uport-content-'));
  layout = await writeLayout(path.join(dir, 'layout'));
});
afterEach(() => rm(dir, { recursive: true }));

const signal = new AbortController().signal;
const read = (tag = 'latest') => readPushContent(layout.dir, tag, signal);
const fileOf = (digest: string) =>
  path.join(layout.dir, 'blobs', 'sha256', digest.slice('sha256:'.length));
const indexFile = () => path.join(layout.dir, 'index.json');

async function writeIndex(manifests: unknown): Promise<void> {
  await writeFile(indexFile(), JSON.stringify({ schemaVersion: 2, manifests }));
}

async function putManifest(value: unknown, mediaType: string) {
  const bytes = Buffer.from(JSON.stringify(value));
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  await writeFile(fileOf(digest), bytes);
  return { mediaType, digest, size: bytes.length };
}

const INDEX = 'application/vnd.oci.image.index.v1+json';
const named = (descriptor: object, name: string) => ({
  ...descriptor,
  annotations: { 'org.opencontainers.image.ref.name': name },
});

describe('readPushContent', () => {
  test('each blob once, the index last', async () => {
    const content = await read();
    expect(content.blobs.map(({ digest }) => digest).sort()).toEqual([...layout.blobs].sort());
    expect(content.blobs[0]?.digest).toBe(layout.sharedLayer);
    expect(content.manifests.map(({ isIndex }) => isIndex)).toEqual([
      ...Array(5).fill(false),
      true,
    ]);
    expect(content.root.digest).toBe(layout.root);
  });

  test('one image is pushed whatever its tag; of several the one with the tag', async () => {
    expect((await read('other')).root.digest).toBe(layout.root);
    const second = await writeLayout(path.join(dir, 'second'), { seed: 'second' });
    await cp(second.dir, layout.dir, { recursive: true });
    const descriptor = async (digest: string) => ({
      mediaType: INDEX,
      digest,
      size: (await readFile(fileOf(digest))).length,
    });
    const [one, two] = [await descriptor(layout.root), await descriptor(second.root)];
    await writeIndex([named(one, 'a'), named(two, 'b'), named(one, 'c')]);
    expect((await read('b')).root.digest).toBe(second.root);
    expect((await read('c')).root.digest).toBe(layout.root);
    await expect(read('d')).rejects.toThrow(
      expect.objectContaining({ code: 'UPORT_REGISTRY_LAYOUT_AMBIGUOUS', category: 'usage' }),
    );
    await writeIndex([named(one, 'a'), two]);
    expect((await read('d')).root.digest).toBe(layout.root);
  });

  test('indexes in indexes: each after those that it names', async () => {
    const size = (await readFile(fileOf(layout.root))).length;
    const five = { mediaType: INDEX, digest: layout.root, size };
    const inner = await putManifest({ schemaVersion: 2, manifests: [five] }, INDEX);
    const outer = await putManifest({ schemaVersion: 2, manifests: [five, inner] }, INDEX);
    await writeIndex([outer]);
    const content = await read();
    expect(content.manifests.slice(5).map(({ digest }) => digest)).toEqual([
      layout.root,
      inner.digest,
      outer.digest,
    ]);
    expect(content.root.digest).toBe(outer.digest);
  });

  test.each<[string, () => Promise<unknown>, string]>([
    ['no layout', () => rm(layout.dir, { recursive: true }), 'UPORT_OCI'],
    ['an empty list', () => writeIndex([]), 'UPORT_OCI'],
    ['a changed manifest', () => appendFile(fileOf(layout.root), ' '), 'UPORT_OCI'],
    ['a lost blob', () => rm(fileOf(layout.sharedLayer)), 'UPORT_REGISTRY_LAYOUT'],
    ['a short blob', () => truncate(fileOf(layout.sharedLayer), 10), 'UPORT_REGISTRY_LAYOUT'],
    [
      'a FIFO',
      async () => {
        await rm(fileOf(layout.sharedLayer));
        execFileSync('mkfifo', [fileOf(layout.sharedLayer)]);
      },
      'UPORT_REGISTRY_LAYOUT',
    ],
  ])('%s', async (_name, damage, code) => {
    await damage();
    await expect(read()).rejects.toThrow(
      expect.objectContaining({
        code: expect.stringContaining(code),
        file: expect.stringContaining(layout.dir),
      }),
    );
  });
});

describe('a blob', () => {
  async function drain(blob: PushBlob): Promise<number> {
    let size = 0;
    for await (const chunk of blob.open(signal)) size += chunk.length;
    return size;
  }

  test('gives all bytes, or fails before the last ones', async () => {
    const blob = (await read()).blobs[0] as PushBlob;
    expect(await drain(blob)).toBe(blob.size);
    const bytes = await readFile(fileOf(blob.digest));
    for (const at of [0, bytes.length - 1]) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      await writeFile(fileOf(blob.digest), damaged);
      let size = 0;
      const count = async () => {
        for await (const chunk of blob.open(signal)) size += chunk.length;
      };
      await expect(count()).rejects.toThrow(
        expect.objectContaining({ code: 'UPORT_REGISTRY_LAYOUT', file: fileOf(blob.digest) }),
      );
      expect(size).toBeLessThan(blob.size);
    }
  });

  test('notices a file that grew or shrank meanwhile', async () => {
    const blob = (await read()).blobs[0] as PushBlob;
    await appendFile(fileOf(blob.digest), 'x');
    await expect(drain(blob)).rejects.toThrow(/size and digest/);
    await truncate(fileOf(blob.digest), 5);
    await expect(drain(blob)).rejects.toThrow(/size and digest/);
  });

  test('an empty blob', async () => {
    const digest = `sha256:${createHash('sha256').digest('hex')}` as PushBlob['digest'];
    await writeFile(fileOf(digest), '');
    expect(await drain(fileBlob({ digest, size: 0, file: fileOf(digest) }))).toBe(0);
  });
});
