import { readFile } from 'node:fs/promises';
import path from 'node:path';

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: {
    readonly os: string;
    readonly architecture: string;
    readonly variant?: string;
  };
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Index {
  readonly manifests: readonly Descriptor[];
}

export interface Manifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

export interface Config {
  readonly architecture: string;
  readonly variant?: string;
  readonly config: {
    readonly Entrypoint?: string[];
    readonly Env?: string[];
    readonly Cmd?: string[];
  };
  readonly rootfs: { readonly diff_ids: readonly string[] };
}

export interface PlatformImage {
  /** `linux/arm64/v8`. */
  readonly platform: string;
  readonly manifest: Manifest;
  readonly config: Config;
}

export function blobFile(layout: string, digest: string): string {
  return path.join(layout, 'blobs', ...digest.split(':'));
}

export async function readJson(file: string): Promise<unknown> {
  return JSON.parse(await readFile(file, 'utf8'));
}

/** Reads a layout with nothing of uport's: index.json, its one index, and each platform's manifest and config. */
export async function readImages(layout: string): Promise<PlatformImage[]> {
  const top = (await readJson(path.join(layout, 'index.json'))) as Index;
  const [first] = top.manifests;
  if (!first) throw new Error(`${layout} names no image`);
  const index = (await readJson(blobFile(layout, first.digest))) as Index;
  return Promise.all(
    index.manifests.map(async ({ digest, platform }) => {
      const manifest = (await readJson(blobFile(layout, digest))) as Manifest;
      const config = (await readJson(blobFile(layout, manifest.config.digest))) as Config;
      const name = [platform?.os, platform?.architecture, platform?.variant];
      return { platform: name.filter((part) => part).join('/'), manifest, config };
    }),
  );
}
