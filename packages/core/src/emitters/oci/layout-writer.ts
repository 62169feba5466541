// Writes an image layout folder: layers, configs, manifests, indexes.
import { createHash } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Digest, digestHex, sha256Digest } from '../../model/digest.ts';
import { createCompressor, DEFAULT_LEVEL } from '../../oci/compress.ts';
import type { LayerPlan } from '../../oci/launcher-layer.ts';
import { fetchCached, keepCached, layerKey } from '../../oci/layer-cache.ts';
import { type Layer, writeLayer } from '../../oci/layer-writer.ts';
import { REF_NAME } from '../../oci/layout.ts';
import { OCI_CONFIG, OCI_INDEX, OCI_LAYOUT_VERSION, OCI_MANIFEST } from '../../oci/media-types.ts';
import { type BlobDescriptor, referrersIndex } from '../../oci/referrers.ts';
import type { HostPlan, Plan } from '../../plan/plan.ts';
import { sbomReferrers } from '../../sbom/attachments.ts';
import { inventoryOf } from '../../sbom/inventory.ts';
import type { EmitContext } from '../emitter.ts';
import {
  type ImageLayer,
  imageConfig,
  imageIndex,
  imageManifest,
  json,
  layoutIndex,
} from './image-json.ts';
import { guestLayer, hostLayers } from './layers.ts';
import type { OciOptions } from './options.ts';

/** The image of one platform as it was written. */
export interface WrittenImage {
  readonly host: HostPlan;
  readonly config: BlobDescriptor;
  readonly manifest: BlobDescriptor;
  readonly layers: readonly ImageLayer[];
}

export interface WrittenLayout {
  /** The multi-arch index. */
  readonly index: BlobDescriptor;
  readonly images: readonly WrittenImage[];
  /** Every blob of the image with its size. */
  readonly blobs: ReadonlyMap<Digest, number>;
  /** Bytes of all files. */
  readonly size: number;
}

export async function writeLayout(
  folder: string,
  plan: Plan,
  options: OciOptions,
  context: EmitContext,
): Promise<WrittenLayout> {
  const blobFolder = path.join(folder, 'blobs', 'sha256');
  await mkdir(blobFolder, { recursive: true });
  const blobs = new Map<Digest, number>();
  const place = (digest: Digest): string => path.join(blobFolder, digestHex(digest));

  const putJson = async (
    mediaType: string,
    bytes: Buffer,
    among = blobs,
  ): Promise<BlobDescriptor> => {
    const digest = sha256Digest(createHash('sha256').update(bytes).digest('hex'));
    await writeFile(place(digest), bytes);
    among.set(digest, bytes.length);
    return { mediaType, digest, size: bytes.length };
  };
  const putLayer = async (layer: LayerPlan, cached: boolean): Promise<ImageLayer> => {
    const temporary = path.join(folder, 'layer');
    const written = await (cached ? cachedLayer : packLayer)(
      temporary,
      layer,
      plan,
      options,
      context,
    );
    await rename(temporary, place(written.digest));
    blobs.set(written.digest, written.size);
    return { ...written, createdBy: layer.createdBy };
  };

  // Looked up first: what is missing shows before the long work begins.
  const own = plan.hosts.map((host) => ({ host, more: hostLayers(plan, host, context.content) }));
  const guest = await putLayer(guestLayer(plan, context.content), false);
  const images: WrittenImage[] = [];
  for (const { host, more } of own) {
    const layers = [guest];
    for (const { layer, shared } of more) layers.push(await putLayer(layer, shared));
    const config = await putJson(OCI_CONFIG, imageConfig(plan, host, layers));
    const manifest = await putJson(OCI_MANIFEST, imageManifest(plan, host, config, layers));
    images.push({ host, config, manifest, layers });
  }
  const index = await putJson(OCI_INDEX, imageIndex(plan, images));
  const attached = new Map<Digest, number>();
  const list = options.sbom ? sbomReferrers(inventoryOf(plan), index) : [];
  for (const { manifest, blobs } of list) {
    for (const bytes of [...blobs.map((blob) => blob.bytes), manifest]) {
      await putJson(OCI_MANIFEST, bytes, attached);
    }
  }
  const referrers =
    list.length > 0 ? await putJson(OCI_INDEX, referrersIndex(list), attached) : undefined;
  const top = {
    'oci-layout': layoutMarker(),
    'index.json': layoutIndex(
      index,
      options.tags.map((tag) => ({ [REF_NAME]: tag })),
      referrers,
    ),
  };
  let size = 0;
  for (const [name, bytes] of Object.entries(top)) {
    await writeFile(path.join(folder, name), bytes);
    size += bytes.length;
  }
  for (const each of [...blobs.values(), ...attached.values()]) size += each;
  return {
    index,
    images,
    blobs,
    size,
  };
}

export function layoutMarker(): Buffer {
  return json({ imageLayoutVersion: OCI_LAYOUT_VERSION });
}

async function packLayer(
  file: string,
  layer: LayerPlan,
  plan: Plan,
  options: OciOptions,
  context: EmitContext,
): Promise<Layer> {
  const bytes = layer.entries.reduce(
    (sum, entry) => sum + (entry.type === 'file' ? entry.size : 0),
    0,
  );
  const task = context.progress.start(`pack ${layer.name}`, bytes, 'bytes');
  try {
    return await writeLayer(file, layer.entries, {
      compressor: createCompressor(options.compression, levelOf(options)),
      mtime: plan.sourceDateEpoch,
      signal: context.signal,
      task,
    });
  } finally {
    task.done();
  }
}

/** Launchers and emulators are the same in every app's image: they are packed once. */
async function cachedLayer(
  file: string,
  layer: LayerPlan,
  plan: Plan,
  options: OciOptions,
  context: EmitContext,
): Promise<Layer> {
  const { store, signal } = context;
  const { compression } = options;
  const { entries } = layer;
  const key = layerKey({
    compression,
    level: levelOf(options),
    mtime: plan.sourceDateEpoch,
    entries,
  });
  const known = await fetchCached(store, key, file, signal);
  if (known) return known;
  const written = await packLayer(file, layer, plan, options, context);
  await keepCached(store, key, file, written, signal);
  return written;
}

function levelOf({ compression, level }: OciOptions): number {
  return level ?? DEFAULT_LEVEL[compression];
}
