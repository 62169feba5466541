import { createHash } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { type Digest, digestHex, sha256Digest } from '../../model/digest.ts';
import {
  type Compression,
  createCompressor,
  DEFAULT_LEVEL,
  MAX_LEVEL,
} from '../../oci/compress.ts';
import { writeLayer } from '../../oci/layer-writer.ts';
import { OCI_CONFIG, OCI_INDEX, OCI_LAYOUT_VERSION, OCI_MANIFEST } from '../../oci/media-types.ts';
import type { HostPlan, Plan } from '../../plan/plan.ts';
import type { Artifact, EmitContext, Emitter } from '../emitter.ts';
import {
  type BlobDescriptor,
  type ImageLayer,
  imageConfig,
  imageIndex,
  imageManifest,
  json,
  layoutIndex,
} from './image-json.ts';
import { guestLayer, hostLayer, type LayerPlan } from './layers.ts';
import { replaceLayout } from './replace-layout.ts';

export interface OciOptions {
  /** Of the layers. */
  readonly compression: Compression;
  /** gzip 1 to 9, zstd 1 to 19. */
  readonly level?: number;
  /** Names of the image inside the layout. */
  readonly tags: readonly string[];
  /** Also write `oci-archive.tar` and `docker-archive.tar`. */
  readonly archive: boolean;
}

export const DEFAULT_OCI_OPTIONS: OciOptions = Object.freeze({
  compression: 'gzip',
  tags: Object.freeze(['latest']),
  archive: false,
});

/**
 * A multi-arch image as an OCI image layout (image-spec 1.1) in `outDir/oci`.
 *
 * @throws UportError UPORT_OCI_TAG_INVALID, UPORT_OCI_LEVEL_INVALID, UPORT_OCI_NO_PLATFORM,
 * UPORT_OCI_WHITEOUT_NAME, UPORT_CONTENT_MISSING, UPORT_INPUT_CHANGED, UPORT_OUTPUT_IN_THE_WAY
 */
export const ociEmitter: Emitter<OciOptions> = Object.freeze({
  name: 'oci',
  summary: 'multi-arch container image (OCI image layout)',
  emit: emitOci,
});

async function emitOci(
  plan: Plan,
  options: OciOptions,
  context: EmitContext,
): Promise<readonly Artifact[]> {
  checkOptions(options);
  const target = path.join(context.outDir, 'oci');
  return replaceLayout(target, async (folder) => {
    const layout = await writeLayout(folder, plan, options, context);
    return [{ emitter: 'oci', path: target, digest: layout.digest, size: layout.size }];
  });
}

/** Writes the layout; answers the digest of the multi-arch index and the size of all files. */
async function writeLayout(
  folder: string,
  plan: Plan,
  options: OciOptions,
  context: EmitContext,
): Promise<{ digest: Digest; size: number }> {
  const blobs = path.join(folder, 'blobs', 'sha256');
  await mkdir(blobs, { recursive: true });
  const sizes = new Map<string, number>();

  const putJson = async (mediaType: string, bytes: Buffer): Promise<BlobDescriptor> => {
    const digest = sha256Digest(createHash('sha256').update(bytes).digest('hex'));
    await writeFile(path.join(blobs, digestHex(digest)), bytes);
    sizes.set(digest, bytes.length);
    return { mediaType, digest, size: bytes.length };
  };
  const putLayer = async (layer: LayerPlan): Promise<ImageLayer> => {
    const temporary = path.join(folder, 'layer');
    const total = layer.entries.reduce(
      (sum, entry) => sum + (entry.type === 'file' ? entry.size : 0),
      0,
    );
    const task = context.progress.start(`pack ${layer.createdBy.slice(7)}`, total, 'bytes');
    try {
      const level = options.level ?? DEFAULT_LEVEL[options.compression];
      const written = await writeLayer(temporary, layer.entries, {
        compressor: createCompressor(options.compression, level),
        mtime: plan.sourceDateEpoch,
        signal: context.signal,
        task,
      });
      await rename(temporary, path.join(blobs, digestHex(written.digest)));
      sizes.set(written.digest, written.size);
      return { ...written, createdBy: layer.createdBy };
    } finally {
      task.done();
    }
  };

  const layersOf = plan.hosts.map((host) => hostLayer(plan, host, context.content));
  const guest = await putLayer(guestLayer(plan, context.content));
  const manifests: { host: HostPlan; manifest: BlobDescriptor }[] = [];
  for (const [i, host] of plan.hosts.entries()) {
    const own = layersOf[i];
    const layers = own ? [guest, await putLayer(own)] : [guest];
    const config = await putJson(OCI_CONFIG, imageConfig(plan, host, layers));
    const manifest = await putJson(OCI_MANIFEST, imageManifest(plan, host, config, layers));
    manifests.push({ host, manifest });
  }
  const index = await putJson(OCI_INDEX, imageIndex(plan, manifests));
  const top = {
    'oci-layout': json({ imageLayoutVersion: OCI_LAYOUT_VERSION }),
    'index.json': layoutIndex(
      index,
      options.tags.map((tag) => ({ 'org.opencontainers.image.ref.name': tag })),
    ),
  };
  for (const [name, bytes] of Object.entries(top)) {
    await writeFile(path.join(folder, name), bytes);
    sizes.set(name, bytes.length);
  }
  return { digest: index.digest, size: [...sizes.values()].reduce((a, b) => a + b, 0) };
}

function checkOptions(options: OciOptions): void {
  for (const tag of options.tags) {
    if (/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(tag)) continue;
    throw new UportError({
      code: 'UPORT_OCI_TAG_INVALID',
      category: 'usage',
      message: `${JSON.stringify(tag.slice(0, 200))} cannot be a tag`,
      hint: 'use letters, digits, _, . and -, at most 128, not beginning with . or -',
    });
  }
  if (options.tags.length === 0) {
    throw new UportError({
      code: 'UPORT_OCI_TAG_INVALID',
      category: 'usage',
      message: 'an image needs a tag',
      hint: 'use latest',
    });
  }
  const { level, compression } = options;
  const max = MAX_LEVEL[compression];
  if (level !== undefined && !(Number.isInteger(level) && level >= 1 && level <= max)) {
    throw new UportError({
      code: 'UPORT_OCI_LEVEL_INVALID',
      category: 'usage',
      message: `${compression} has no level ${level}`,
      hint: `use 1 to ${max}`,
    });
  }
}
