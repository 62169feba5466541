// The layout as one file: oci-archive for skopeo and podman, docker-archive for `docker load`.
import path from 'node:path';
import { digestHex } from '../../model/digest.ts';
import { uncompressed } from '../../oci/compress.ts';
import { type Layer, writeLayer } from '../../oci/layer-writer.ts';
import { REF_NAME } from '../../oci/layout.ts';
import type { Plan } from '../../plan/plan.ts';
import type { TarEntry } from '../../tar/tar-blocks.ts';
import type { EmitContext } from '../emitter.ts';
import { json, layoutIndex, platformOf } from './image-json.ts';
import { layoutMarker, type WrittenLayout } from './layout-writer.ts';
import type { OciOptions } from './options.ts';

interface ArchiveInputs {
  readonly folder: string;
  readonly layout: WrittenLayout;
  readonly plan: Plan;
  readonly options: OciOptions;
  readonly context: EmitContext;
}

/** The layout folder as a tar, for engines to load: without SBOMs, which they would take for an image more. */
export async function writeOciArchive(file: string, inputs: ArchiveInputs): Promise<Layer> {
  const { layout, options } = inputs;
  const index = layoutIndex(
    layout.index,
    options.tags.map((tag) => ({ [REF_NAME]: tag })),
    undefined,
  );
  return writeArchive(file, inputs, [
    document('oci-layout', layoutMarker()),
    document('index.json', index),
  ]);
}

/**
 * What Docker has written since version 25: a layout with a `manifest.json` that names the same
 * blobs. Engines with containerd's store, and podman, read the index and keep all platforms. Others
 * read `manifest.json`, which knows no platforms: there each has a tag of its own, `TAG-ARCH`.
 */
export async function writeDockerArchive(file: string, inputs: ArchiveInputs): Promise<Layer> {
  const { layout, plan, options } = inputs;
  const name = repositoryName(plan.app.name);
  const index = layoutIndex(
    layout.index,
    options.tags.map((tag) => ({
      [REF_NAME]: tag,
      'io.containerd.image.name': `docker.io/library/${name}:${tag}`,
    })),
    undefined,
  );
  const manifest = layout.images.map(({ host, config, layers }) => ({
    Config: blobEntry(digestHex(config.digest)),
    RepoTags: options.tags.map((tag) => `${name}:${archTag(tag, host.host)}`),
    Layers: layers.map((layer) => blobEntry(digestHex(layer.digest))),
  }));
  return writeArchive(file, inputs, [
    document('manifest.json', json(manifest)),
    document('oci-layout', layoutMarker()),
    document('index.json', index),
  ]);
}

function archTag(tag: string, host: string): string {
  const { architecture, variant } = platformOf(host);
  const suffix = `-${architecture}${architecture === 'arm' ? (variant ?? '') : ''}`;
  return tag.slice(0, 128 - suffix.length) + suffix;
}

/** A name that registries take (distribution's reference grammar), from any text. */
export function repositoryName(name: string): string {
  const words = name.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  return words.join('-').slice(0, 100).replace(/-$/, '') || 'app';
}

function blobEntry(hex: string): string {
  return `blobs/sha256/${hex}`;
}

function document(name: string, bytes: Buffer): TarEntry {
  return { type: 'file', path: name, mode: 0o644, size: bytes.length, content: { bytes } };
}

async function writeArchive(
  file: string,
  { folder, layout, plan, context }: ArchiveInputs,
  documents: readonly TarEntry[],
): Promise<Layer> {
  const blobs = [...layout.blobs].sort(([a], [b]) => (a < b ? -1 : 1));
  const entries: TarEntry[] = [
    ...documents,
    { type: 'directory', path: 'blobs', mode: 0o755 },
    { type: 'directory', path: 'blobs/sha256', mode: 0o755 },
    ...blobs.map(([digest, size]): TarEntry => {
      const name = blobEntry(digestHex(digest));
      return {
        type: 'file',
        path: name,
        mode: 0o644,
        size,
        content: { file: path.join(folder, name), digest },
      };
    }),
  ];
  const size = entries.reduce((sum, each) => sum + (each.type === 'file' ? each.size : 0), 0);
  const task = context.progress.start(`write ${path.basename(file)}`, size, 'bytes');
  try {
    return await writeLayer(file, entries, {
      compressor: uncompressed(),
      mtime: plan.sourceDateEpoch,
      signal: context.signal,
      task,
    });
  } finally {
    task.done();
  }
}
