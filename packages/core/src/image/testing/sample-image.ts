// Image layouts for tests, as others would have made them.
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { encodeTarHeader, padding, type TarType } from '../../tar/tar-header.ts';

export interface SampleMember {
  readonly path: string;
  readonly type?: TarType;
  readonly target?: string;
  readonly mode?: number;
  readonly body?: Uint8Array | string;
}

/** Nothing is checked: hostile names are wanted. */
export function sampleTar(members: readonly SampleMember[]): Buffer {
  const blocks = members.flatMap(
    ({ path: name, type = 'file', target, mode = 0o755, body = '' }) => {
      const bytes = Buffer.from(body as string);
      const header = encodeTarHeader({
        ...{ type, path: name, mode, uid: 0, gid: 0, size: bytes.length, mtime: 0 },
        ...(target !== undefined && { target }),
      });
      return [header, bytes, Buffer.alloc(padding(bytes.length))];
    },
  );
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

export interface SampleDescriptor {
  mediaType: string;
  digest: string;
  size: number;
  platform?: Record<string, string>;
}

// biome-ignore lint/suspicious/noExplicitAny: tests put anything into documents
type Json = any;

export interface SampleImage {
  readonly folder: string;
  put(bytes: Uint8Array | Json, mediaType: string): SampleDescriptor;
  layer(tar: Buffer, mediaType?: string): SampleDescriptor & { diffId: string };
  config(layers: readonly { diffId: string }[], more?: Json): SampleDescriptor;
  manifest(
    config: SampleDescriptor,
    layers: readonly SampleDescriptor[],
    more?: Json,
  ): SampleDescriptor;
  index(manifests: readonly SampleDescriptor[], more?: Json): SampleDescriptor;
  /** Writes index.json; the image is open to `oci:FOLDER`. */
  root(...roots: readonly SampleDescriptor[]): string;
  blob(digest: string): string;
}

export const OCI = {
  config: 'application/vnd.oci.image.config.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
};
export const DOCKER = {
  config: 'application/vnd.docker.container.image.v1+json',
  manifest: 'application/vnd.docker.distribution.manifest.v2+json',
  index: 'application/vnd.docker.distribution.manifest.list.v2+json',
  layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
};

const sha256 = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

export function sampleImage(folder: string, types = OCI): SampleImage {
  const blobs = path.join(folder, 'blobs', 'sha256');
  mkdirSync(blobs, { recursive: true });
  writeFileSync(path.join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const blob = (digest: string) => path.join(blobs, digest.slice('sha256:'.length));
  const put: SampleImage['put'] = (value, mediaType) => {
    const bytes =
      value instanceof Uint8Array ? value : Buffer.from(JSON.stringify(value, undefined, 1));
    const digest = sha256(bytes);
    writeFileSync(blob(digest), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  return {
    folder,
    blob,
    put,
    layer: (tar, mediaType = types.layer) => ({
      ...put(gzipSync(tar), mediaType),
      diffId: sha256(tar),
    }),
    config: (layers, more = {}) =>
      put(
        {
          architecture: 'riscv64',
          os: 'linux',
          rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
          ...more,
        },
        types.config,
      ),
    manifest: (config, layers, more = {}) =>
      put(
        {
          schemaVersion: 2,
          mediaType: types.manifest,
          config,
          layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
          ...more,
        },
        types.manifest,
      ),
    index: (manifests, more = {}) =>
      put({ schemaVersion: 2, mediaType: types.index, manifests, ...more }, types.index),
    root(...roots) {
      writeFileSync(
        path.join(folder, 'index.json'),
        JSON.stringify({ schemaVersion: 2, manifests: roots }),
      );
      return folder;
    },
  };
}
