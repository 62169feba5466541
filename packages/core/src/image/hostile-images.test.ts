import { createHash } from 'node:crypto';
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { UportError } from '@uport/errors';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentProgress } from '../model/progress.ts';
import { parseSourceReference } from '../registry/reference.ts';
import { Store } from '../store/store.ts';
import { openImageArchive } from './archive-source.ts';
import { type FlattenLimits, flattenImage } from './flatten.ts';
import type { BlobClaim } from './image-source.ts';
import { openLayout } from './layout-source.ts';
import { readSourceImage, type SourcePlatform } from './read-image.ts';
import { openRegistry } from './registry-source.ts';
import {
  type SampleImage,
  type SampleMember,
  sampleImage,
  sampleTar,
} from './testing/sample-image.ts';

let folder: string;
let image: SampleImage;
let store: Store;
const { signal } = new AbortController();

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'hostile-image-'));
  image = sampleImage(path.join(folder, 'image'));
  store = await Store.open(path.join(folder, 'store'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A megabyte of nothing, gzipped. */
const BOMB = gzipSync(Buffer.alloc(1 << 20), { level: 9 });

const code = (expected: string) => expect.objectContaining({ code: expected });
const read = async () => readSourceImage(await openLayout(image.folder, undefined));
const flatten = async (limits?: FlattenLimits) => {
  const { source, platforms } = await read();
  const flat = await flattenImage(source, platforms[0] as SourcePlatform, {
    ...{ keep: 'all', store, progress: silentProgress, signal },
    ...(limits && { limits }),
  });
  await flat.close();
  return flat;
};

/** One image of these layers. */
function layers(...all: readonly (readonly SampleMember[])[]): void {
  const made = all.map((members) => image.layer(sampleTar(members)));
  image.root(image.manifest(image.config(made), made));
}

describe('documents', () => {
  const whole = () => {
    const layer = image.layer(sampleTar([{ path: 'bin/a', body: 'a' }]));
    const config = image.config([layer]);
    return { layer, config, manifest: image.manifest(config, [layer]) };
  };

  test('whose bytes are others are refused', async () => {
    const { manifest } = whole();
    image.root(manifest);
    const bytes = readFileSync(image.blob(manifest.digest));
    bytes[bytes.length - 2] = 0x20;
    writeFileSync(image.blob(manifest.digest), bytes);
    await expect(read()).rejects.toEqual(code('UPORT_IMAGE_DIGEST'));
  });

  test.each([1, -1])('whose sizes lie by %i are refused', async (by) => {
    const { manifest } = whole();
    image.root({ ...manifest, size: manifest.size + by });
    await expect(read()).rejects.toEqual(code('UPORT_IMAGE_SIZE'));
  });

  test('of 100 MB are not read', async () => {
    const { layer, config } = whole();
    const size = 100_000_000;
    truncateSync(image.blob(config.digest), size);
    image.root(image.manifest({ ...config, size }, [layer]));
    await expect(read()).rejects.toEqual(code('UPORT_IMAGE_TOO_LARGE'));
    // Nor where the descriptor hides it.
    image.root(image.manifest(config, [layer]));
    await expect(read()).rejects.toEqual(code('UPORT_IMAGE_TOO_LARGE'));
  });

  test('that are missing are named', async () => {
    const { manifest } = whole();
    image.root(manifest);
    rmSync(image.blob(manifest.digest));
    await expect(read()).rejects.toEqual(code('UPORT_IMAGE_MISSING'));
  });

  test('in indexes without end are refused', async () => {
    let { manifest } = whole();
    for (let depth = 0; depth < 6; depth++) manifest = image.index([manifest]);
    image.root(manifest);
    await expect(read()).rejects.toEqual(code('UPORT_IMAGE_TOO_MANY'));
    // The same index over and over multiplies at each level.
    let wide = image.index([whole().manifest]);
    for (let depth = 0; depth < 3; depth++) wide = image.index(Array(20).fill(wide));
    image.root(wide);
    await expect(read()).rejects.toEqual(code('UPORT_IMAGE_TOO_MANY'));
  });

  test('with fewer diff_ids than layers are refused', async () => {
    const { layer } = whole();
    image.root(image.manifest(image.config([]), [layer]));
    await expect(flatten()).rejects.toEqual(code('UPORT_IMAGE_DAMAGED'));
  });

  test('however damaged end in an error of ours', async () => {
    const { layer, config, manifest } = whole();
    const root = image.index([{ ...manifest, platform: { os: 'linux', architecture: 'riscv64' } }]);
    const texts = [config, manifest, root].map(({ digest }) => readFileSync(image.blob(digest)));
    await fc.assert(
      fc.asyncProperty(
        fc.nat(2),
        fc.nat(10_000),
        fc.constantFrom('null', '[]', '{}', '0', '-1', '"', '1e99', '"__proto__":1,', '\0'),
        async (which, at, text) => {
          const changed = texts.map((bytes, i) => {
            if (i !== which) return bytes;
            const cut = at % bytes.length;
            return Buffer.concat([
              bytes.subarray(0, cut),
              Buffer.from(text),
              bytes.subarray(cut + 1),
            ]);
          });
          const put = (bytes: Buffer, type: string) => image.put(bytes, type);
          const newConfig = put(changed[0] as Buffer, config.mediaType);
          const body = JSON.parse((texts[1] as Buffer).toString());
          const newManifest =
            which === 1
              ? put(changed[1] as Buffer, manifest.mediaType)
              : put(
                  Buffer.from(JSON.stringify({ ...body, config: newConfig })),
                  manifest.mediaType,
                );
          image.root(which === 2 ? put(changed[2] as Buffer, root.mediaType) : newManifest);
          try {
            // An index may lose its only platform; then there is nothing to read.
            if ((await read()).platforms.length > 0) await flatten();
          } catch (error) {
            expect(error).toBeInstanceOf(UportError);
            expect((error as UportError).code).toMatch(/^UPORT_(IMAGE|OCI|TAR|LAYER)_/);
          }
        },
      ),
      { numRuns: 60 },
    );
    expect(layer.size).toBeGreaterThan(0);
  });
});

describe('layers', () => {
  test('whose bytes, size or tar are others are refused', async () => {
    const layer = image.layer(sampleTar([{ path: 'a', body: 'a' }]));
    const other = image.layer(sampleTar([{ path: 'b', body: 'b' }]));
    image.root(image.manifest(image.config([other]), [layer]));
    await expect(flatten()).rejects.toEqual(code('UPORT_IMAGE_DIGEST'));
    image.root(image.manifest(image.config([layer]), [{ ...layer, size: layer.size - 1 }]));
    await expect(flatten()).rejects.toEqual(code('UPORT_IMAGE_SIZE'));
    image.root(image.manifest(image.config([layer]), [layer]));
    const bytes = readFileSync(image.blob(layer.digest));
    bytes[4] = (bytes[4] ?? 0) ^ 1;
    writeFileSync(image.blob(layer.digest), bytes);
    await expect(flatten()).rejects.toEqual(code('UPORT_IMAGE_DIGEST'));
    appendFileSync(image.blob(layer.digest), 'more');
    await expect(flatten()).rejects.toEqual(code('UPORT_IMAGE_SIZE'));
  });

  test('that unpack to far more than their size are refused', async () => {
    layers([{ path: 'zeros', body: Buffer.alloc(3 << 20) }]);
    await expect(flatten({ unpacked: 1 << 20 })).rejects.toEqual(code('UPORT_IMAGE_TOO_LARGE'));
    expect((await flatten()).entries).toHaveLength(1);
  });

  test('with too many entries, or folders on the way to them, are refused', async () => {
    const many = Array.from({ length: 101 }, (_, i) => ({ path: `f${i}` }));
    layers(many);
    await expect(flatten({ entries: 100 })).rejects.toEqual(code('UPORT_IMAGE_TOO_MANY'));
    layers([{ path: `${'d/'.repeat(101)}f` }]);
    await expect(flatten({ entries: 100 })).rejects.toEqual(code('UPORT_IMAGE_TOO_MANY'));
  });

  test.each<[string, SampleMember[]]>([
    ['a path that leads out', [{ path: '../out' }]],
    ['a path with .. inside', [{ path: 'a/../../out' }]],
    ['a hard link out', [{ path: 'a', type: 'hardlink', target: '../../etc/passwd' }]],
    ['a hard link to nothing', [{ path: 'a', type: 'hardlink', target: 'none' }]],
    ['a file in a file', [{ path: 'a' }, { path: 'a/b' }]],
    [
      'links in a loop',
      [
        { path: 'a', type: 'symlink', target: 'b' },
        { path: 'b', type: 'symlink', target: 'a' },
        { path: 'a/f' },
      ],
    ],
    ['a whiteout of nothing', [{ path: '.wh.' }]],
    ['a whiteout of ..', [{ path: 'a/.wh...' }]],
  ])('with %s are refused', async (name, members) => {
    // A whiteout counts only where there is a folder.
    layers([{ path: 'a/b' }].slice(name.includes('whiteout') ? 0 : 1), members);
    await expect(flatten()).rejects.toEqual(code('UPORT_IMAGE_PATH'));
  });

  test('are applied in order, whiteouts to lower layers only', async () => {
    layers(
      [
        { path: 'bin', type: 'symlink', target: 'usr/bin' },
        { path: 'usr/bin/sh', body: 'one' },
        { path: 'old/x' },
        { path: 'old/y' },
        { path: 'gone/z' },
        { path: 'opaque/lower' },
      ],
      [
        // Goes through the link of the lower layer, and not out of the image.
        { path: 'bin/tool', body: 'two' },
        { path: 'out', type: 'symlink', target: '/../../usr' },
        { path: 'out/share/f' },
        { path: 'opaque/own' },
        { path: 'opaque/.wh..wh..opq' },
        { path: 'old/.wh.x' },
        { path: '.wh.gone' },
        { path: 'again' },
        { path: '.wh.again' },
        { path: 'link', type: 'hardlink', target: 'usr/bin/sh' },
      ],
    );
    const { entries } = await flatten();
    const files = entries.filter(({ type }) => type !== 'directory').map(({ path: name }) => name);
    expect(files).toEqual([
      ...['again', 'bin', 'link', 'old/y', 'opaque/own', 'out'],
      ...['usr/bin/sh', 'usr/bin/tool', 'usr/share/f'],
    ]);
    expect(entries.find(({ path: name }) => name === 'usr/bin/sh')).toMatchObject({
      type: 'hardlink',
      target: 'link',
    });
  });

  test.each([
    ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', 'UPORT_IMAGE_FOREIGN_LAYER'],
    ['application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', 'UPORT_IMAGE_FOREIGN_LAYER'],
    ['application/vnd.oci.image.layer.v1.tar+gzip+encrypted', 'UPORT_IMAGE_ENCRYPTED'],
    ['application/vnd.in-toto+json', 'UPORT_IMAGE_TYPE'],
  ])('of type %s are not read', async (mediaType, expected) => {
    const layer = image.layer(sampleTar([{ path: 'a' }]), mediaType);
    image.root(image.manifest(image.config([layer]), [layer]));
    await expect(flatten()).rejects.toEqual(code(expected));
  });
});

describe('other sources', () => {
  test('a registry’s image of schema 1 is refused, and told how to be converted', async () => {
    const server = createServer((_, response) => {
      response.setHeader(
        'content-type',
        'application/vnd.docker.distribution.manifest.v1+prettyjws',
      );
      response.end('{"schemaVersion":1,"fsLayers":[]}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    try {
      const reference = parseSourceReference(`127.0.0.1:${port}/app:1`);
      await expect(
        openRegistry(reference, { insecure: true, env: {}, signal }),
      ).rejects.toMatchObject({
        code: 'UPORT_IMAGE_SCHEMA1',
        hint: expect.stringContaining('skopeo copy'),
      });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  /** An archive whose only layer is these bytes; `tar` is what its config says is in it. */
  function oneLayer(bytes: Buffer, tar: Buffer): SampleMember[] {
    const diffId = createHash('sha256').update(tar).digest('hex');
    const rootfs = `{"type":"layers","diff_ids":["sha256:${diffId}"]}`;
    return [
      { path: 'l', body: bytes },
      { path: 'c', body: `{"os":"linux","architecture":"amd64","rootfs":${rootfs}}` },
      { path: 'manifest.json', body: '[{"Config":"c","Layers":["l"]}]' },
    ];
  }

  test('gzipped layers of an archive stay as they are', async () => {
    const tar = sampleTar([{ path: 'a', body: 'x'.repeat(1 << 20) }]);
    for (const layer of [gzipSync(tar), Buffer.concat([gzipSync(tar), gzipSync('')])]) {
      const file = path.join(folder, 'archive.tar');
      writeFileSync(file, sampleTar(oneLayer(layer, tar)));
      const source = await openImageArchive('docker-archive', file, undefined, { store, signal });
      const { platforms } = await readSourceImage(source);
      const [claim] = platforms[0]?.manifest.layers ?? [];
      const chunks: Uint8Array[] = [];
      for await (const chunk of source.open(claim as BlobClaim, signal)) chunks.push(chunk);
      expect(Buffer.concat(chunks).equals(layer)).toBe(true);
      await source.close();
    }
  });

  test('a gzipped layer stays as it is also when the store has packed the same tar', async () => {
    const tar = sampleTar([{ path: 'a', body: 'packed both ways' }]);
    const layers: string[] = [];
    for (const layer of [tar, gzipSync(tar, { level: 1 })]) {
      const file = path.join(folder, 'both.tar');
      writeFileSync(file, sampleTar(oneLayer(layer, tar)));
      const source = await openImageArchive('docker-archive', file, undefined, { store, signal });
      const { platforms } = await readSourceImage(source);
      layers.push(platforms[0]?.manifest.layers[0]?.digest ?? '');
      await source.close();
    }
    const given = createHash('sha256')
      .update(gzipSync(tar, { level: 1 }))
      .digest('hex');
    expect(layers[1]).toBe(`sha256:${given}`);
    expect(layers[0]).not.toBe(layers[1]);
  });

  test('a list of what is attached is no image of a layout in an archive', async () => {
    const mediaType = 'application/vnd.oci.image.index.v1+json';
    const body = JSON.stringify({ schemaVersion: 2, mediaType, manifests: [] });
    const hex = createHash('sha256').update(body).digest('hex');
    const named = (digest: string, name: string) => ({
      mediaType,
      digest: `sha256:${digest}`,
      size: body.length,
      annotations: { 'org.opencontainers.image.ref.name': name },
    });
    const manifests = [named(hex, 'latest'), named('0'.repeat(64), `sha256-${hex}`)];
    const file = path.join(folder, 'layout.tar');
    writeFileSync(
      file,
      sampleTar([
        { path: 'index.json', body: JSON.stringify({ schemaVersion: 2, manifests }) },
        { path: `blobs/sha256/${hex}`, body },
      ]),
    );
    const source = await openImageArchive('oci-archive', file, undefined, { store, signal });
    expect(source.root.digest).toBe(`sha256:${hex}`);
    await source.close();
  });

  test.each<[string, SampleMember[], string]>([
    ['nothing in it', [], 'UPORT_IMAGE_TYPE'],
    [
      'a gzipped layer of other bytes',
      oneLayer(gzipSync(sampleTar([{ path: 'a' }])), Buffer.from('other')),
      'UPORT_IMAGE_DIGEST',
    ],
    [
      'a gzipped layer that is cut off',
      oneLayer(gzipSync(sampleTar([{ path: 'a' }])).subarray(0, 40), Buffer.from('other')),
      'UPORT_IMAGE_DAMAGED',
    ],
    [
      'a gzipped layer that unpacks to far more than its size',
      oneLayer(Buffer.concat(Array(1100).fill(BOMB)), Buffer.from('other')),
      'UPORT_IMAGE_TOO_LARGE',
    ],
    ['a list that is no list', [{ path: 'manifest.json', body: '{}' }], 'UPORT_IMAGE_DAMAGED'],
    [
      'paths that are not there',
      [{ path: 'manifest.json', body: '[{"Config":"../../etc/passwd","Layers":[]}]' }],
      'UPORT_IMAGE_MISSING',
    ],
    [
      'links in a loop',
      [
        { path: 'c', type: 'symlink', target: 'c' },
        { path: 'manifest.json', body: '[{"Config":"c","Layers":[]}]' },
      ],
      'UPORT_IMAGE_MISSING',
    ],
    [
      'a layer of other bytes',
      [
        { path: 'l', body: sampleTar([{ path: 'a' }]) },
        {
          path: 'c',
          body: `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["sha256:${'0'.repeat(64)}"]}}`,
        },
        { path: 'manifest.json', body: '[{"Config":"c","Layers":["l"]}]' },
      ],
      'UPORT_IMAGE_DIGEST',
    ],
  ])('an archive with %s is refused', async (_, members, expected) => {
    const file = path.join(folder, 'archive.tar');
    writeFileSync(file, sampleTar(members));
    await expect(
      openImageArchive('docker-archive', file, undefined, { store, signal }),
    ).rejects.toEqual(code(expected));
  });
});
