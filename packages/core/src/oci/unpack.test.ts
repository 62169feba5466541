import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ociEmitter } from '../emitters/oci/index.ts';
import { type TarEntry, tarBlocks } from '../tar/tar-blocks.ts';
import { OCI_CONFIG, OCI_INDEX, OCI_LAYER_TAR, OCI_MANIFEST } from './media-types.ts';
import { samplePlan } from './testing/sample-plan.ts';
import { unpackPlatform } from './unpack.ts';

const ARM64 = { os: 'linux', architecture: 'arm64', variant: 'v8' } as const;
const root = mkdtempSync(path.join(tmpdir(), 'uport-unpack-'));

/** A layout of one arm64 image with these layers. */
function layoutOf(...layers: (readonly TarEntry[])[]): string {
  const folder = mkdtempSync(path.join(root, 'layout-'));
  mkdirSync(path.join(folder, 'blobs', 'sha256'), { recursive: true });
  const put = (mediaType: string, bytes: Buffer) => {
    const hex = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(path.join(folder, 'blobs', 'sha256', hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const json = (value: object) => Buffer.from(JSON.stringify(value));
  const blobs = layers.map((entries) => {
    const options = { mtime: 5, blockSize: 4096, take: () => Buffer.alloc(4096) };
    return put(OCI_LAYER_TAR, Buffer.concat([...tarBlocks(entries, options)]));
  });
  const config = put(
    OCI_CONFIG,
    json({
      os: 'linux',
      architecture: 'arm64',
      rootfs: { type: 'layers', diff_ids: blobs.map((blob) => blob.digest) },
    }),
  );
  const manifest = put(OCI_MANIFEST, json({ schemaVersion: 2, config, layers: blobs }));
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [manifest] };
  writeFileSync(path.join(folder, 'index.json'), json(index));
  writeFileSync(path.join(folder, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }));
  return folder;
}

const file = (name: string, text = name): TarEntry => ({
  type: 'file',
  path: name,
  mode: 0o644,
  size: Buffer.from(text).length,
  content: { bytes: Buffer.from(text) },
});
const dir = (name: string, mode = 0o755): TarEntry => ({ type: 'directory', path: name, mode });
const soft = (name: string, target: string): TarEntry => ({
  type: 'symlink',
  path: name,
  mode: 0o777,
  target,
});
const hard = (name: string, target: string): TarEntry => ({
  type: 'hardlink',
  path: name,
  mode: 0o644,
  target,
});

let count = 0;
async function unpack(...layers: (readonly TarEntry[])[]): Promise<string> {
  const out = path.join(root, `out-${count++}`);
  await unpackPlatform(layoutOf(...layers), ARM64, out);
  return out;
}

/** Every file under a folder with its content; links are not followed. */
function contents(folder: string, below = ''): Record<string, string> {
  const found: Record<string, string> = {};
  for (const each of readdirSync(path.join(folder, below), { withFileTypes: true })) {
    const name = path.join(below, each.name);
    if (each.isDirectory()) Object.assign(found, contents(folder, name));
    else if (each.isSymbolicLink()) found[name] = `-> ${readlinkSync(path.join(folder, name))}`;
    else found[name] = readFileSync(path.join(folder, name), 'utf8');
  }
  return found;
}

test('each platform of an image just written', async () => {
  const sample = await samplePlan();
  const out = path.join(sample.folder, 'out');
  mkdirSync(out);
  const options = { compression: 'gzip', tags: ['latest'], archive: false, sbom: true } as const;
  await ociEmitter.emit(sample.plan, options, await sample.context(out));
  for (const architecture of ['amd64', 'arm64', 'riscv64', 'ppc64le', 's390x']) {
    const folder = path.join(sample.folder, architecture);
    const platform = { os: 'linux', architecture } as const;
    await unpackPlatform(path.join(out, 'oci'), platform, folder);
    const native = architecture === 'riscv64';
    expect(readdirSync(folder).sort()).toEqual(native ? ['app'] : ['.uport', 'app']);
    for (const entry of sample.plan.payload.entries) {
      const stat = lstatSync(path.join(folder, entry.path));
      if (entry.type === 'file') {
        const bytes = readFileSync(path.join(folder, entry.path));
        expect(`sha256:${createHash('sha256').update(bytes).digest('hex')}`).toBe(entry.digest);
      }
      if (entry.type !== 'symlink') expect(stat.mode & 0o7777).toBe(entry.mode);
      expect(stat.mtimeMs).toBe(sample.plan.sourceDateEpoch * 1000);
    }
  }
});

test('later layers replace and whiteouts delete', async () => {
  const out = await unpack(
    [
      dir('a'),
      file('a/1'),
      file('a/2'),
      dir('b'),
      file('b/3'),
      file('c', 'old'),
      dir('d'),
      file('d/4'),
    ],
    [
      file('a/.wh.1', ''),
      dir('b'),
      file('b/5'),
      file('b/.wh..wh..opq', ''),
      file('c', 'new'),
      file('.wh.d', ''),
      soft('e', 'c'),
    ],
    [dir('e'), file('e/6'), file('d')],
  );
  expect(contents(out)).toEqual({ 'a/2': 'a/2', 'b/5': 'b/5', c: 'new', 'e/6': 'e/6', d: 'd' });
});

test('a whiteout spares what its own layer brings', async () => {
  const out = await unpack(
    [dir('a'), file('a/1', 'old')],
    [dir('a'), file('a/1', 'new'), file('a/.wh.1', '')],
  );
  expect(contents(out)).toEqual({ 'a/1': 'new' });
});

test('links of a lower layer are entered as inside the image', async () => {
  const out = await unpack(
    [
      dir('usr'),
      dir('usr/lib'),
      soft('lib', 'usr/lib'),
      soft('abs', '/usr'),
      soft('up', '../../usr'),
    ],
    [file('lib/a'), file('abs/b'), file('up/lib/c'), hard('d', 'lib/a')],
  );
  expect(contents(out)).toMatchObject({
    'usr/lib/a': 'lib/a',
    'usr/b': 'abs/b',
    'usr/lib/c': 'up/lib/c',
    d: 'lib/a',
  });
});

test('a file over a link or a hard link leaves what it pointed to', async () => {
  const out = await unpack(
    [file('x', 'x'), hard('y', 'x'), soft('z', 'x')],
    [file('y', 'changed'), file('z', 'changed')],
  );
  expect(contents(out)).toEqual({ x: 'x', y: 'changed', z: 'changed' });
});

const outside = path.join(root, 'outside');
mkdirSync(outside);
writeFileSync(path.join(outside, 'secret'), 'secret');

const ATTACKS: Record<string, (readonly TarEntry[])[]> = {
  'a path with ..': [[file('a/../../outside/new')]],
  'a path that begins with ..': [[file('../outside/new')]],
  'an absolute hard link': [[hard('stolen', `${outside}/secret`)]],
  'a hard link with ..': [[hard('stolen', '../outside/secret')]],
  'a whiteout with ..': [[file('../outside/.wh.secret', '')]],
  'a whiteout of nothing': [[file('.wh.', '')]],
  'a whiteout of ..': [[dir('a'), file('a/.wh...', '')]],
  'a loop of links': [[soft('a', 'b'), soft('b', 'a'), file('a/x')]],
  'a hard link to nothing': [[hard('a', 'b')]],
  'a file below a file': [[file('a'), file('a/b')]],
};

test.each(Object.entries(ATTACKS))('refused: %s', async (_name, layers) => {
  const out = path.join(root, `attack-${count++}`);
  await expect(unpackPlatform(layoutOf(...layers), ARM64, out)).rejects.toMatchObject({
    code: 'UPORT_OCI_PATH',
  });
  expect(existsSync(out)).toBe(false);
  expect(readdirSync(root).filter((name) => name.startsWith('.'))).toEqual([]);
  expect(contents(outside)).toEqual({ secret: 'secret' });
});

test('links that point outside are kept but never followed', async () => {
  const out = await unpack(
    [
      soft('evil', outside),
      soft('up', '../../../../../../../..'),
      soft('file', `${outside}/secret`),
    ],
    [file('evil/a'), file(`up${outside}/b`), file('file', 'mine'), file('evil/.wh.secret', '')],
  );
  expect(contents(outside)).toEqual({ secret: 'secret' });
  expect(readFileSync(path.join(out, outside, 'a'), 'utf8')).toBe('evil/a');
  expect(readFileSync(path.join(out, outside, 'b'), 'utf8')).toBe(`up${outside}/b`);
  expect(readFileSync(path.join(out, 'file'), 'utf8')).toBe('mine');
});

test('names of any bytes, folders that may not be written to', async () => {
  const out = await unpack([dir('r', 0o555), file('r/\xff\x01')], [file('r/second')]);
  expect(readFileSync(Buffer.from(`${out}/r/\xff\x01`, 'latin1'), 'latin1').length).toBeGreaterThan(
    0,
  );
  expect(lstatSync(path.join(out, 'r')).mode & 0o777).toBe(0o755);
  expect(readFileSync(path.join(out, 'r', 'second'), 'utf8')).toBe('r/second');
});

test('what is asked for must be there, and its place free', async () => {
  const layout = layoutOf([file('a')]);
  const out = path.join(root, 'taken');
  mkdirSync(out);
  writeFileSync(path.join(out, 'mine'), '');
  await expect(unpackPlatform(layout, ARM64, out)).rejects.toMatchObject({
    code: 'UPORT_OUTPUT_IN_THE_WAY',
  });
  expect(readdirSync(out)).toEqual(['mine']);
  const amd64 = { os: 'linux', architecture: 'amd64' } as const;
  await expect(unpackPlatform(layout, amd64, `${out}2`)).rejects.toMatchObject({
    code: 'UPORT_OCI_PLATFORM_MISSING',
  });
  await expect(unpackPlatform(layout, ARM64, `${out}2`, { tag: 'x' })).rejects.toMatchObject({
    code: 'UPORT_OCI_TAG_MISSING',
  });
  const stop = AbortSignal.abort();
  await expect(unpackPlatform(layout, ARM64, `${out}2`, { signal: stop })).rejects.toThrow('abort');
  expect(existsSync(`${out}2`)).toBe(false);
});
