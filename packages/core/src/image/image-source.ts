// Where the bytes of an existing image come from: a folder, a registry, an archive.
import { createHash } from 'node:crypto';
import { type Digest, sha256Digest } from '../model/digest.ts';
import type { PushBlob } from '../registry/push-content.ts';
import type { ImageReference } from '../registry/reference.ts';
import { DO_NOT_USE, imageFault } from './faults.ts';

/** What a descriptor says of a blob. */
export interface BlobClaim {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
}

export interface ImageSource {
  /** For messages. */
  readonly name: string;
  /** The index or the manifest that the input names. */
  readonly root: BlobClaim;
  /**
   * A whole manifest, index or config. Its size and digest hold.
   *
   * @throws UportError UPORT_IMAGE_*, UPORT_REGISTRY_*
   */
  document(claim: BlobClaim, kind: 'manifest' | 'config'): Promise<Buffer>;
  /** Reads a blob; fails before its last bytes when they are not those of its digest. */
  open(claim: BlobClaim, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** The layout folder that it is. */
  readonly folder?: string;
  /** Where blobs can be mounted from. */
  readonly registry?: { readonly reference: ImageReference; readonly insecure: boolean };
  close(): Promise<void>;
}

/** What registries take, and more than any image needs. Bytes. */
export const DOCUMENT_MAX = 4 << 20;

export function checkDocumentSize(claim: BlobClaim, where: string): void {
  if (claim.size <= DOCUMENT_MAX) return;
  throw imageFault(
    'UPORT_IMAGE_TOO_LARGE',
    where,
    `${claim.digest} is a document of ${claim.size} bytes; more than ${DOCUMENT_MAX} are not read`,
    DO_NOT_USE,
  );
}

/** A document's bytes, when size and digest hold. @throws UportError UPORT_IMAGE_SIZE, UPORT_IMAGE_DIGEST */
export function checkDocument(bytes: Buffer, claim: BlobClaim, where: string): Buffer {
  if (bytes.length !== claim.size) throw wrongSize(claim, bytes.length, where);
  const actual = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  if (actual !== claim.digest) throw wrongDigest(claim, actual, where);
  return bytes;
}

/** Passes a blob on, and fails before its last bytes when size or digest are wrong. */
export async function* checkedBlob(
  chunks: AsyncIterable<Uint8Array>,
  claim: BlobClaim,
  where: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = createHash('sha256');
  let size = 0;
  let held: Uint8Array | undefined;
  for await (const chunk of chunks) {
    if (chunk.length === 0) continue;
    if (held) yield held;
    hash.update(chunk);
    size += chunk.length;
    if (size > claim.size) throw wrongSize(claim, size, where);
    held = chunk;
  }
  if (size !== claim.size) throw wrongSize(claim, size, where);
  const actual = `sha256:${hash.digest('hex')}`;
  if (actual !== claim.digest) throw wrongDigest(claim, actual, where);
  if (held) yield held;
}

function wrongSize(claim: BlobClaim, size: number, where: string) {
  const seen = size > claim.size ? 'more' : `${size}`;
  return imageFault(
    'UPORT_IMAGE_SIZE',
    where,
    `${claim.digest} has ${seen} bytes, its descriptor says ${claim.size}`,
    DO_NOT_USE,
  );
}

function wrongDigest(claim: BlobClaim, actual: string, where: string) {
  return imageFault(
    'UPORT_IMAGE_DIGEST',
    where,
    `the bytes of ${claim.digest} are ${actual}`,
    DO_NOT_USE,
  );
}

export function digestOf(bytes: Uint8Array): Digest {
  return sha256Digest(createHash('sha256').update(bytes).digest('hex'));
}

/** A blob as a push wants it. */
export function blobToPush(source: ImageSource, claim: BlobClaim): PushBlob {
  const { digest, size } = claim;
  return { digest, size, open: (signal) => source.open(claim, signal) };
}
