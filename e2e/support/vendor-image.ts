import { execFileSync } from 'node:child_process';
import { createHash, randomFillSync } from 'node:crypto';
import { chmodSync, copyFileSync, linkSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';

export interface VendorImage {
  /** An image layout with one image, of one platform. */
  readonly layout: string;
  /** Of its manifest. */
  readonly digest: string;
}

export interface VendorOptions {
  /** Go's name of the CPU. */
  readonly architecture: string;
  /** A static busybox of that CPU. */
  readonly busybox: string;
  readonly format: 'oci' | 'docker';
  /** Random bytes that make it large. */
  readonly megabytes?: number;
  readonly config?: Readonly<Record<string, unknown>>;
}

const TYPES = {
  oci: {
    config: 'application/vnd.oci.image.config.v1+json',
    manifest: 'application/vnd.oci.image.manifest.v1+json',
    layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  },
  docker: {
    config: 'application/vnd.docker.container.image.v1+json',
    manifest: 'application/vnd.docker.distribution.manifest.v2+json',
    layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  },
};
const APPLETS = ['sh', 'cat', 'echo', 'id', 'kill', 'ls', 'sleep', 'true'];
export const START = '#!/bin/sh\necho "$A: $*"\nexit 3\n';

const sha256 = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** An image for one CPU as a vendor publishes it: a busybox with hard links, a script, data. */
export function vendorImage(folder: string, options: VendorOptions): VendorImage {
  const { architecture, busybox, format, megabytes = 0, config } = options;
  const types = TYPES[format];
  const layout = path.join(folder, 'layout');
  const blobs = path.join(layout, 'blobs', 'sha256');
  const root = path.join(folder, 'root');
  for (const each of [blobs, `${root}/bin`, `${root}/app`, `${root}/etc`, `${folder}/data`]) {
    mkdirSync(each, { recursive: true });
  }
  copyFileSync(busybox, `${root}/bin/busybox`);
  chmodSync(`${root}/bin/busybox`, 0o755);
  for (const applet of APPLETS) linkSync(`${root}/bin/busybox`, `${root}/bin/${applet}`);
  writeFileSync(`${root}/app/start`, START, { mode: 0o755 });
  writeFileSync(`${root}/etc/passwd`, 'root:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/sh\n');
  const noise = Buffer.alloc(1 << 20);
  for (let i = 0; i < megabytes; i++) writeFileSync(`${folder}/data/${i}`, randomFillSync(noise));

  const put = (bytes: Buffer) => {
    const digest = sha256(bytes);
    writeFileSync(path.join(blobs, digest.slice('sha256:'.length)), bytes);
    return { digest, size: bytes.length };
  };
  const tars = (megabytes > 0 ? [root, `${folder}/data`] : [root]).map((dir) =>
    execFileSync('tar', ['-C', dir, '--owner=0', '--group=0', '--mtime=@0', '-cf', '-', '.'], {
      maxBuffer: 2 ** 31 - 1,
    }),
  );
  const layers = tars.map((tar) => ({
    mediaType: types.layer,
    ...put(gzipSync(tar, { level: 1 })),
  }));
  const described = put(
    Buffer.from(
      JSON.stringify({
        architecture,
        os: 'linux',
        config: { Env: ['PATH=/app:/bin', 'A=b c'], Entrypoint: ['start'], Cmd: ['x'], ...config },
        rootfs: { type: 'layers', diff_ids: tars.map((tar) => sha256(tar)) },
        history: tars.map(() => ({ created_by: 'vendor' })),
      }),
    ),
  );
  // Indented: kept bytes are no bytes that were written anew.
  const manifest = put(
    Buffer.from(
      JSON.stringify(
        {
          schemaVersion: 2,
          mediaType: types.manifest,
          config: { mediaType: types.config, ...described },
          layers,
        },
        undefined,
        3,
      ),
    ),
  );
  writeFileSync(`${layout}/oci-layout`, '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(
    `${layout}/index.json`,
    JSON.stringify({
      schemaVersion: 2,
      manifests: [{ mediaType: types.manifest, ...manifest }],
    }),
  );
  return { layout, digest: manifest.digest };
}
