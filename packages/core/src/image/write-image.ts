// Writes an image with all its platforms: as an image layout folder, and to a registry.
import { mkdir, open, realpath, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Artifact } from '../emitters/emitter.ts';
import { stage } from '../emitters/staging.ts';
import { digestHex } from '../model/digest.ts';
import { type Progress, silentProgress } from '../model/progress.ts';
import { REF_NAME } from '../oci/layout.ts';
import { OCI_INDEX, OCI_LAYOUT_VERSION } from '../oci/media-types.ts';
import { type Blob, referrersIndex, referrersTag } from '../oci/referrers.ts';
import { type PushResult, type PushTarget, pushContent } from '../registry/push.ts';
import type { PushBlob } from '../registry/push-content.ts';
import { parseReference } from '../registry/reference.ts';
import type { ExtendedImage } from './extend-image.ts';
import { imageFault } from './faults.ts';
import { blobToPush, digestOf } from './image-source.ts';

export interface WriteImageOptions {
  /** Exists; the layout becomes its folder `oci`. */
  readonly outDir: string;
  readonly tags: readonly string[];
  readonly progress?: Progress;
  readonly signal: AbortSignal;
}

const PARALLEL = 3;

/**
 * Writes the whole image as an image layout: blobs of the source are read, checked and copied.
 *
 * @throws UportError UPORT_IMAGE_*, UPORT_REGISTRY_*, UPORT_OUTPUT_IN_THE_WAY
 */
export async function writeImageLayout(
  image: ExtendedImage,
  options: WriteImageOptions,
): Promise<Artifact> {
  const { outDir, tags, signal } = options;
  const place = path.join(outDir, 'oci');
  await refuseOwnSource(image, place);
  const blobs = imageBlobs(image);
  const documents = allDocuments(image);
  const total = blobs.reduce((sum, blob) => sum + blob.size, 0);
  const task = (options.progress ?? silentProgress).start(
    `write ${image.plan.name}`,
    total,
    'bytes',
  );
  const output = {
    name: 'oci',
    kind: 'folder',
    marker: 'oci-layout',
    what: 'image layout',
  } as const;
  try {
    let size = total;
    await stage(outDir, [output], async (staging) => {
      const folder = path.join(staging, output.name);
      const blobFolder = path.join(folder, 'blobs', 'sha256');
      await mkdir(blobFolder, { recursive: true });
      const queue = blobs.values();
      const stop = new AbortController();
      const stopping = AbortSignal.any([signal, stop.signal]);
      const work = async () => {
        for (const blob of queue) {
          await copyBlob(blob, path.join(blobFolder, digestHex(blob.digest)), stopping, (length) =>
            task.advance(length),
          );
        }
      };
      await Promise.all(
        Array.from({ length: PARALLEL }, () =>
          work().catch((error: unknown) => {
            // The first failure ends the others and is the one that is told.
            stop.abort(error);
          }),
        ),
      );
      stopping.throwIfAborted();
      for (const { digest, bytes } of documents) {
        await writeFile(path.join(blobFolder, digestHex(digest)), bytes);
        size += bytes.length;
      }
      const attached = attachedBlobs(image);
      for (const { digest, bytes } of attached) {
        await writeFile(path.join(blobFolder, digestHex(digest)), bytes);
        size += bytes.length;
      }
      const top = layoutFiles(image, tags, attached.at(-1));
      for (const [name, bytes] of Object.entries(top)) {
        await writeFile(path.join(folder, name), bytes);
        size += bytes.length;
      }
    });
    return { emitter: 'oci', path: path.resolve(place), digest: image.root.digest, size };
  } finally {
    task.done();
  }
}

/** Pushes the whole image: what the registry has, or can take from another repository, is not read. */
export async function pushImage(image: ExtendedImage, target: PushTarget): Promise<PushResult> {
  const reference = parseReference(target.reference);
  const from = image.source.source.registry;
  const same = from?.reference.apiHost === reference.apiHost && from.insecure === target.insecure;
  const mountFrom = same && from ? [from.reference.repository] : [];
  const blobs = imageBlobs(image, (blob) => ({ ...blob, mountFrom }));
  return pushContent(
    {
      blobs: [...blobs, ...referrerBlobs(image)].sort((a, b) => b.size - a.size),
      manifests: allDocuments(image),
      root: image.root,
      referrers: image.referrers.map(({ descriptor, manifest }) => ({
        descriptor,
        manifest: { ...descriptor, isIndex: false, bytes: manifest },
      })),
    },
    target,
  );
}

/** Of the whole image, each once: what this build has made is at hand. */
function imageBlobs(
  image: ExtendedImage,
  fromSource: (blob: PushBlob) => PushBlob = (blob) => blob,
): readonly PushBlob[] {
  const all = [...sourceBlobs(image).map(fromSource), ...image.blobs];
  return [...new Map(all.map((blob) => [blob.digest, blob])).values()];
}

function sourceBlobs({ source }: ExtendedImage): readonly PushBlob[] {
  return source.blobs.map((claim) => blobToPush(source.source, claim));
}

/** Each after those that it names, the root last. */
function allDocuments({ source, documents, root }: ExtendedImage) {
  const before = [...source.documents, ...documents].filter((each) => each !== root);
  // The old index is not part of the new one.
  const used =
    root === source.root ? before : before.filter((each) => each !== source.root || !each.isIndex);
  return [...used, root];
}

/** What is attached, each once. */
function referrerBlobs({ referrers }: ExtendedImage): readonly PushBlob[] {
  const blobs = referrers.flatMap((each) => each.blobs);
  return [...new Map(blobs.map((blob) => [blob.digest, blob])).values()].map(
    ({ digest, bytes }) => ({
      digest,
      size: bytes.length,
      async *open() {
        yield bytes;
      },
    }),
  );
}

/** All that a layout holds of what is attached; the list of it comes last. */
function attachedBlobs({ referrers }: ExtendedImage): readonly Blob[] {
  if (referrers.length === 0) return [];
  const list = referrersIndex(referrers);
  return [
    ...referrers.flatMap(({ blobs, manifest, descriptor: { digest } }) => [
      ...blobs,
      { digest, bytes: manifest },
    ]),
    { digest: digestOf(list), bytes: list },
  ];
}

function layoutFiles(
  image: ExtendedImage,
  tags: readonly string[],
  list: Blob | undefined,
): Record<string, string> {
  const { mediaType, digest, size } = image.root;
  const named = (descriptor: object, tag: string) => ({
    ...descriptor,
    annotations: { [REF_NAME]: tag },
  });
  return {
    'oci-layout': JSON.stringify({ imageLayoutVersion: OCI_LAYOUT_VERSION }),
    'index.json': JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: [
        ...tags.map((tag) => named({ mediaType, digest, size }, tag)),
        ...(list
          ? [
              named(
                { mediaType: OCI_INDEX, digest: list.digest, size: list.bytes.length },
                referrersTag(digest),
              ),
            ]
          : []),
      ],
    }),
  };
}

async function copyBlob(
  blob: PushBlob,
  file: string,
  signal: AbortSignal,
  advance: (length: number) => void,
): Promise<void> {
  signal.throwIfAborted();
  const handle = await open(file, 'wx', 0o644);
  try {
    for await (const chunk of blob.open(signal)) {
      await handle.writeFile(chunk);
      advance(chunk.length);
    }
  } finally {
    await handle.close();
  }
}

/** A layout cannot be its own output: what it holds besides this image would be lost. */
async function refuseOwnSource(image: ExtendedImage, place: string): Promise<void> {
  const { source } = image.source;
  if (source.folder === undefined || !(await stat(place).catch(() => undefined))) return;
  if ((await realpath(place)) !== (await realpath(source.folder))) return;
  throw imageFault(
    'UPORT_IMAGE_OPTION',
    source.name,
    'the output would take the place of the input',
    'choose another -o folder',
  );
}
