import { createHash } from 'node:crypto';
import { type Digest, sha256Digest } from '../model/digest.ts';
import { blobPath, openOrdinary } from '../oci/blob-file.ts';
import type { Descriptor } from '../oci/documents.ts';
import { imageRoots, type LayoutRoot, readLayout, referrersOf } from '../oci/layout.ts';
import { registryFault } from './faults.ts';

export interface PushBlob {
  readonly digest: Digest;
  readonly size: number;
  /** Reads it; fails before its end when the bytes are not those of its digest. */
  open(signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** Repositories of the same registry that hold it. */
  readonly mountFrom?: readonly string[];
}

/** A blob that lies in a file of its own. */
export interface BlobFile {
  readonly digest: Digest;
  readonly size: number;
  readonly file: string;
}

export function fileBlob(blob: BlobFile): PushBlob {
  const { digest, size } = blob;
  return { digest, size, open: (signal) => readBlob(blob, signal) };
}

export interface PushManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly isIndex: boolean;
  readonly bytes: Buffer;
}

/** An artifact that is attached to the image: its descriptor as a list of referrers has it. */
export interface PushReferrer {
  readonly manifest: PushManifest;
  readonly descriptor: {
    readonly mediaType: string;
    readonly digest: Digest;
    readonly size: number;
    readonly artifactType: string;
    readonly annotations: Readonly<Record<string, string>>;
  };
}

/** What a push sends, in this order. */
export interface PushContent {
  /** Each once, the largest first. */
  readonly blobs: readonly PushBlob[];
  /** Images, then indexes, each after those that it names; the last is what the tag will name. */
  readonly manifests: readonly PushManifest[];
  readonly root: PushManifest;
  /** Attached to the root. Their blobs are among `blobs`. */
  readonly referrers?: readonly PushReferrer[];
}

/**
 * Reads what an image layout holds for a tag. The layout may hold one artifact, whatever its tags,
 * or one with this tag.
 *
 * @param attached whether what is attached to the image is read too
 * @throws UportError UPORT_OCI_…, UPORT_REGISTRY_LAYOUT, UPORT_REGISTRY_LAYOUT_AMBIGUOUS
 */
export async function readPushContent(
  layout: string,
  tag: string,
  signal: AbortSignal,
  attached = true,
): Promise<PushContent> {
  const read = await readLayout(layout, { signal });
  const root = choose(imageRoots(read), tag, layout);
  const blobs = new Map<Digest, PushBlob>();
  const manifests = new Map<Digest, PushManifest>();
  const load = async (descriptor: Descriptor, isIndex: boolean): Promise<PushManifest> => {
    const { digest, mediaType, size } = descriptor;
    const bytes: Uint8Array[] = [];
    const blob = { digest, size, file: blobPath(layout, digest) };
    for await (const chunk of readBlob(blob, signal)) bytes.push(chunk);
    return { digest, mediaType, isIndex, bytes: Buffer.concat(bytes) };
  };
  const add = async (descriptor: Descriptor, isIndex: boolean) => {
    if (manifests.has(descriptor.digest)) return;
    manifests.set(descriptor.digest, await load(descriptor, isIndex));
  };
  const addBlobs = async (descriptors: readonly Descriptor[]) => {
    for (const { digest, size } of descriptors) {
      const file = blobPath(layout, digest);
      const known = blobs.get(digest);
      if (known && known.size !== size) throw layoutFault(`${digest} has two sizes`, file);
      if (!known) blobs.set(digest, fileBlob(await checkSize({ digest, size, file })));
    }
  };
  for (const { descriptor, manifest } of root.images) {
    await addBlobs([manifest.config, ...manifest.layers]);
    await add(descriptor, false);
  }
  for (const descriptor of root.others) await add(descriptor, false);
  // The layout names an index before those inside it.
  for (const { descriptor } of root.indexes.toReversed()) await add(descriptor, true);
  const referrers: PushReferrer[] = [];
  const listed = attached ? referrersOf(read, root.descriptor.digest) : [];
  for (const { descriptor, manifest } of listed) {
    if (manifest.subject?.digest !== root.descriptor.digest) continue;
    await addBlobs([manifest.config, ...manifest.layers]);
    const { mediaType, digest, size } = descriptor;
    const { annotations } = manifest;
    const artifactType = manifest.artifactType ?? manifest.config.mediaType;
    referrers.push({
      manifest: await load(descriptor, false),
      descriptor: { mediaType, digest, size, artifactType, annotations },
    });
  }
  const ordered = [...manifests.values()];
  return {
    blobs: [...blobs.values()].sort((a, b) => b.size - a.size),
    manifests: ordered,
    root: ordered.at(-1) as PushManifest,
    referrers,
  };
}

function choose(roots: readonly LayoutRoot[], tag: string, layout: string): LayoutRoot {
  const distinct = (list: readonly LayoutRoot[]) => [
    ...new Map(list.map((root) => [root.descriptor.digest, root])).values(),
  ];
  const named = roots.filter((root) => root.tag !== undefined);
  const tagged = named.filter((root) => root.tag === tag);
  for (const candidates of [distinct(roots), distinct(tagged), distinct(named)]) {
    if (candidates.length === 1) return candidates[0] as LayoutRoot;
  }
  throw registryFault(
    'UPORT_REGISTRY_LAYOUT_AMBIGUOUS',
    `the layout holds several images and none, or more than one, is tagged ${JSON.stringify(tag)}`,
    'push to the tag that the image has in the layout, or push a layout of one image',
    { file: layout },
  );
}

function layoutFault(message: string, file: string) {
  return registryFault(
    'UPORT_REGISTRY_LAYOUT',
    message,
    'build the image again; `uport validate` lists all faults of a layout',
    { file },
  );
}

async function openBlob(file: string) {
  const opened = await openOrdinary(file);
  if (opened) return opened;
  throw layoutFault('does not exist or is not an ordinary file', file);
}

/** Only the size; the digest is checked while the blob is sent. */
async function checkSize(blob: BlobFile): Promise<BlobFile> {
  const { handle, size } = await openBlob(blob.file);
  await handle.close();
  if (size === blob.size) return blob;
  throw layoutFault(`has ${size} bytes, its descriptor says ${blob.size}`, blob.file);
}

/** Reads a blob and fails before its end when the bytes are not those of its digest. */
async function* readBlob(blob: BlobFile, signal: AbortSignal): AsyncIterable<Uint8Array> {
  const { handle } = await openBlob(blob.file);
  const hash = createHash('sha256');
  let size = 0;
  const stream = handle.createReadStream({ highWaterMark: 256 << 10, signal });
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    hash.update(chunk);
    size += chunk.length;
    if (size < blob.size) {
      yield chunk;
      continue;
    }
    // The last bytes are held back until the digest is known, so that no registry gets a whole
    // upload of wrong bytes.
    if (size > blob.size || sha256Digest(hash.copy().digest('hex')) !== blob.digest) break;
    yield chunk;
    return;
  }
  if (size !== blob.size || sha256Digest(hash.digest('hex')) !== blob.digest) {
    throw layoutFault('does not have the size and digest that its descriptor says', blob.file);
  }
}
