// A registry as the source of an image.
import type { Digest } from '../model/digest.ts';
import { DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from '../oci/media-types.ts';
import { createClient, type RegistryClient } from '../registry/client.ts';
import { findCredentials } from '../registry/credentials.ts';
import type { SourceReference } from '../registry/reference.ts';
import { withRetries } from '../registry/retry.ts';
import { DO_NOT_USE, imageFault } from './faults.ts';
import {
  type BlobClaim,
  checkDocument,
  checkDocumentSize,
  checkedBlob,
  DOCUMENT_MAX,
  digestOf,
  type ImageSource,
} from './image-source.ts';

export interface RegistrySourceOptions {
  /** Plain HTTP. */
  readonly insecure: boolean;
  readonly env?: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

/** Docker's first format, which names no config: nothing can be derived from it. */
const SCHEMA1 = /^application\/vnd\.docker\.distribution\.manifest\.v1(\+prettyjws)?(\+json)?$/;

/**
 * Asks a registry for an image's index or manifest. Layers are read when somebody asks for them.
 *
 * @throws UportError UPORT_IMAGE_SCHEMA1, UPORT_IMAGE_NOT_FOUND, UPORT_REGISTRY_*
 */
export async function openRegistry(
  reference: SourceReference,
  options: RegistrySourceOptions,
): Promise<ImageSource> {
  const { insecure, env = process.env, signal } = options;
  const wanted = reference.digest ?? reference.tag;
  const separator = reference.digest ? '@' : ':';
  const name = `docker://${reference.registry}/${reference.repository}${separator}${wanted}`;
  const credentials = await findCredentials(reference, env, signal);
  const client = createClient({ reference, credentials, insecure, signal, access: 'pull' });
  await client.greet();
  const top = await getManifest(client, wanted, name);
  if (!top) {
    throw imageFault(
      'UPORT_IMAGE_NOT_FOUND',
      name,
      'the registry has no such image',
      'check repository and tag; the image may also want a login',
    );
  }
  const { mediaType, bytes } = top;
  if (SCHEMA1.test(mediaType)) {
    throw imageFault(
      'UPORT_IMAGE_SCHEMA1',
      name,
      'the image is in Docker’s schema 1, which was given up in 2017',
      `convert it: skopeo copy --format v2s2 ${name} docker://… and use the copy`,
    );
  }
  const root: BlobClaim = { mediaType, digest: digestOf(bytes), size: bytes.length };
  if (reference.digest && reference.digest !== root.digest)
    checkDocument(bytes, { ...root, digest: reference.digest }, name);
  const blobs = `/v2/${reference.repository}/blobs/`;
  const missing = (digest: Digest) =>
    imageFault(
      'UPORT_IMAGE_MISSING',
      name,
      `the registry does not have ${digest}`,
      'push the image again with all its platforms',
    );
  return {
    name,
    root,
    registry: { reference, insecure },
    async document(claim, kind) {
      if (claim.digest === root.digest) return checkDocument(bytes, claim, name);
      checkDocumentSize(claim, name);
      if (kind === 'manifest') {
        const found = await getManifest(client, claim.digest, name, claim.mediaType);
        if (!found) throw missing(claim.digest);
        return checkDocument(found.bytes, claim, name);
      }
      const answer = await client.send({
        method: 'GET',
        url: `${blobs}${claim.digest}`,
        accept: [200, 404],
        doing: `reading ${claim.digest}`,
        largestAnswer: DOCUMENT_MAX,
      });
      if (answer.status === 404) throw missing(claim.digest);
      return checkDocument(answer.body, claim, name);
    },
    open: (claim, stop) =>
      checkedBlob(download(client, `${blobs}${claim.digest}`, claim, missing, stop), claim, name),
    close: async () => undefined,
  };
}

const MANIFEST_TYPES = [OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST];

async function getManifest(
  client: RegistryClient,
  wanted: string,
  name: string,
  mediaType?: string,
): Promise<{ mediaType: string; bytes: Buffer } | undefined> {
  const accept = mediaType === undefined ? MANIFEST_TYPES : [mediaType, '*/*'];
  const answer = await client.send({
    method: 'GET',
    url: `/v2/${client.reference.repository}/manifests/${wanted}`,
    headers: { accept: accept.join(', ') },
    accept: [200, 404],
    doing: `reading ${name}`,
    largestAnswer: DOCUMENT_MAX,
  });
  if (answer.status === 404) return undefined;
  const said = answer.headers.get('docker-content-digest');
  if (said !== null && /^sha256:/.test(said) && said !== digestOf(answer.body)) {
    throw imageFault(
      'UPORT_IMAGE_DIGEST',
      name,
      `the registry says ${said.slice(0, 71)}, the bytes are ${digestOf(answer.body)}`,
      DO_NOT_USE,
    );
  }
  return { mediaType: typeOf(answer.headers.get('content-type'), answer.body), bytes: answer.body };
}

/** What the document says of itself counts: some registries send a type of their own. */
function typeOf(header: string | null, bytes: Buffer): string {
  try {
    const { mediaType, schemaVersion } = JSON.parse(bytes.toString('utf8')) as {
      mediaType?: unknown;
      schemaVersion?: unknown;
    };
    if (schemaVersion === 1) return 'application/vnd.docker.distribution.manifest.v1+json';
    if (typeof mediaType === 'string') return mediaType;
  } catch {
    // Whoever reads it will say what is wrong.
  }
  return header?.split(';', 1)[0]?.trim() ?? '';
}

/** Reads a blob; where the connection breaks it goes on from there. */
async function* download(
  client: RegistryClient,
  url: string,
  claim: BlobClaim,
  missing: (digest: Digest) => Error,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  let done = 0;
  let failures = 0;
  for (;;) {
    const from = done;
    try {
      const answer = await withRetries(
        () =>
          client.send({
            method: 'GET',
            url,
            ...(from > 0 && { headers: { range: `bytes=${from}-` } }),
            accept: [200, 206, 404],
            doing: `reading ${claim.digest}`,
            streamAnswer: true,
          }),
        signal,
      );
      if (answer.status === 404) throw missing(claim.digest);
      // A registry that knows no ranges begins anew.
      let skip = answer.status === 206 ? 0 : from;
      for await (const chunk of answer.stream ?? []) {
        signal.throwIfAborted();
        const rest = skip === 0 ? chunk : chunk.subarray(Math.min(skip, chunk.length));
        skip -= chunk.length - rest.length;
        if (rest.length === 0) continue;
        done += rest.length;
        yield rest;
        if (done > claim.size) return;
      }
      if (done >= claim.size || done === from) return;
    } catch (error) {
      signal.throwIfAborted();
      const broken = (error as { code?: unknown }).code === 'UPORT_REGISTRY_UNREACHABLE';
      if (done === from) failures++;
      if (!broken || failures > 3) throw error;
    }
  }
}
