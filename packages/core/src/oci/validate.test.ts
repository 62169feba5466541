import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import zlib from 'node:zlib';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { ociEmitter } from '../emitters/oci/index.ts';
import type { Compression } from './compress.ts';
import type { Fault } from './fault.ts';
import { readLayout } from './layout.ts';
import { samplePlan } from './testing/sample-plan.ts';
import { validateLayout } from './validate.ts';

// JSON of any form, to be broken at will.
// biome-ignore lint/suspicious/noExplicitAny: the point of these tests is what no type allows.
type Any = any;

let good: string;
const made: Record<string, string> = {};

async function emit(compression: Compression): Promise<string> {
  const sample = await samplePlan();
  const out = path.join(sample.folder, 'out');
  await mkdir(out);
  await ociEmitter.emit(
    sample.plan,
    { compression, tags: ['latest'], archive: false, sbom: true },
    await sample.context(out),
  );
  return path.join(out, 'oci');
}

beforeAll(async () => {
  made.gzip = await emit('gzip');
  made.zstd = await emit('zstd');
  good = made.gzip;
});

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** A copy of the good layout whose documents can be edited with their digests following. */
async function open(folder = good) {
  const dir = path.join(await mkdtemp(path.join(tmpdir(), 'uport-validate-')), 'oci');
  await cp(folder, dir, { recursive: true });
  const blob = (digest: string) => path.join(dir, 'blobs', digest.replace(':', '/'));
  const read = async (file: string): Promise<Any> => JSON.parse(await readFile(file, 'utf8'));
  const put = async (bytes: Uint8Array) => {
    const digest = `sha256:${sha256(bytes)}`;
    await writeFile(blob(digest), bytes);
    return { digest, size: bytes.length };
  };
  const putJson = (value: Any) => put(Buffer.from(JSON.stringify(value)));
  const top = await read(path.join(dir, 'index.json'));
  const index = await read(blob(top.manifests[0].digest));
  const manifest = await read(blob(index.manifests[1].digest));
  const config = await read(blob(manifest.config.digest));
  const inIndex = index.manifests[1];
  const inTop = top.manifests[0];
  /** Writes the documents back, each named by its new digest. */
  const save = async () => {
    Object.assign(manifest.config, await putJson(config));
    Object.assign(inIndex, await putJson(manifest));
    Object.assign(inTop, await putJson(index));
    await writeFile(path.join(dir, 'index.json'), JSON.stringify(top));
  };
  return { dir, blob, put, save, top, index, manifest, config };
}

type Opened = Awaited<ReturnType<typeof open>>;

const codes = (faults: readonly Fault[]) => [...new Set(faults.map((fault) => fault.code))].sort();

test.each(['gzip', 'zstd'])('a layout just written has no faults (%s)', async (compression) => {
  expect(await validateLayout(made[compression] as string)).toEqual([]);
});

/** Replaces the second layer of the second platform, with its digest and diff_id right. */
async function layer(layout: Opened, tar: Buffer, blob = zlib.gzipSync(tar)): Promise<void> {
  Object.assign(layout.manifest.layers[1], await layout.put(blob));
  layout.config.rootfs.diff_ids[1] = `sha256:${sha256(tar)}`;
}

function tarOf(name: string, flag = '0', target = ''): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0, 100, 'latin1');
  block.write('0000644\x000000000\x000000000\x0000000000000\x0000000000000\0', 100, 'latin1');
  block.write(flag, 156, 'latin1');
  block.write(target, 157, 100, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([block, Buffer.alloc(1024)]);
}

const CASES: Record<string, [code: string, edit: (layout: Opened) => Promise<void> | void]> = {
  'schemaVersion 1': [
    'UPORT_OCI_FIELD',
    ({ index }) => {
      index.schemaVersion = 1;
    },
  ],
  'a media type of another document': [
    'UPORT_OCI_MEDIA_TYPE',
    ({ manifest }) => {
      manifest.mediaType = 'application/vnd.oci.image.index.v1+json';
    },
  ],
  'a layer of an unknown type': [
    'UPORT_OCI_MEDIA_TYPE',
    ({ manifest }) => {
      manifest.layers[0].mediaType = 'application/octet-stream';
    },
  ],
  'a manifest of an unknown type': [
    'UPORT_OCI_MEDIA_TYPE',
    ({ index }) => {
      index.manifests[0].mediaType = 'text/plain';
    },
  ],
  'no manifests': [
    'UPORT_OCI_FIELD',
    ({ index }) => {
      delete index.manifests;
    },
  ],
  'a descriptor without a size': [
    'UPORT_OCI_FIELD',
    ({ manifest }) => {
      delete manifest.layers[0].size;
    },
  ],
  'a wrong size': ['UPORT_OCI_SIZE', ({ manifest }) => void manifest.layers[1].size++],
  'a digest of another kind': [
    'UPORT_OCI_FIELD',
    ({ manifest }) => {
      manifest.layers[0].digest = 'md5:00';
    },
  ],
  'annotations that are not text': [
    'UPORT_OCI_FIELD',
    ({ manifest }) => {
      manifest.annotations = { a: 1 };
    },
  ],
  'a wrong diff_id': [
    'UPORT_OCI_DIFF_ID',
    ({ config }) => {
      config.rootfs.diff_ids[1] = `sha256:${'0'.repeat(64)}`;
    },
  ],
  'diff_ids in the wrong order': [
    'UPORT_OCI_DIFF_ID',
    ({ config }) => void config.rootfs.diff_ids.reverse(),
  ],
  'a diff_id too many': [
    'UPORT_OCI_LAYERS',
    ({ config }) => void config.rootfs.diff_ids.push(config.rootfs.diff_ids[0]),
  ],
  'a layer of history missing': ['UPORT_OCI_HISTORY', ({ config }) => void config.history.pop()],
  'another architecture in the config': [
    'UPORT_OCI_PLATFORM',
    ({ config }) => {
      config.architecture = 'amd64';
    },
  ],
  'another variant in the config': [
    'UPORT_OCI_PLATFORM',
    ({ config }) => {
      config.variant = 'v9';
    },
  ],
  'the same platform twice': [
    'UPORT_OCI_PLATFORM',
    ({ index }) => {
      index.manifests[0].platform = index.manifests[1].platform;
    },
  ],
  'a platform missing': [
    'UPORT_OCI_PLATFORM',
    ({ index }) => {
      delete index.manifests[0].platform;
    },
  ],
  'no os': [
    'UPORT_OCI_FIELD',
    ({ config }) => {
      delete config.os;
    },
  ],
  'a created time that is none': [
    'UPORT_OCI_FIELD',
    ({ config }) => {
      config.created = 'yesterday';
    },
  ],
  'an environment entry without a value': [
    'UPORT_OCI_FIELD',
    ({ config }) => {
      config.config.Env = ['A'];
    },
  ],
  'an entrypoint that is text': [
    'UPORT_OCI_FIELD',
    ({ config }) => {
      config.config.Entrypoint = 'sh';
    },
  ],
  'a tag that is no name': [
    'UPORT_OCI_REF_NAME',
    ({ top }) => {
      top.manifests[0].annotations['org.opencontainers.image.ref.name'] = '-a b';
    },
  ],
  'a tag twice': ['UPORT_OCI_REF_NAME', ({ top }) => void top.manifests.push(top.manifests[0])],
  'no image': [
    'UPORT_OCI_EMPTY',
    ({ top }) => {
      top.manifests.length = 0;
    },
  ],
  'an index in itself, deep': [
    'UPORT_OCI_MEDIA_TYPE',
    ({ index }) => {
      index.manifests[0].mediaType = index.mediaType;
    },
  ],
  'a blob missing': [
    'UPORT_OCI_MISSING',
    ({ blob, manifest }) => rm(blob(manifest.layers[1].digest)),
  ],
  'a blob that is a link': [
    'UPORT_OCI_MISSING',
    async ({ blob, manifest }) => {
      await rm(blob(manifest.layers[1].digest));
      await symlink('/etc/passwd', blob(manifest.layers[1].digest));
    },
  ],
  'a blob that is longer': [
    'UPORT_OCI_COMPRESSION',
    async ({ blob, manifest }) => {
      const file = blob(manifest.layers[1].digest);
      await writeFile(file, Buffer.concat([await readFile(file), Buffer.from('x'.repeat(99))]));
    },
  ],
  'an alien file among the blobs': [
    'UPORT_OCI_STRANGER',
    ({ blob }) => writeFile(blob('sha256:notes.txt'), ''),
  ],
  'an unnamed blob with other bytes': [
    'UPORT_OCI_DIGEST',
    ({ blob }) => writeFile(blob(`sha256:${'1'.repeat(64)}`), 'x'),
  ],
  'no marker': ['UPORT_OCI_MISSING', ({ dir }) => rm(path.join(dir, 'oci-layout'))],
  'a marker of another version': [
    'UPORT_OCI_FIELD',
    ({ dir }) => writeFile(path.join(dir, 'oci-layout'), '{"imageLayoutVersion":"2.0.0"}'),
  ],
  'a layer that is no gzip': [
    'UPORT_OCI_COMPRESSION',
    (layout) => layer(layout, Buffer.alloc(1024), Buffer.from('no gzip')),
  ],
  'a gzip that is cut': [
    'UPORT_OCI_COMPRESSION',
    (layout) =>
      layer(layout, Buffer.alloc(1024), zlib.gzipSync(Buffer.alloc(1024)).subarray(0, 20)),
  ],
  'a tar that is none': ['UPORT_OCI_TAR', (layout) => layer(layout, Buffer.alloc(1024, 'x'))],
  'a tar that is cut': ['UPORT_OCI_TAR', (layout) => layer(layout, tarOf('a').subarray(0, 300))],
  'a path that leads out': [
    'UPORT_OCI_TAR_PATH',
    (layout) => layer(layout, tarOf('a/../../../etc/passwd')),
  ],
  'a hard link that leads out': [
    'UPORT_OCI_TAR_PATH',
    (layout) => layer(layout, tarOf('a', '1', '../../etc/passwd')),
  ],
  'an entry of an unknown type': ['UPORT_OCI_TAR', (layout) => layer(layout, tarOf('a', 'Z'))],
};

test.each(Object.entries(CASES))('finds: %s', async (_name, [code, edit]) => {
  const layout = await open();
  // Edits of documents are followed by the digests that name them; edits of files are not.
  await edit(layout);
  await layout.save();
  const faults = await validateLayout(layout.dir);
  expect(codes(faults)).toContain(code);
  for (const fault of faults) expect(fault.where).not.toBe('');
});

test('reports all faults at once', async () => {
  const layout = await open();
  layout.config.architecture = 'amd64';
  layout.config.history.pop();
  layout.manifest.layers[1].size++;
  await layout.save();
  await writeFile(path.join(layout.dir, 'oci-layout'), '[]');
  expect(codes(await validateLayout(layout.dir))).toEqual([
    'UPORT_OCI_HISTORY',
    'UPORT_OCI_JSON',
    'UPORT_OCI_PLATFORM',
    // The index is another now than the one that the SBOMs are attached to.
    'UPORT_OCI_REFERRER',
    'UPORT_OCI_SIZE',
  ]);
});

test('a folder that is no layout', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'uport-validate-'));
  expect(codes(await validateLayout(dir))).toEqual(['UPORT_OCI_MISSING']);
  await expect(readLayout(dir)).rejects.toMatchObject({ code: 'UPORT_OCI_MISSING' });
});

test('any byte changed in any file is found', { timeout: 120_000 }, async () => {
  const { dir } = await open();
  const blobs = path.join(dir, 'blobs', 'sha256');
  const files = (await readdir(blobs)).map((name) => path.join(blobs, name)).sort();
  await fc.assert(
    fc.asyncProperty(
      fc.nat(files.length - 1),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.integer({ min: 1, max: 255 }),
      async (which, where, flip) => {
        const file = files[which] as string;
        const bytes = await readFile(file);
        const changed = Buffer.from(bytes);
        const at = Math.floor(where * bytes.length);
        changed[at] = (changed[at] as number) ^ flip;
        await writeFile(file, changed);
        const faults = await validateLayout(dir);
        await writeFile(file, bytes);
        expect(codes(faults)).toContain('UPORT_OCI_DIGEST');
      },
    ),
    { numRuns: 60 },
  );
  expect(await validateLayout(dir)).toEqual([]);
});

test('hostile documents give faults, never another error', { timeout: 120_000 }, async () => {
  const { dir } = await open();
  const file = path.join(dir, 'index.json');
  const text = await readFile(file, 'utf8');
  const top = JSON.parse(text);
  const value = fc.jsonValue({ maxDepth: 3 });
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        value.map((any) => JSON.stringify(any)),
        value.map((any) => JSON.stringify({ ...top, manifests: any })),
        value.map((any) => JSON.stringify({ ...top, manifests: [any] })),
        fc
          .tuple(fc.constantFrom(...Object.keys(top.manifests[0])), value)
          .map(([key, any]) =>
            JSON.stringify({ ...top, manifests: [{ ...top.manifests[0], [key]: any }] }),
          ),
        fc.string(),
      ),
      async (hostile) => {
        await writeFile(file, hostile);
        await validateLayout(dir);
        await readLayout(dir).catch((error: { code?: string }) =>
          expect(error.code).toMatch(/^UPORT_OCI_/),
        );
      },
    ),
    { numRuns: 150 },
  );
});

test('stops when told to', async () => {
  const stop = AbortSignal.abort();
  await expect(validateLayout(good, { signal: stop })).rejects.toThrow('abort');
});
