// Artifacts attached to an image (image-spec 1.1, manifest.md "subject"): each has a manifest that names
// its subject. Where nothing lists them, an index does, under a tag made of the subject's digest
// (distribution-spec 1.1, "Referrers Tag Schema").
import { createHash } from 'node:crypto';
import { type Digest, digestHex, parseDigest, sha256Digest } from '../model/digest.ts';
import { isIndexType } from './documents.ts';
import { OCI_EMPTY, OCI_INDEX, OCI_MANIFEST } from './media-types.ts';

export interface BlobDescriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
}

/** A document that is to be attached. */
export interface Attachment {
  /** Both what the artifact is and the type of its bytes. */
  readonly mediaType: string;
  readonly bytes: Buffer;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface Blob {
  readonly digest: Digest;
  readonly bytes: Buffer;
}

/** An attached artifact: its manifest, and the blobs that this names. */
export interface Referrer {
  readonly descriptor: BlobDescriptor & {
    readonly artifactType: string;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly manifest: Buffer;
  readonly blobs: readonly Blob[];
}

const EMPTY = Buffer.from('{}');

export function createReferrer(subject: BlobDescriptor, attachment: Attachment): Referrer {
  const { mediaType, bytes, annotations } = attachment;
  const config = blobOf(EMPTY);
  const content = blobOf(bytes);
  const manifest = json({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType: mediaType,
    config: { mediaType: OCI_EMPTY, digest: config.digest, size: EMPTY.length },
    layers: [{ mediaType, digest: content.digest, size: bytes.length }],
    subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size },
    annotations,
  });
  const { digest } = blobOf(manifest);
  return {
    descriptor: {
      mediaType: OCI_MANIFEST,
      digest,
      size: manifest.length,
      artifactType: mediaType,
      annotations,
    },
    manifest,
    blobs: [config, content],
  };
}

/** The index that lists a subject's referrers; others of it, as they stand, come first. */
export function referrersIndex(
  referrers: readonly Pick<Referrer, 'descriptor'>[],
  others: readonly unknown[] = [],
): Buffer {
  return json({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [...others, ...referrers.map(({ descriptor }) => descriptor)],
  });
}

/** The tag under which that index lies. */
export function referrersTag(subject: Digest): string {
  return `sha256-${digestHex(subject)}`;
}

/** The subject of a list of referrers, told by its type and tag; undefined for what is no such list. */
export function listedSubject(mediaType: string, tag: string | undefined): Digest | undefined {
  if (!isIndexType(mediaType)) return undefined;
  const hex = /^sha256-([0-9a-f]{64})$/.exec(tag ?? '')?.[1];
  return hex === undefined ? undefined : parseDigest(`sha256:${hex}`);
}

function blobOf(bytes: Buffer): Blob {
  return { digest: sha256Digest(createHash('sha256').update(bytes).digest('hex')), bytes };
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value), 'utf8');
}
