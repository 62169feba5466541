import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { type Digest, digestHex, parseDigest, sha256Digest } from '../model/digest.ts';
import { registryFault } from './faults.ts';

export interface PushBlob {
  readonly digest: Digest;
  readonly size: number;
  readonly file: string;
}

export interface PushManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly isIndex: boolean;
  readonly bytes: Buffer;
}

/** What a push sends, in this order. */
export interface PushContent {
  /** Each once, the largest first. */
  readonly blobs: readonly PushBlob[];
  /** Children before the indexes that name them; the last is what the tag will name. */
  readonly manifests: readonly PushManifest[];
  readonly root: PushManifest;
}

// Registries take no larger manifest.
const LARGEST_MANIFEST = 4 << 20;
const MOST_MANIFESTS = 1000;
const DEEPEST = 4;
const REF_NAME = 'org.opencontainers.image.ref.name';

const INDEX_TYPES = new Set([
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
]);
const MANIFEST_TYPES = new Set([
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
]);

interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly refName: string | undefined;
}

/**
 * Reads what an image layout holds for a tag. The layout's index may name one artifact, whatever
 * its tags, or one with this tag.
 *
 * @throws UportError UPORT_REGISTRY_LAYOUT, UPORT_REGISTRY_LAYOUT_AMBIGUOUS
 */
export async function readPushContent(
  layout: string,
  tag: string,
  signal: AbortSignal,
): Promise<PushContent> {
  const indexFile = path.join(layout, 'index.json');
  const top = parseObject(await readBounded(indexFile, undefined), indexFile);
  const chosen = choose(descriptors(top.manifests, indexFile), tag, indexFile);

  const manifests = new Map<Digest, PushManifest>();
  const blobs = new Map<Digest, PushBlob>();
  const visit = async (descriptor: Descriptor, depth: number): Promise<void> => {
    signal.throwIfAborted();
    if (manifests.has(descriptor.digest)) return;
    const file = blobFile(layout, descriptor.digest);
    if (depth > DEEPEST) throw layoutFault(`indexes nest more than ${DEEPEST} deep`, file);
    const bytes = await readBounded(file, descriptor);
    const value = parseObject(bytes, file);
    const isIndex = INDEX_TYPES.has(descriptor.mediaType);
    if (isIndex) {
      for (const child of descriptors(value.manifests, file)) await visit(child, depth + 1);
    } else if (MANIFEST_TYPES.has(descriptor.mediaType)) {
      for (const blob of descriptors([value.config, ...asArray(value.layers, file)], file)) {
        const known = blobs.get(blob.digest);
        if (known && known.size !== blob.size) {
          throw layoutFault(`${blob.digest} has two sizes`, file);
        }
        if (!known) blobs.set(blob.digest, await checkBlob(layout, blob));
      }
    } else {
      throw layoutFault(`media type ${JSON.stringify(descriptor.mediaType)} is no manifest`, file);
    }
    if (manifests.size >= MOST_MANIFESTS) {
      throw layoutFault(`more than ${MOST_MANIFESTS} manifests`, indexFile);
    }
    const { digest, mediaType } = descriptor;
    manifests.set(digest, { digest, mediaType, isIndex, bytes });
  };
  await visit(chosen, 0);

  const ordered = [...manifests.values()];
  return {
    blobs: [...blobs.values()].sort((a, b) => b.size - a.size),
    manifests: ordered,
    root: ordered.at(-1) as PushManifest,
  };
}

function choose(all: readonly Descriptor[], tag: string, file: string): Descriptor {
  const distinct = (list: readonly Descriptor[]) => [
    ...new Map(list.map((descriptor) => [descriptor.digest, descriptor])).values(),
  ];
  const named = all.filter((descriptor) => descriptor.refName !== undefined);
  const tagged = named.filter((descriptor) => descriptor.refName === tag);
  for (const candidates of [distinct(all), distinct(tagged), distinct(named)]) {
    if (candidates.length === 1) return candidates[0] as Descriptor;
  }
  if (all.length === 0) throw layoutFault('the layout holds no image', file);
  throw registryFault(
    'UPORT_REGISTRY_LAYOUT_AMBIGUOUS',
    `the layout holds several images and none, or more than one, is tagged ${JSON.stringify(tag)}`,
    'push to the tag that the image has in the layout, or push a layout of one image',
    { file },
  );
}

function layoutFault(message: string, file: string, cause?: unknown) {
  return registryFault(
    'UPORT_REGISTRY_LAYOUT',
    message,
    'build the image again; `uport validate` lists all faults of a layout',
    { file, ...(cause === undefined ? {} : { cause }) },
  );
}

function blobFile(layout: string, digest: Digest): string {
  return path.join(layout, 'blobs', 'sha256', digestHex(digest));
}

function parseObject(bytes: Buffer, file: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw layoutFault('is not JSON', file, error);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw layoutFault('is not a JSON object', file);
}

function asArray(value: unknown, file: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw layoutFault('has no list of descriptors where one must be', file);
}

function descriptors(list: unknown, file: string): Descriptor[] {
  return asArray(list, file).map((value) => {
    const { mediaType, digest, size, annotations } = (value ?? {}) as Record<string, unknown>;
    if (
      typeof mediaType !== 'string' ||
      !/^[\x21-\x7e]{1,255}$/.test(mediaType) ||
      typeof digest !== 'string' ||
      !Number.isSafeInteger(size) ||
      (size as number) < 0
    ) {
      throw layoutFault('a descriptor lacks a valid mediaType, digest or size', file);
    }
    const name = (annotations as Record<string, unknown> | undefined)?.[REF_NAME];
    let parsed: Digest;
    try {
      parsed = parseDigest(digest);
    } catch (error) {
      throw layoutFault('a descriptor’s digest is not a sha256 digest', file, error);
    }
    return {
      mediaType,
      digest: parsed,
      size: size as number,
      refName: typeof name === 'string' ? name : undefined,
    };
  });
}

async function openRegular(file: string) {
  try {
    // Without O_NONBLOCK a FIFO would hang here.
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const info = await handle.stat();
    if (info.isFile()) return { handle, size: info.size };
    await handle.close();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown reason';
    throw layoutFault(`cannot be read (${code})`, file, error);
  }
  throw layoutFault('is not an ordinary file', file);
}

/** Reads a manifest; with a descriptor, exactly what that names. */
async function readBounded(file: string, descriptor: Descriptor | undefined): Promise<Buffer> {
  const { handle, size } = await openRegular(file);
  try {
    if (size > LARGEST_MANIFEST) throw layoutFault('is larger than 4 MiB', file);
    const bytes = await handle.readFile();
    if (descriptor) {
      const digest = sha256Digest(createHash('sha256').update(bytes).digest('hex'));
      if (bytes.length !== descriptor.size || digest !== descriptor.digest) {
        throw layoutFault('does not have the size and digest that its descriptor says', file);
      }
    }
    return bytes;
  } finally {
    await handle.close();
  }
}

/** Only the size; the digest is checked while the blob is sent. */
async function checkBlob(layout: string, blob: Descriptor): Promise<PushBlob> {
  const file = blobFile(layout, blob.digest);
  const { handle, size } = await openRegular(file);
  await handle.close();
  if (size !== blob.size) {
    throw layoutFault(`has ${size} bytes, its descriptor says ${blob.size}`, file);
  }
  return { digest: blob.digest, size, file };
}

/** Reads a blob and fails at its end when the bytes are not those of its digest. */
export async function* readBlob(blob: PushBlob, signal: AbortSignal): AsyncIterable<Uint8Array> {
  const { handle } = await openRegular(blob.file);
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
