import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFile, cp, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type PushBlob, readBlob, readPushContent } from './push-content.ts';
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

  test.each<[string, () => Promise<unknown>, RegExp]>([
    ['no layout', () => rm(layout.dir, { recursive: true }), /ENOENT/],
    ['no JSON', () => writeFile(indexFile(), '{'), /not JSON/],
    ['no object', () => writeFile(indexFile(), '[]'), /not a JSON object/],
    ['no list', () => writeFile(indexFile(), '{"manifests":7}'), /no list/],
    ['an empty list', () => writeIndex([]), /no image/],
    ['null', () => writeIndex([null]), /lacks a valid/],
    ['a huge index', () => truncate(indexFile(), 5 << 20), /4 MiB/],
    [
      'another type',
      async () => writeIndex([await putManifest({ schemaVersion: 2 }, 'text/plain')]),
      /"text\/plain" is no manifest/,
    ],
    [
      'a path for a digest',
      () => writeIndex([{ mediaType: INDEX, digest: 'sha256:../../x', size: 1 }]),
      /not a sha256 digest/,
    ],
    [
      'a negative size',
      () => writeIndex([{ mediaType: INDEX, digest: layout.root, size: -1 }]),
      /lacks a valid/,
    ],
    ['a changed manifest', () => appendFile(fileOf(layout.root), ' '), /size and digest/],
    ['a lost blob', () => rm(fileOf(layout.sharedLayer)), /ENOENT/],
    ['a short blob', () => truncate(fileOf(layout.sharedLayer), 10), /has 10 bytes/],
    [
      'a FIFO',
      async () => {
        await rm(fileOf(layout.sharedLayer));
        execFileSync('mkfifo', [fileOf(layout.sharedLayer)]);
      },
      /not an ordinary file/,
    ],
    [
      'indexes in indexes',
      async () => {
        let inner = await putManifest({ schemaVersion: 2, manifests: [] }, INDEX);
        for (let depth = 0; depth < 6; depth++) {
          inner = await putManifest({ schemaVersion: 2, depth, manifests: [inner] }, INDEX);
        }
        await writeIndex([inner]);
      },
      /nest more than/,
    ],
  ])('%s', async (_name, damage, message) => {
    await damage();
    await expect(read()).rejects.toThrow(message);
    await expect(read()).rejects.toThrow(
      expect.objectContaining({
        code: 'UPORT_REGISTRY_LAYOUT',
        file: expect.stringContaining(layout.dir),
      }),
    );
  });
});

describe('readBlob', () => {
  async function drain(blob: PushBlob): Promise<number> {
    let size = 0;
    for await (const chunk of readBlob(blob, signal)) size += chunk.length;
    return size;
  }

  test('gives all bytes, or fails before the last ones', async () => {
    const blob = (await read()).blobs[0] as PushBlob;
    expect(await drain(blob)).toBe(blob.size);
    const bytes = await readFile(blob.file);
    for (const at of [0, bytes.length - 1]) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      await writeFile(blob.file, damaged);
      let size = 0;
      const count = async () => {
        for await (const chunk of readBlob(blob, signal)) size += chunk.length;
      };
      await expect(count()).rejects.toThrow(
        expect.objectContaining({ code: 'UPORT_REGISTRY_LAYOUT', file: blob.file }),
      );
      expect(size).toBeLessThan(blob.size);
    }
  });

  test('notices a file that grew or shrank meanwhile', async () => {
    const blob = (await read()).blobs[0] as PushBlob;
    await appendFile(blob.file, 'x');
    await expect(drain(blob)).rejects.toThrow(/size and digest/);
    await truncate(blob.file, 5);
    await expect(drain(blob)).rejects.toThrow(/size and digest/);
  });

  test('an empty blob', async () => {
    const digest = `sha256:${createHash('sha256').digest('hex')}` as PushBlob['digest'];
    await writeFile(fileOf(digest), '');
    expect(await drain({ digest, size: 0, file: fileOf(digest) })).toBe(0);
  });
});
