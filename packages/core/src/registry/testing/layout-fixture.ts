import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';

export interface LayoutFixture {
  readonly dir: string;
  /** Digest of the image index. */
  readonly root: string;
  /** Every blob but the manifests: one shared layer, five own layers, five configs. */
  readonly blobs: readonly string[];
  readonly sharedLayer: string;
}

const PLATFORMS = [
  { architecture: 'amd64' },
  { architecture: 'arm64', variant: 'v8' },
  { architecture: 'riscv64' },
  { architecture: 'ppc64le' },
  { architecture: 's390x' },
];

/** Bytes that do not compress, the same for the same seed. */
export function noise(seed: string, size: number): Buffer {
  const blocks: Buffer[] = [];
  for (let at = 0; at < size; at += 32) {
    blocks.push(createHash('sha256').update(`${seed} ${at}`).digest());
  }
  return Buffer.concat(blocks).subarray(0, size);
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

async function blobWriter(dir: string) {
  const folder = path.join(dir, 'blobs', 'sha256');
  await mkdir(folder, { recursive: true });
  return async (mediaType: string, bytes: Buffer) => {
    const hex = sha256(bytes);
    await writeFile(path.join(folder, hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
}

/** An image layout of five platforms with one layer in common. */
export async function writeLayout(
  dir: string,
  options: { readonly seed?: string; readonly sharedSize?: number; readonly tag?: string } = {},
): Promise<LayoutFixture> {
  const { seed = 'layout', sharedSize = 300_000, tag = 'latest' } = options;
  const blobs: string[] = [];
  const putBlob = await blobWriter(dir);
  const put = async (mediaType: string, bytes: Buffer, isManifest = false) => {
    const descriptor = await putBlob(mediaType, bytes);
    if (!isManifest) blobs.push(descriptor.digest);
    return descriptor;
  };
  const putJson = (mediaType: string, value: unknown, isManifest = false) =>
    put(mediaType, Buffer.from(JSON.stringify(value)), isManifest);
  const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip';
  const diffId = (bytes: Buffer) => `sha256:${sha256(bytes)}`;

  const sharedBytes = noise(`${seed} shared`, sharedSize);
  const shared = await put(layerType, gzipSync(sharedBytes));
  const manifests = [];
  for (const platform of PLATFORMS) {
    const ownBytes = noise(`${seed} ${platform.architecture}`, 20_000);
    const own = await put(layerType, gzipSync(ownBytes));
    const config = await putJson('application/vnd.oci.image.config.v1+json', {
      ...platform,
      os: 'linux',
      config: { Entrypoint: ['/app/hello'] },
      rootfs: { type: 'layers', diff_ids: [diffId(sharedBytes), diffId(ownBytes)] },
    });
    const manifestType = 'application/vnd.oci.image.manifest.v1+json';
    const manifest = await putJson(
      manifestType,
      { schemaVersion: 2, mediaType: manifestType, config, layers: [shared, own] },
      true,
    );
    manifests.push({ ...manifest, platform: { ...platform, os: 'linux' } });
  }
  const indexType = 'application/vnd.oci.image.index.v1+json';
  const index = await putJson(
    indexType,
    { schemaVersion: 2, mediaType: indexType, manifests },
    true,
  );
  await writeFile(path.join(dir, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  await writeFile(
    path.join(dir, 'index.json'),
    JSON.stringify({
      schemaVersion: 2,
      mediaType: indexType,
      manifests: [{ ...index, annotations: { 'org.opencontainers.image.ref.name': tag } }],
    }),
  );
  return { dir, root: index.digest, blobs, sharedLayer: shared.digest };
}

/** The names and bytes of all blobs of a layout. */
export async function blobsOf(dir: string): Promise<Map<string, string>> {
  const folder = path.join(dir, 'blobs', 'sha256');
  const all = new Map<string, string>();
  for (const name of (await readdir(folder)).sort()) {
    all.set(name, (await readFile(path.join(folder, name))).toString('base64'));
  }
  return all;
}

/** An image layout of one image with one layer of zeros, which takes no space on disk. */
export async function writeSparseLayout(dir: string, size: number): Promise<void> {
  const putBlob = await blobWriter(dir);
  const put = (mediaType: string, value: unknown) =>
    putBlob(mediaType, Buffer.from(JSON.stringify(value)));
  const hash = createHash('sha256');
  const zeros = Buffer.alloc(1 << 20);
  for (let at = 0; at < size; at += zeros.length) hash.update(zeros.subarray(0, size - at));
  const hex = hash.digest('hex');
  const file = path.join(dir, 'blobs', 'sha256', hex);
  await writeFile(file, '');
  await truncate(file, size);
  const layer = {
    mediaType: 'application/vnd.oci.image.layer.v1.tar',
    digest: `sha256:${hex}`,
    size,
  };
  const config = await put('application/vnd.oci.image.config.v1+json', {
    os: 'linux',
    architecture: 'amd64',
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
  });
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = await put(mediaType, { schemaVersion: 2, mediaType, config, layers: [layer] });
  await writeFile(path.join(dir, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  await writeFile(
    path.join(dir, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [manifest] }),
  );
}
