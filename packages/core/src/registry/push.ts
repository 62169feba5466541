import { UportError } from '@uport/errors';
import type { Digest } from '../model/digest.ts';
import type { Progress, ProgressTask } from '../model/progress.ts';
import { referrersTag } from '../oci/referrers.ts';
import { type BlobTransfer, checkDigest, fetchTransfer, mountBlob } from './blob-transfer.ts';
import { createClient, type RegistryClient } from './client.ts';
import { findCredentials } from './credentials.ts';
import { registryFault } from './faults.ts';
import type { HttpAnswer } from './http.ts';
import { imageBuilderTransfer } from './image-builder-transfer.ts';
import {
  type PushBlob,
  type PushContent,
  type PushManifest,
  readPushContent,
} from './push-content.ts';
import { type ImageReference, isRepositoryName, parseReference } from './reference.ts';
import { listReferrers } from './referrers.ts';
import { withRetries } from './retry.ts';

export interface PushTarget {
  /** `REGISTRY[:PORT]/REPOSITORY[:TAG]`; the tag is `latest` when missing. */
  readonly reference: string;
  /**
   * Plain HTTP, for a registry in a network that you trust. Certificates are always verified; the
   * CA of a private registry goes into `NODE_EXTRA_CA_CERTS`.
   */
  readonly insecure: boolean;
  /** Default: what Docker's and Podman's files and credential helpers hold. */
  readonly credentials?: { readonly username: string; readonly password: string };
  /** Repositories of the same registry that may hold some of the blobs already. */
  readonly mountFrom?: readonly string[];
  /** Where `DOCKER_CONFIG`, `REGISTRY_AUTH_FILE`, `HOME` and `PATH` are taken from. */
  readonly env?: NodeJS.ProcessEnv;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

export interface PushOptions extends PushTarget {
  /** An OCI image layout folder. */
  readonly layout: string;
  /** Whether SBOMs, and what else is attached to the image, are pushed; default: true. */
  readonly sbom?: boolean;
}

export interface PushResult {
  /** With registry and tag written out. */
  readonly reference: string;
  /** What the tag names now. */
  readonly digest: Digest;
  readonly uploadedBlobs: number;
  readonly mountedBlobs: number;
  readonly existingBlobs: number;
  readonly manifests: number;
  /** Artifacts attached to the image. */
  readonly referrers: number;
}

/** More connections at once do not help and meet rate limits. */
const PARALLEL = 3;
const LARGEST_MANIFEST = 4 << 20;

/**
 * Pushes an image layout, of one platform or of many, to a registry that follows the OCI
 * distribution specification 1.1. Blobs that the registry has are not sent. The tag is set last, so
 * a push that fails leaves the tag as it was.
 *
 * @throws UportError UPORT_REGISTRY_*; the signal's reason when it is aborted
 */
export async function pushLayout(options: PushOptions): Promise<PushResult> {
  return pushThrough(bestTransfer, options);
}

/** Pushes what was put together elsewhere, as `pushLayout` does. */
export async function pushContent(content: PushContent, target: PushTarget): Promise<PushResult> {
  return send(bestTransfer, async () => content, target);
}

const bestTransfer = (client: RegistryClient): BlobTransfer =>
  imageBuilderTransfer(client) ?? fetchTransfer(client);

/** `pushLayout` with a chosen way to send blobs. */
export async function pushThrough(
  transferFor: (client: RegistryClient) => BlobTransfer,
  options: PushOptions,
): Promise<PushResult> {
  const { layout, signal, sbom } = options;
  return send(transferFor, (tag) => readPushContent(layout, tag, signal, sbom), options);
}

async function send(
  transferFor: (client: RegistryClient) => BlobTransfer,
  contentFor: (tag: string) => Promise<PushContent>,
  options: PushTarget,
): Promise<PushResult> {
  const { progress, signal, insecure, env = process.env } = options;
  const reference = parseReference(options.reference);
  const mountFrom = readMountFrom(options.mountFrom ?? [], reference);
  const content = await contentFor(reference.tag);
  const credentials = options.credentials
    ? { kind: 'password' as const, ...options.credentials }
    : await findCredentials(reference, env, signal);

  const counts = { uploadedBlobs: 0, mountedBlobs: 0, existingBlobs: 0 };
  const name = `${reference.registry}/${reference.repository}:${reference.tag}`;
  const total = content.blobs.reduce((sum, blob) => sum + blob.size, 0);
  const task = progress.start(`pushing ${name}`, total, 'bytes');
  const failed = new AbortController();
  try {
    const client = createClient({
      reference,
      credentials,
      insecure,
      signal: AbortSignal.any([signal, failed.signal]),
    });
    await client.greet();
    const transfer = transferFor(client);
    await forEach(content.blobs, failed, async (blob) => {
      counts[await pushBlob(client, transfer, blob, mountFrom, task)]++;
    });
    // What an index names must be there before it: images, then indexes of indexes in their order.
    const others = content.manifests.filter((manifest) => manifest !== content.root);
    const images = others.filter((manifest) => !manifest.isIndex);
    await forEach(images, failed, async (manifest) => {
      await putManifest(client, manifest, manifest.digest);
    });
    for (const index of others.filter((manifest) => manifest.isIndex)) {
      await putManifest(client, index, index.digest);
    }
    try {
      await pushReferrers(client, content);
    } catch (error) {
      throw withoutReferrers(error);
    }
    await putManifest(client, content.root, reference.tag);
  } finally {
    task.done();
  }
  return {
    reference: name,
    digest: content.root.digest,
    ...counts,
    manifests: content.manifests.length,
    referrers: content.referrers?.length ?? 0,
  };
}

/**
 * A registry that lists referrers itself says so in its answer (distribution-spec 1.1, "Pushing
 * Manifests with Subject"); for others the client keeps the list.
 */
async function pushReferrers(
  client: RegistryClient,
  { root, referrers = [] }: PushContent,
): Promise<void> {
  const unlisted = [];
  for (const { manifest, descriptor } of referrers) {
    const answer = await putManifest(client, manifest, manifest.digest);
    if (answer.headers.get('oci-subject') !== root.digest) unlisted.push(descriptor);
  }
  if (unlisted.length === 0) return;
  const index = await listReferrers(client, root.digest, unlisted);
  if (index) await putManifest(client, index, referrersTag(root.digest));
}

/** Registries may take images and no other artifacts: then the image goes without them. */
function withoutReferrers(error: unknown): unknown {
  if (!(error instanceof UportError) || error.code !== 'UPORT_REGISTRY_REFUSED') return error;
  const { code, message, hint, cause = error } = error;
  return registryFault(code, message, `${hint}; --no-sbom pushes without SBOMs`, { cause });
}

function readMountFrom(names: readonly string[], reference: ImageReference): readonly string[] {
  for (const name of names) {
    if (isRepositoryName(name)) continue;
    throw registryFault(
      'UPORT_REGISTRY_REFERENCE',
      `${JSON.stringify(name.slice(0, 200))} is not a repository name`,
      'name a repository of the same registry without registry and tag, such as team/base',
    );
  }
  return [...new Set(names)].filter((name) => name !== reference.repository);
}

/** A few at a time. The first failure ends the others, and is thrown when all have ended. */
async function forEach<Item>(
  items: readonly Item[],
  failed: AbortController,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const worker = async () => {
    try {
      for (const item of queue) {
        if (failed.signal.aborted) return;
        await work(item);
      }
    } catch (error) {
      failed.abort(error);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  failed.signal.throwIfAborted();
}

async function pushBlob(
  client: RegistryClient,
  transfer: BlobTransfer,
  blob: PushBlob,
  mountFrom: readonly string[],
  task: ProgressTask,
): Promise<'uploadedBlobs' | 'mountedBlobs' | 'existingBlobs'> {
  if (await transfer.exists(blob.digest)) {
    task.advance(blob.size);
    return 'existingBlobs';
  }
  for (const from of new Set([...(blob.mountFrom ?? []), ...mountFrom])) {
    if (from === client.reference.repository) continue;
    if (await mountBlob(client, blob.digest, from)) {
      task.advance(blob.size);
      return 'mountedBlobs';
    }
  }
  let shown = 0;
  await withRetries(async () => {
    let sent = 0;
    const open = async function* () {
      for await (const chunk of blob.open(client.signal)) {
        yield chunk;
        sent += chunk.length;
        // A second try shows nothing until it is further than the first was.
        if (sent > shown) {
          task.advance(sent - shown);
          shown = sent;
        }
      }
    };
    await transfer.upload({ digest: blob.digest, size: blob.size, open });
  }, client.signal);
  return 'uploadedBlobs';
}

/** @returns the registry's answer */
async function putManifest(
  client: RegistryClient,
  manifest: PushManifest,
  name: string,
): Promise<HttpAnswer> {
  const url = `/v2/${client.reference.repository}/manifests/${name}`;
  const doing = `pushing manifest ${manifest.digest}`;
  const answer = await client.send({
    method: 'PUT',
    url,
    headers: { 'content-type': manifest.mediaType },
    body: manifest.bytes,
    accept: [201],
    doing,
  });
  if (answer.headers.has('docker-content-digest')) {
    checkDigest(answer, manifest.digest);
    return answer;
  }
  const stored = await client.send({
    method: 'GET',
    url: `/v2/${client.reference.repository}/manifests/${manifest.digest}`,
    headers: { accept: manifest.mediaType },
    accept: [200],
    doing,
    largestAnswer: LARGEST_MANIFEST,
  });
  if (manifest.bytes.equals(stored.body)) return answer;
  throw registryFault(
    'UPORT_REGISTRY_DIGEST',
    `${answer.url.host} gives other bytes back for manifest ${manifest.digest}`,
    'do not use what was pushed; tell the registry’s operator',
  );
}
