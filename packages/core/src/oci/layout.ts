// An image layout folder (image-spec 1.1, image-layout.md) as typed values.
import path from 'node:path';
import type { Digest } from '../model/digest.ts';
import { blobPath, openOrdinary, type ReadTally, readPieces } from './blob-file.ts';
import {
  type ConfigView,
  type Descriptor,
  type IndexView,
  isConfigType,
  isIndexType,
  isManifestType,
  type ManifestView,
  type PlatformView,
  parseConfig,
  parseIndex,
  parseManifest,
  parseObject,
} from './documents.ts';
import { type Report, throwFault } from './fault.ts';
import { listedSubject } from './referrers.ts';

/** One image of one platform, or another artifact (then it has no config). */
export interface LayoutImage {
  readonly descriptor: Descriptor;
  readonly manifest: ManifestView;
  readonly config?: ConfigView;
  /** What the index says, else what the config says. */
  readonly platform?: PlatformView;
}

/** One entry of `index.json`. */
export interface LayoutRoot {
  readonly descriptor: Descriptor;
  /** Its name in the layout: the annotation `org.opencontainers.image.ref.name`. */
  readonly tag?: string;
  /** It is no image but the list of what is attached to this one. */
  readonly referrersOf?: Digest;
  /** Itself and those under it, when it is an index. */
  readonly indexes: readonly { readonly descriptor: Descriptor; readonly index: IndexView }[];
  /** In the order of the index. */
  readonly images: readonly LayoutImage[];
  /** Manifests of kinds that are not known here; their size and digest hold. */
  readonly others: readonly Descriptor[];
}

export interface Layout {
  readonly folder: string;
  readonly roots: readonly LayoutRoot[];
}

/** What a layout holds besides lists of attached artifacts. */
export function imageRoots({ roots }: Pick<Layout, 'roots'>): readonly LayoutRoot[] {
  return roots.filter(({ referrersOf }) => referrersOf === undefined);
}

/** The artifacts that a layout lists as attached to an image. */
export function referrersOf(
  { roots }: Pick<Layout, 'roots'>,
  subject: Digest,
): readonly LayoutImage[] {
  return roots.filter((root) => root.referrersOf === subject).flatMap(({ images }) => images);
}

export interface ReadLayoutOptions {
  readonly signal?: AbortSignal;
}

export const REF_NAME = 'org.opencontainers.image.ref.name';

/** What registries take, and more than any image needs. */
const DOCUMENT_MAX = 4 << 20;
const MANIFESTS_MAX = 1000;
const DEPTH_MAX = 4;

/**
 * Reads index, manifests and configs; checks their digests, not the layers'.
 *
 * @throws UportError UPORT_OCI_…, the first fault found; `validateLayout` finds all
 */
export async function readLayout(folder: string, options: ReadLayoutOptions = {}): Promise<Layout> {
  const signal = options.signal ?? new AbortController().signal;
  return walkLayout(folder, throwFault(folder), signal);
}

/** Reads what can be read and reports the rest. */
export async function walkLayout(
  folder: string,
  report: Report,
  signal: AbortSignal,
): Promise<Layout> {
  await checkMarker(folder, report, signal);
  const bytes = await readTop(folder, 'index.json', report, signal);
  const top = bytes && parseObject(bytes, 'index.json', report);
  const roots: LayoutRoot[] = [];
  const walk = createWalk(folder, report, signal);
  const index = top && parseIndex(top, 'index.json', report);
  if (index?.manifests.length === 0) {
    report({ code: 'UPORT_OCI_EMPTY', where: 'index.json', message: 'names no image' });
  }
  for (const descriptor of index?.manifests ?? []) {
    const indexes: { descriptor: Descriptor; index: IndexView }[] = [];
    const images: LayoutImage[] = [];
    const others: Descriptor[] = [];
    await walk(descriptor, 0, indexes, images, others);
    const tag = descriptor.annotations[REF_NAME];
    const referrersOf = listedSubject(descriptor.mediaType, tag);
    roots.push({
      descriptor,
      indexes,
      images,
      others,
      ...(tag !== undefined && { tag }),
      ...(referrersOf !== undefined && { referrersOf }),
    });
  }
  return { folder, roots };
}

async function checkMarker(folder: string, report: Report, signal: AbortSignal): Promise<void> {
  const bytes = await readTop(folder, 'oci-layout', report, signal);
  const marker = bytes && parseObject(bytes, 'oci-layout', report);
  const version = marker?.imageLayoutVersion;
  if (marker && !(typeof version === 'string' && /^1\.\d+\.\d+$/.test(version))) {
    report({
      code: 'UPORT_OCI_FIELD',
      where: 'oci-layout imageLayoutVersion',
      message: 'is not version 1',
    });
  }
}

type Walk = (
  descriptor: Descriptor,
  depth: number,
  indexes: { descriptor: Descriptor; index: IndexView }[],
  images: LayoutImage[],
  others: Descriptor[],
) => Promise<void>;

function createWalk(folder: string, report: Report, signal: AbortSignal): Walk {
  // A document is read and reported on once, however often it is named.
  const documents = new Map<string, Promise<object | undefined>>();
  let visits = 0;
  const load = async <T extends object>(
    descriptor: Descriptor,
    parse: (
      value: Readonly<Record<string, unknown>>,
      where: string,
      report: Report,
    ) => T | undefined,
  ): Promise<T | undefined> => {
    const key = `${descriptor.digest} ${descriptor.size} ${parse.name}`;
    const known = documents.get(key);
    if (known) return known as Promise<T | undefined>;
    const work = (async () => {
      const where = blobName(descriptor.digest);
      const bytes = await readDocument(folder, descriptor, report, signal);
      const value = bytes && parseObject(bytes, where, report);
      return value && parse(value, where, report);
    })();
    documents.set(key, work);
    return work;
  };
  const walk: Walk = async (descriptor, depth, indexes, images, others) => {
    const where = blobName(descriptor.digest);
    if (++visits > MANIFESTS_MAX || depth > DEPTH_MAX) {
      if (visits === MANIFESTS_MAX + 1 || depth > DEPTH_MAX) {
        report({
          code: 'UPORT_OCI_TOO_MANY',
          where,
          message: `more than ${MANIFESTS_MAX} manifests, or indexes more than ${DEPTH_MAX} deep`,
        });
      }
      return;
    }
    if (isIndexType(descriptor.mediaType)) {
      const index = await load(descriptor, parseIndex);
      if (!index) return;
      indexes.push({ descriptor, index });
      for (const each of index.manifests) await walk(each, depth + 1, indexes, images, others);
    } else if (isManifestType(descriptor.mediaType)) {
      const manifest = await load(descriptor, parseManifest);
      if (!manifest) return;
      const config = isConfigType(manifest.config.mediaType)
        ? await load(manifest.config, parseConfig)
        : undefined;
      const platform = descriptor.platform ?? config?.platform;
      images.push({
        descriptor,
        manifest,
        ...(config && { config }),
        ...(platform && { platform }),
      });
    } else if (/^application\/.+\+json$/.test(descriptor.mediaType)) {
      if (await readDocument(folder, descriptor, report, signal)) others.push(descriptor);
    } else {
      report({
        code: 'UPORT_OCI_MEDIA_TYPE',
        where,
        message: `is of type ${descriptor.mediaType}, which is neither a manifest nor an index`,
      });
    }
  };
  return walk;
}

export function blobName(digest: Digest): string {
  return `blobs/${digest.replace(':', '/')}`;
}

/** A JSON blob whose size and digest hold. */
async function readDocument(
  folder: string,
  descriptor: Descriptor,
  report: Report,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  const where = blobName(descriptor.digest);
  const read = await readSmall(blobPath(folder, descriptor.digest), where, report, signal);
  if (!read) return undefined;
  if (read.tally.size !== descriptor.size) {
    report({
      code: 'UPORT_OCI_SIZE',
      where,
      message: `has ${read.tally.size} bytes, its descriptor says ${descriptor.size}`,
    });
  }
  if (read.tally.digest !== descriptor.digest) {
    report({ code: 'UPORT_OCI_DIGEST', where, message: `its bytes are ${read.tally.digest}` });
  }
  return read.bytes;
}

async function readTop(
  folder: string,
  name: string,
  report: Report,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  return (await readSmall(path.join(folder, name), name, report, signal))?.bytes;
}

async function readSmall(
  file: string,
  where: string,
  report: Report,
  signal: AbortSignal,
): Promise<{ bytes: Buffer; tally: ReadTally } | undefined> {
  const opened = await openOrdinary(file);
  if (!opened) {
    report({ code: 'UPORT_OCI_MISSING', where, message: 'is not there, or is no ordinary file' });
    return undefined;
  }
  try {
    if (opened.size > DOCUMENT_MAX) {
      report({
        code: 'UPORT_OCI_TOO_LARGE',
        where,
        message: `is a document of ${opened.size} bytes; more than ${DOCUMENT_MAX} are not read`,
      });
      return undefined;
    }
    const tally: ReadTally = { size: 0, digest: '' };
    const pieces: Buffer[] = [];
    for await (const piece of readPieces(opened.handle, tally, signal)) {
      pieces.push(piece);
      // A file that grows while it is read.
      if (tally.size > DOCUMENT_MAX) return undefined;
    }
    return { bytes: Buffer.concat(pieces), tally };
  } finally {
    await opened.handle.close();
  }
}
