// One file as the source of an image: an image layout in a tar, or what `docker save` wrote before
// version 25, which has no manifests.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { type Digest, digestHex, sha256Digest } from '../model/digest.ts';
import { createCompressor } from '../oci/compress.ts';
import { REF_NAME } from '../oci/layout.ts';
import { DOCKER_CONFIG, DOCKER_LAYER_GZIP, DOCKER_MANIFEST } from '../oci/media-types.ts';
import { listedSubject } from '../oci/referrers.ts';
import type { Store } from '../store/store.ts';
import { type ArchiveFile, openArchive } from './archive-file.ts';
import { DO_NOT_USE, imageFault } from './faults.ts';
import { parseConfigDocument, parseIndexDocument } from './image-documents.ts';
import {
  type BlobClaim,
  checkDocument,
  checkDocumentSize,
  checkedBlob,
  DOCUMENT_MAX,
  digestOf,
  type ImageSource,
} from './image-source.ts';

interface ArchiveOptions {
  readonly store: Store;
  readonly signal: AbortSignal;
}

/**
 * Opens an image in an archive: the one with the tag, or the only one.
 *
 * @throws UportError UPORT_IMAGE_*, UPORT_TAR_INVALID
 */
export async function openImageArchive(
  kind: 'oci-archive' | 'docker-archive',
  file: string,
  tag: string | undefined,
  options: ArchiveOptions,
): Promise<ImageSource> {
  const name = `${kind}:${file}${tag === undefined ? '' : `:${tag}`}`;
  const archive = await openArchive(file, options.store, options.signal);
  try {
    if (archive.has('index.json')) return await layoutInArchive(archive, name, tag);
    if (archive.has('manifest.json')) return await dockerImage(archive, name, tag, options);
    throw imageFault(
      'UPORT_IMAGE_TYPE',
      name,
      'the archive has neither an index.json nor a manifest.json',
      'give what docker save, podman save or skopeo copy wrote',
    );
  } catch (error) {
    await archive.close();
    throw error;
  }
}

async function layoutInArchive(
  archive: ArchiveFile,
  name: string,
  tag: string | undefined,
): Promise<ImageSource> {
  const top = parseIndexDocument(await archive.read('index.json', DOCUMENT_MAX), name);
  const namesOf = (annotations: Readonly<Record<string, string>>) =>
    [annotations['io.containerd.image.name'], annotations[REF_NAME]].filter(
      (each) => each !== undefined,
    );
  const images = top.manifests.filter(({ mediaType, annotations }) => {
    return listedSubject(mediaType, annotations[REF_NAME]) === undefined;
  });
  const found = images.filter(
    ({ annotations }) =>
      tag === undefined ||
      namesOf(annotations).some((each) => each === tag || each.endsWith(`/${tag}`)),
  );
  const root = only(
    found,
    name,
    images.flatMap(({ annotations }) => namesOf(annotations)),
  );
  const blob = (digest: Digest) => `blobs/sha256/${digestHex(digest)}`;
  return {
    name,
    root: { mediaType: root.mediaType, digest: root.digest, size: root.size },
    async document(claim) {
      checkDocumentSize(claim, name);
      return checkDocument(await archive.read(blob(claim.digest), DOCUMENT_MAX), claim, name);
    },
    open: (claim, signal) => checkedBlob(archive.stream(blob(claim.digest), signal), claim, name),
    close: archive.close,
  };
}

function only<T extends { readonly digest: string }>(
  found: readonly T[],
  name: string,
  names: readonly string[],
): T {
  const distinct = new Map(found.map((each) => [each.digest, each]));
  const [first] = distinct.values();
  if (distinct.size === 1 && first) return first;
  throw imageFault(
    distinct.size === 0 ? 'UPORT_IMAGE_NOT_FOUND' : 'UPORT_IMAGE_AMBIGUOUS',
    name,
    `the archive holds ${distinct.size} such images`,
    `name one after the file, with a colon between; it has: ${names.slice(0, 10).join(', ') || 'none with a name'}`,
  );
}

/**
 * An image without manifests gets one as `docker push` would write it: Docker's schema 2, with
 * gzipped layers. They are packed once and kept in the store.
 */
async function dockerImage(
  archive: ArchiveFile,
  name: string,
  tag: string | undefined,
  { store, signal }: ArchiveOptions,
): Promise<ImageSource> {
  const images = readList(await archive.read('manifest.json', DOCUMENT_MAX), name);
  const found = images.filter(
    ({ tags }) =>
      tag === undefined || tags.some((each) => each === tag || each.endsWith(`/${tag}`)),
  );
  const image = only(
    found,
    name,
    images.flatMap(({ tags }) => tags),
  );
  const configBytes = await archive.read(image.digest, DOCUMENT_MAX);
  const config = {
    mediaType: DOCKER_CONFIG,
    size: configBytes.length,
    digest: digestOf(configBytes),
  };
  const { diffIds } = parseConfigDocument(configBytes, name);
  if (diffIds.length !== image.layers.length) {
    throw imageFault(
      'UPORT_IMAGE_DAMAGED',
      name,
      `it has ${image.layers.length} layers, its config ${diffIds.length} diff_ids`,
      DO_NOT_USE,
    );
  }
  const layers: BlobClaim[] = [];
  for (const [i, member] of image.layers.entries()) {
    layers.push(await packedLayer(archive, member, diffIds[i] as Digest, name, store, signal));
  }
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: DOCKER_MANIFEST,
      config,
      layers: layers.map(({ mediaType, size, digest }) => ({ mediaType, size, digest })),
    }),
  );
  const root = { mediaType: DOCKER_MANIFEST, digest: digestOf(manifest), size: manifest.length };
  return {
    name,
    root,
    async document(claim) {
      return checkDocument(claim.digest === root.digest ? manifest : configBytes, claim, name);
    },
    async *open(claim, stop) {
      if (claim.digest === config.digest) {
        yield configBytes;
        return;
      }
      const stream = createReadStream(store.pathOf(claim.digest), {
        highWaterMark: 256 << 10,
        signal: stop,
      });
      yield* checkedBlob(stream as AsyncIterable<Buffer>, claim, name);
    },
    close: archive.close,
  };
}

interface ListedImage {
  /** The name of its config: what tells images apart. */
  readonly digest: string;
  readonly tags: readonly string[];
  readonly layers: readonly string[];
}

function readList(bytes: Buffer, name: string): readonly ListedImage[] {
  const bad = (cause?: unknown) =>
    imageFault(
      'UPORT_IMAGE_DAMAGED',
      name,
      'its manifest.json is not as docker save writes it',
      DO_NOT_USE,
      cause,
    );
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw bad(error);
  }
  const texts = (each: unknown): each is string[] =>
    Array.isArray(each) && each.every((text) => typeof text === 'string');
  if (!Array.isArray(value)) throw bad();
  return value.map((each: { Config?: unknown; RepoTags?: unknown; Layers?: unknown } | null) => {
    const { Config, RepoTags, Layers } = each ?? {};
    const tags = RepoTags ?? [];
    if (typeof Config !== 'string' || !texts(tags) || !texts(Layers)) throw bad();
    return { digest: Config, tags, layers: Layers };
  });
}

const LEVEL = 6;
const COMPRESSING = 3;

/** What the store remembers of a tar that was packed. */
interface PackedLayer {
  readonly digest?: unknown;
  readonly size?: unknown;
}

async function packedLayer(
  archive: ArchiveFile,
  member: string,
  diffId: Digest,
  name: string,
  store: Store,
  signal: AbortSignal,
): Promise<BlobClaim> {
  const key = `image-layer/gzip-${LEVEL}-${process.versions.zlib}/${diffId}`;
  // Not docker, but crane, jib and others have compressed layers in there: they stay as they are, whatever
  // the store has packed of the same tar.
  const isPacked = await startsLikeGzip(archive.stream(member, signal));
  const known = isPacked ? undefined : ((await store.lookup(key)) as PackedLayer | undefined);
  if (typeof known?.digest === 'string' && typeof known.size === 'number') {
    const digest = known.digest as Digest;
    if (/^sha256:[0-9a-f]{64}$/.test(digest) && store.locate(digest) !== undefined) {
      return { mediaType: DOCKER_LAYER_GZIP, digest, size: known.size };
    }
  }
  const diff = createHash('sha256');
  const chunks = archive.stream(member, signal);
  const packed = isPacked ? hearUnpacked(chunks, diff, name) : pack(chunks, diff);
  const stored = await store.put(packed, { signal, name: `a layer of ${name}` });
  const actual = sha256Digest(diff.digest('hex'));
  if (actual !== diffId) {
    throw imageFault(
      'UPORT_IMAGE_DIGEST',
      name,
      `the tar ${JSON.stringify(member.slice(0, 200))} is ${actual}, the config says ${diffId}`,
      DO_NOT_USE,
    );
  }
  if (!isPacked) await store.record(key, { digest: stored.digest, size: stored.size });
  return { mediaType: DOCKER_LAYER_GZIP, digest: stored.digest, size: stored.size };
}

async function startsLikeGzip(chunks: AsyncIterable<Uint8Array>): Promise<boolean> {
  for await (const chunk of chunks) return chunk[0] === 0x1f && chunk[1] === 0x8b;
  return false;
}

/** A layer unpacks to so many times its size at most, once it is large. */
const RATIO_MAX = 200;
const UNPACKED_FREE = 1 << 30;

/** Passes a gzipped layer on; `diff` is told what is in it. */
async function* hearUnpacked(
  chunks: AsyncIterable<Uint8Array>,
  diff: ReturnType<typeof createHash>,
  name: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const unpacker = createGunzip({ chunkSize: 256 << 10 });
  let [size, unpacked] = [0, 0];
  const heard = (async () => {
    for await (const chunk of unpacker as AsyncIterable<Buffer>) {
      unpacked += chunk.length;
      if (unpacked > Math.max(UNPACKED_FREE, size * RATIO_MAX)) {
        throw imageFault(
          'UPORT_IMAGE_TOO_LARGE',
          name,
          'a layer unpacks to far more than its size',
          DO_NOT_USE,
        );
      }
      diff.update(chunk);
    }
  })();
  // Whoever waits is told; until then it must not count as unheard of.
  heard.catch(() => undefined);
  try {
    for await (const chunk of chunks) {
      size += chunk.length;
      if (!unpacker.write(chunk)) await Promise.race([once(unpacker, 'drain'), heard]);
      yield chunk;
    }
    unpacker.end();
    await heard;
  } catch (error) {
    if (!(error as NodeJS.ErrnoException).code?.startsWith('Z_')) throw error;
    throw imageFault('UPORT_IMAGE_DAMAGED', name, 'a layer does not decompress', DO_NOT_USE, error);
  } finally {
    unpacker.destroy();
  }
}

async function* pack(
  chunks: AsyncIterable<Uint8Array>,
  diff: ReturnType<typeof createHash>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const compressor = createCompressor('gzip', LEVEL);
  const waiting: (readonly Uint8Array[] | Promise<readonly Uint8Array[]>)[] = [];
  yield compressor.begin();
  for await (const block of blocks(chunks, compressor.blockSize)) {
    diff.update(block);
    waiting.push(compressor.compress(block));
    if (waiting.length >= COMPRESSING) yield* await (waiting.shift() as readonly Uint8Array[]);
  }
  for (const each of waiting) yield* await each;
  yield compressor.end();
}

/** All of one size but the last. */
async function* blocks(
  chunks: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<Buffer, void, undefined> {
  let block = Buffer.allocUnsafeSlow(size);
  let used = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      const step = Math.min(size - used, chunk.length - at);
      block.set(chunk.subarray(at, at + step), used);
      used += step;
      at += step;
      if (used < size) continue;
      yield block;
      block = Buffer.allocUnsafeSlow(size);
      used = 0;
    }
  }
  if (used > 0) yield block.subarray(0, used);
}
