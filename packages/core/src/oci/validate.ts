// Checks an image layout by recomputing everything (image-spec 1.1).
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { displayBytes } from '../model/byte-path.ts';
import { type Digest, parseDigest } from '../model/digest.ts';
import { type Progress, silentProgress } from '../model/progress.ts';
import { byteReader } from '../tar/byte-reader.ts';
import { readTar } from '../tar/tar-reader.ts';
import { blobPath, openOrdinary, type ReadTally, readPieces } from './blob-file.ts';
import { layerDecoder } from './decompress.ts';
import type { Descriptor, PlatformView } from './documents.ts';
import type { Fault, Report } from './fault.ts';
import {
  blobName,
  imageRoots,
  type Layout,
  type LayoutImage,
  type LayoutRoot,
  walkLayout,
} from './layout.ts';
import {
  DOCKER_CONFIG,
  DOCKER_INDEX,
  DOCKER_LAYER_GZIP,
  DOCKER_MANIFEST,
  isForeignLayer,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_LAYER_GZIP,
  OCI_LAYER_TAR,
  OCI_LAYER_ZSTD,
  OCI_MANIFEST,
} from './media-types.ts';

export interface ValidateOptions {
  readonly signal?: AbortSignal;
  readonly progress?: Progress;
}

/** Docker's documents stand in layouts of images that were made elsewhere and are kept as they are. */
const DOCUMENT_TYPES: ReadonlySet<string> = new Set([
  ...[OCI_INDEX, OCI_MANIFEST, OCI_CONFIG],
  ...[DOCKER_INDEX, DOCKER_MANIFEST, DOCKER_CONFIG],
]);
const LAYER_TYPES: ReadonlySet<string> = new Set([
  ...[OCI_LAYER_TAR, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, DOCKER_LAYER_GZIP],
]);

/** No layer is this large; a small blob that unpacks to more is an attack. */
const UNPACKED_MAX = 2 ** 40;
/** So that a hostile layout cannot fill the memory with faults. */
const FAULTS_MAX = 10_000;

/**
 * All faults of an image layout: structure and media types, sizes and digests of every blob, each
 * layer's tar and diff_id, platforms, history. An empty list means that there are none.
 */
export async function validateLayout(
  folder: string,
  options: ValidateOptions = {},
): Promise<readonly Fault[]> {
  const signal = options.signal ?? new AbortController().signal;
  const faults = new Map<string, Fault>();
  const report: Report = (fault) => {
    if (faults.size < FAULTS_MAX)
      faults.set(`${fault.code} ${fault.where} ${fault.message}`, fault);
  };
  const layout = await walkLayout(folder, report, signal);
  checkRoots(layout, report);
  checkReferrers(layout, report);
  for (const root of layout.roots) {
    checkPlatforms(root, report);
    for (const image of root.images) checkImage(image, report);
  }
  const blobs = collectBlobs(layout, report);
  await checkBlobs(folder, blobs, report, signal, options.progress ?? silentProgress);
  await checkStrangers(folder, blobs, report, signal);
  return [...faults.values()];
}

function checkRoots(layout: Layout, report: Report): void {
  const seen = new Set<string>();
  for (const { tag, descriptor } of layout.roots) {
    checkType(descriptor, DOCUMENT_TYPES, 'index.json', report);
    if (tag === undefined) continue;
    const where = `index.json ${JSON.stringify(tag.slice(0, 200))}`;
    if (!/^[A-Za-z0-9]+([-._:@/+]+[A-Za-z0-9]+)*$/.test(tag)) {
      report({ code: 'UPORT_OCI_REF_NAME', where, message: 'is not a reference name' });
    }
    if (seen.has(tag)) {
      report({ code: 'UPORT_OCI_REF_NAME', where, message: 'names several images' });
    }
    seen.add(tag);
  }
}

/** What is listed as attached to an image says so itself, and the image is there. */
function checkReferrers(layout: Layout, report: Report): void {
  const subjects = new Map(
    imageRoots(layout)
      .flatMap(({ indexes, images }) => [...indexes, ...images])
      .map(({ descriptor }) => [descriptor.digest, descriptor]),
  );
  for (const { referrersOf, images, indexes } of layout.roots) {
    if (referrersOf === undefined) continue;
    const fault = (digest: Digest, message: string) =>
      report({ code: 'UPORT_OCI_REFERRER', where: blobName(digest), message });
    const subject = subjects.get(referrersOf);
    for (const { descriptor } of indexes.slice(0, 1)) {
      if (subject) continue;
      fault(descriptor.digest, `lists what is attached to ${referrersOf}, which is not there`);
    }
    for (const { descriptor, manifest } of images) {
      const { digest, artifactType } = descriptor;
      const stated = manifest.subject;
      if (stated?.digest !== referrersOf) {
        fault(digest, `is listed as attached to ${referrersOf}, but its subject is another`);
      } else if (
        subject &&
        (stated.size !== subject.size || stated.mediaType !== subject.mediaType)
      ) {
        fault(digest, 'states another size or type of its subject than this has');
      }
      const actual = manifest.artifactType ?? manifest.config.mediaType;
      if (artifactType !== actual) {
        fault(digest, `is of artifact type ${actual}, the list says ${artifactType ?? 'none'}`);
      }
    }
  }
}

function checkPlatforms(root: LayoutRoot, report: Report): void {
  for (const { descriptor, index } of root.indexes) {
    const where = blobName(descriptor.digest);
    const seen = new Set<string>();
    for (const each of index.manifests) {
      // Other artifacts may stand beside the images.
      if (!/^application\/.+\+json$/.test(each.mediaType)) {
        checkType(each, DOCUMENT_TYPES, where, report);
      }
      // Attestations say unknown/unknown, each one; Windows has versions besides.
      if (each.platform?.os !== 'linux') continue;
      const name = shownPlatform(each.platform);
      if (seen.has(name)) {
        report({ code: 'UPORT_OCI_PLATFORM', where, message: `names ${name} more than once` });
      }
      seen.add(name);
    }
    if (seen.size > 0 && index.manifests.some((each) => !each.platform)) {
      report({ code: 'UPORT_OCI_PLATFORM', where, message: 'has a manifest without a platform' });
    }
  }
}

function checkImage({ descriptor, manifest, config }: LayoutImage, report: Report): void {
  const where = blobName(descriptor.digest);
  if (!config || config.platform.os === 'unknown') return;
  checkType(manifest.config, DOCUMENT_TYPES, where, report);
  for (const layer of manifest.layers) checkType(layer, LAYER_TYPES, where, report);
  const stated = descriptor.platform;
  if (stated && !isSamePlatform(stated, config.platform)) {
    report({
      code: 'UPORT_OCI_PLATFORM',
      where,
      message: `the index says ${shownPlatform(stated)}, the config ${shownPlatform(config.platform)}`,
    });
  }
  const layers = manifest.layers.length;
  if (layers === 0) report({ code: 'UPORT_OCI_LAYERS', where, message: 'has no layer' });
  if (config.diffIds.length !== layers) {
    report({
      code: 'UPORT_OCI_LAYERS',
      where,
      message: `has ${layers} layers, its config ${config.diffIds.length} diff_ids`,
    });
  }
  if (config.layersInHistory !== undefined && config.layersInHistory !== layers) {
    report({
      code: 'UPORT_OCI_HISTORY',
      where,
      message: `has ${layers} layers, the history of its config ${config.layersInHistory}`,
    });
  }
}

function checkType(
  descriptor: Descriptor,
  allowed: ReadonlySet<string>,
  where: string,
  report: Report,
): void {
  if (allowed.has(descriptor.mediaType)) return;
  // An engine fetches or decrypts such layers itself.
  if (allowed === LAYER_TYPES && isKeptLayer(descriptor.mediaType)) return;
  report({
    code: 'UPORT_OCI_MEDIA_TYPE',
    where,
    message: `${blobName(descriptor.digest)} is of type ${descriptor.mediaType}, which image-spec does not have there`,
  });
}

/** Foreign and encrypted layers: they can be kept, not read. */
function isKeptLayer(mediaType: string): boolean {
  return isForeignLayer(mediaType) || /\+encrypted$/.test(mediaType);
}

/** A variant may be left out on either side. */
function isSamePlatform(one: PlatformView, other: PlatformView): boolean {
  return (
    one.os === other.os &&
    one.architecture === other.architecture &&
    (!one.variant || !other.variant || one.variant === other.variant)
  );
}

function shownPlatform(platform: PlatformView): string {
  return [platform.os, platform.architecture, platform.variant]
    .filter((part) => part)
    .join('/')
    .slice(0, 200);
}

/** What is said about a blob that is no JSON document. */
interface BlobClaims {
  readonly size: number;
  /** Of a layer: its media type and what its tar must be; none when no config says. */
  readonly mediaType: string;
  readonly diffIds: Set<Digest>;
}

function collectBlobs(layout: Layout, report: Report): Map<Digest, BlobClaims> {
  const blobs = new Map<Digest, BlobClaims>();
  const claim = (descriptor: Descriptor, mediaType: string, diffId?: Digest): void => {
    const known = blobs.get(descriptor.digest);
    if (!known) {
      blobs.set(descriptor.digest, {
        size: descriptor.size,
        mediaType,
        diffIds: new Set(diffId && [diffId]),
      });
      return;
    }
    if (known.size !== descriptor.size || known.mediaType !== mediaType) {
      report({
        code: 'UPORT_OCI_SIZE',
        where: blobName(descriptor.digest),
        message: 'its descriptors differ in size or type',
      });
    }
    if (diffId) known.diffIds.add(diffId);
  };
  for (const { images } of layout.roots) {
    for (const { manifest, config } of images) {
      for (const [i, layer] of manifest.layers.entries()) {
        claim(layer, layer.mediaType, config?.diffIds[i]);
      }
      if (!config) claim(manifest.config, manifest.config.mediaType);
    }
  }
  return blobs;
}

async function checkBlobs(
  folder: string,
  blobs: ReadonlyMap<Digest, BlobClaims>,
  report: Report,
  signal: AbortSignal,
  progress: Progress,
): Promise<void> {
  const total = [...blobs.values()].reduce((sum, blob) => sum + blob.size, 0);
  const task = progress.start('check layers', total, 'bytes');
  try {
    for (const [digest, claims] of blobs) {
      const opened = await openOrdinary(blobPath(folder, digest));
      if (!opened) {
        if (isForeignLayer(claims.mediaType)) continue;
        report({
          code: 'UPORT_OCI_MISSING',
          where: blobName(digest),
          message: 'is not there, or is no ordinary file',
        });
        continue;
      }
      try {
        const tally: ReadTally = { size: 0, digest: '' };
        const pieces = counted(readPieces(opened.handle, tally, signal), (size) =>
          task.advance(size),
        );
        await checkBlob(digest, claims, pieces, tally, report);
      } finally {
        await opened.handle.close();
      }
    }
  } finally {
    task.done();
  }
}

async function* counted(
  pieces: AsyncIterable<Buffer>,
  count: (size: number) => void,
): AsyncGenerator<Buffer, void, undefined> {
  for await (const piece of pieces) {
    count(piece.length);
    yield piece;
  }
}

async function checkBlob(
  digest: Digest,
  claims: BlobClaims,
  pieces: AsyncGenerator<Buffer, void, undefined>,
  tally: ReadTally,
  report: Report,
): Promise<void> {
  const where = blobName(digest);
  const decode = layerDecoder(claims.mediaType);
  if (decode) {
    const shared = shareable(pieces);
    await checkLayer(where, claims, decode(shared), report);
    // What the decoder left: the blob's own digest is over all of it.
    for await (const _ of shared) {
      // Counted and hashed on the way.
    }
  } else {
    for await (const _ of pieces) {
      // Counted and hashed on the way.
    }
  }
  if (tally.size !== claims.size) {
    report({
      code: 'UPORT_OCI_SIZE',
      where,
      message: `has ${tally.size} bytes, its descriptor says ${claims.size}`,
    });
  }
  if (tally.digest !== digest) {
    report({ code: 'UPORT_OCI_DIGEST', where, message: `its bytes are ${tally.digest}` });
  }
}

/** An iterable that stays open when a reader leaves early. */
function shareable(source: AsyncGenerator<Buffer, void, undefined>): AsyncIterable<Buffer> {
  return { [Symbol.asyncIterator]: () => ({ next: () => source.next() }) };
}

async function checkLayer(
  where: string,
  claims: BlobClaims,
  tar: AsyncIterable<Buffer>,
  report: Report,
): Promise<void> {
  const hash = createHash('sha256');
  let size = 0;
  const hashed = async function* () {
    for await (const chunk of tar) {
      size += chunk.length;
      if (size > UNPACKED_MAX) {
        throw new UportError({
          code: 'UPORT_LAYER_DAMAGED',
          category: 'input',
          message: `the layer unpacks to more than ${UNPACKED_MAX} bytes`,
          hint: 'do not use it',
        });
      }
      hash.update(chunk);
      yield chunk;
    }
  };
  const source = hashed();
  try {
    try {
      await checkTar(where, shareable(source), report);
    } catch (error) {
      if (!(error instanceof UportError) || error.code !== 'UPORT_TAR_INVALID') throw error;
      report({ code: 'UPORT_OCI_TAR', where: place(where, error), message: error.message });
    }
    for await (const _ of source) {
      // Hashed on the way.
    }
  } catch (error) {
    if (!(error instanceof UportError) || error.code !== 'UPORT_LAYER_DAMAGED') throw error;
    report({ code: 'UPORT_OCI_COMPRESSION', where, message: error.message });
    return;
  }
  const actual = parseDigest(`sha256:${hash.digest('hex')}`);
  for (const diffId of claims.diffIds) {
    if (diffId === actual) continue;
    report({
      code: 'UPORT_OCI_DIFF_ID',
      where,
      message: `its tar is ${actual}, a config says ${diffId}`,
    });
  }
}

function place(where: string, error: UportError): string {
  return error.offset === undefined ? where : `${where} at ${error.offset}`;
}

/** What no honest layer holds: paths that lead out, links to nothing that can be named. */
async function checkTar(
  where: string,
  chunks: AsyncIterable<Buffer>,
  report: Report,
): Promise<void> {
  for await (const member of readTar(byteReader(chunks))) {
    const entry = `${where} ${JSON.stringify(displayBytes(member.path.slice(0, 200)))}`;
    if (member.type === undefined) {
      report({
        code: 'UPORT_OCI_TAR',
        where: entry,
        message: 'is of a type that layers do not have',
      });
    }
    if (leadsOut(member.path)) {
      report({ code: 'UPORT_OCI_TAR_PATH', where: entry, message: 'leads out of the image' });
    }
    if (member.type === 'hardlink' && leadsOut(member.target)) {
      report({ code: 'UPORT_OCI_TAR_PATH', where: entry, message: 'links out of the image' });
    }
  }
}

function leadsOut(path: string): boolean {
  return path === '' || path.includes('\0') || path.split('/').includes('..');
}

/** Files beside the blobs that are named: they too must be what their names say. */
async function checkStrangers(
  folder: string,
  known: ReadonlyMap<Digest, BlobClaims>,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const blobs = path.join(folder, 'blobs', 'sha256');
  const names = await readdir(blobs).catch(() => []);
  for (const name of names.sort()) {
    if (!/^[0-9a-f]{64}$/.test(name)) {
      report({
        code: 'UPORT_OCI_STRANGER',
        where: `blobs/sha256/${JSON.stringify(name)}`,
        message: 'is not named by a sha256',
      });
      continue;
    }
    const digest = parseDigest(`sha256:${name}`);
    if (known.has(digest)) continue;
    const opened = await openOrdinary(path.join(blobs, name));
    if (!opened) {
      report({
        code: 'UPORT_OCI_STRANGER',
        where: blobName(digest),
        message: 'is no ordinary file',
      });
      continue;
    }
    try {
      const tally: ReadTally = { size: 0, digest: '' };
      for await (const _ of readPieces(opened.handle, tally, signal)) {
        // Hashed on the way.
      }
      if (tally.digest !== digest) {
        report({
          code: 'UPORT_OCI_DIGEST',
          where: blobName(digest),
          message: `its bytes are ${tally.digest}`,
        });
      }
    } finally {
      await opened.handle.close();
    }
  }
}
