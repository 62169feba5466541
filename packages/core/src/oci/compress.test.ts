import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import zlib from 'node:zlib';
import { expect, test } from 'vitest';
import type { TarEntry } from '../tar/tar-blocks.ts';
import {
  type Compression,
  createCompressor,
  DEFAULT_LEVEL,
  looksIncompressible,
} from './compress.ts';
import { layerDecoder } from './decompress.ts';
import { writeLayer } from './layer-writer.ts';
import { OCI_LAYER_GZIP, OCI_LAYER_ZSTD } from './media-types.ts';
import { sampleBytes } from './testing/sample-plan.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'uport-compress-'));
const MIXED = Buffer.concat([
  sampleBytes('a', 700_001),
  createHash('shake256', { outputLength: 600_000 }).update('noise').digest(),
  sampleBytes('b', 2_000_003),
]);

async function layer(bytes: Buffer, compression: Compression, level: number, name = 'layer') {
  const file = path.join(folder, `${name}-${compression}-${level}`);
  const entries: TarEntry[] = [
    { type: 'file', path: 'f', mode: 0o644, size: bytes.length, content: { bytes } },
  ];
  const signal = new AbortController().signal;
  const compressor = createCompressor(compression, level);
  const written = await writeLayer(file, entries, { compressor, mtime: 0, signal });
  return { ...written, file };
}

async function decode(bytes: Buffer, mediaType: string, chunk = 5000): Promise<Buffer> {
  const chunks = async function* () {
    for (let at = 0; at < bytes.length; at += chunk) yield bytes.subarray(at, at + chunk);
  };
  const parts: Buffer[] = [];
  for await (const part of layerDecoder(mediaType)?.(chunks()) ?? []) parts.push(part);
  return Buffer.concat(parts);
}

const sha256 = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const LEVELS = [1, DEFAULT_LEVEL.gzip, 6, 9];

test.each(LEVELS)('gzip level %i is read by zlib and gzip', async (level) => {
  const written = await layer(MIXED, 'gzip', level);
  const packed = readFileSync(written.file);
  expect(sha256(packed)).toBe(written.digest);
  expect(packed.length).toBe(written.size);
  expect(written.size).toBeLessThan(MIXED.length * 0.8);
  const tar = zlib.gunzipSync(packed);
  expect(sha256(tar)).toBe(written.diffId);
  expect(tar.subarray(512, 512 + MIXED.length).equals(MIXED)).toBe(true);
  expect(spawnSync('gzip', ['-t'], { input: packed }).status).toBe(0);
  expect((await decode(packed, OCI_LAYER_GZIP)).equals(tar)).toBe(true);
});

test('zstd of several frames is read, however it comes in', async () => {
  const written = await layer(MIXED, 'zstd', DEFAULT_LEVEL.zstd);
  const packed = readFileSync(written.file);
  const frames = packed.toString('latin1').split('\x28\xb5\x2f\xfd').length - 1;
  expect(frames).toBeGreaterThan(1);
  for (const chunk of [packed.length, 4096, 97]) {
    const tar = await decode(packed, OCI_LAYER_ZSTD, chunk);
    expect(sha256(tar)).toBe(written.diffId);
  }
});

test('damaged streams are told as such', async () => {
  for (const [compression, mediaType] of [
    ['gzip', OCI_LAYER_GZIP],
    ['zstd', OCI_LAYER_ZSTD],
  ] as const) {
    const written = await layer(MIXED.subarray(0, 300_000), compression, 3, 'damage');
    const packed = readFileSync(written.file);
    for (const bad of [
      packed.subarray(0, packed.length - 3),
      packed.subarray(0, 200),
      Buffer.alloc(0),
      randomBytes(1000),
      Buffer.concat([packed, Buffer.from('trailing garbage')]),
      Buffer.concat([packed.subarray(0, 5000), Buffer.alloc(100), packed.subarray(5100)]),
    ]) {
      await expect(decode(bad, mediaType)).rejects.toMatchObject({ code: 'UPORT_LAYER_DAMAGED' });
    }
  }
});

test('the bytes do not depend on the Node or machine that made them', async () => {
  // Measured alike on Node 20, 22.15, 24 and 26, x86-64 and arm64: docs/adr/0004.
  const { digest, diffId } = await layer(MIXED, 'gzip', DEFAULT_LEVEL.gzip, 'pinned');
  expect({ digest, diffId }).toMatchInlineSnapshot(`
    {
      "diffId": "sha256:441da469fce3ebb47ed117b442b2f8e56eceb52ace5a6fb921bbdf50f47936b1",
      "digest": "sha256:c155aaba873f39c22daff16558e36d6c1f079042ac8289a77a8ca67a11de0823",
    }
  `);
});

test('the bytes do not depend on the number of threads', async () => {
  const module = path.resolve(import.meta.dirname, 'layer-writer.ts');
  const compress = path.resolve(import.meta.dirname, 'compress.ts');
  const input = path.join(folder, 'input');
  writeFileSync(input, MIXED);
  const script = `
    import { writeLayer } from ${JSON.stringify(module)};
    import { createCompressor } from ${JSON.stringify(compress)};
    import { readFileSync } from 'node:fs';
    const bytes = readFileSync(${JSON.stringify(input)});
    const entries = [{ type: 'file', path: 'f', mode: 0o644, size: bytes.length, content: { bytes } }];
    for (const [name, level] of [['gzip', ${DEFAULT_LEVEL.gzip}], ['zstd', ${DEFAULT_LEVEL.zstd}]]) {
      const compressor = createCompressor(name, level);
      const signal = new AbortController().signal;
      const file = process.argv[1] + name;
      console.log((await writeLayer(file, entries, { compressor, mtime: 0, signal })).digest);
    }`;
  const outputs = ['1', '2', '16'].map((threads) => {
    const out = mkdtempSync(path.join(folder, 'threads-'));
    const done = spawnSync(
      process.execPath,
      ['--no-warnings', '--input-type=module', '-e', script, `${out}/`],
      { env: { ...process.env, UV_THREADPOOL_SIZE: threads }, encoding: 'utf8' },
    );
    expect(done.stderr).toBe('');
    return done.stdout;
  });
  expect(new Set(outputs).size).toBe(1);
  const { digest } = await layer(MIXED, 'gzip', DEFAULT_LEVEL.gzip, 'here');
  expect(outputs[0]).toContain(digest);
});

test('what is stored and what is deflated', () => {
  const size = 128 << 10;
  for (let i = 0; i < 50; i++) expect(looksIncompressible(randomBytes(size))).toBe(true);
  expect(looksIncompressible(zlib.gzipSync(sampleBytes('c', size * 4)).subarray(0, size))).toBe(
    true,
  );
  expect(looksIncompressible(Buffer.alloc(size))).toBe(false);
  expect(looksIncompressible(sampleBytes('d', size))).toBe(false);
  expect(looksIncompressible(Buffer.from(randomBytes(size).toString('base64')))).toBe(false);
  expect(
    looksIncompressible(readFileSync(process.execPath).subarray(1 << 20, (1 << 20) + size)),
  ).toBe(false);
});
