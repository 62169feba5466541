import type { Digest } from '../model/digest.ts';
import type { RegistryClient } from './client.ts';
import { printable, registryFault } from './faults.ts';
import { type HttpAnswer, resolveLocation, type StreamBody } from './http.ts';

export interface UploadBlob extends StreamBody {
  readonly digest: Digest;
}

/** How blobs are looked for and sent; one try each. */
export interface BlobTransfer {
  readonly name: 'oci-image-builder' | 'fetch';
  exists(digest: Digest): Promise<boolean>;
  upload(blob: UploadBlob): Promise<void>;
}

/** The statuses of HEAD that tell whether a blob is there. A storage behind may refuse HEAD. */
export const HEAD_ANSWERS = [200, 404, 403, 405] as const;

/** Blobs by the distribution specification's POST then PUT. */
export function fetchTransfer(client: RegistryClient): BlobTransfer {
  const blobs = `/v2/${client.reference.repository}/blobs/`;
  return {
    name: 'fetch',
    async exists(digest) {
      const answer = await client.send({
        method: 'HEAD',
        url: `${blobs}${digest}`,
        accept: HEAD_ANSWERS,
        doing: `looking for blob ${digest}`,
      });
      return answer.status === 200;
    },
    async upload(blob) {
      const doing = `pushing blob ${blob.digest}`;
      const started = await client.send({
        method: 'POST',
        url: `${blobs}uploads/`,
        headers: { 'content-length': '0' },
        accept: [202],
        doing,
      });
      const place = resolveLocation(started.headers.get('location'), started.url, client.insecure);
      // Appended as text: the query is the registry's own and must stay byte for byte.
      place.search += `${place.search ? '&' : '?'}digest=${encodeURIComponent(blob.digest)}`;
      const answer = await client.send({
        method: 'PUT',
        url: place,
        headers: { 'content-type': 'application/octet-stream' },
        stream: blob,
        accept: [201],
        doing,
      });
      checkDigest(answer, blob.digest);
    },
  };
}

/** Asks the registry to take a blob from another of its repositories. */
export async function mountBlob(
  client: RegistryClient,
  digest: Digest,
  from: string,
): Promise<boolean> {
  const query = `mount=${encodeURIComponent(digest)}&from=${encodeURIComponent(from)}`;
  let answer: HttpAnswer;
  try {
    answer = await client.send({
      method: 'POST',
      url: `/v2/${client.reference.repository}/blobs/uploads/?${query}`,
      headers: { 'content-length': '0' },
      alsoPull: from,
      // A registry that does not mount begins an upload, or refuses what it does not know.
      accept: [201, 202, 400, 403, 404, 405],
      doing: `mounting blob ${digest}`,
    });
  } catch (error) {
    // The login may not reach the other repository; it did reach this one.
    if ((error as { code?: unknown }).code === 'UPORT_REGISTRY_UNAUTHORIZED') return false;
    throw error;
  }
  if (answer.status === 202) {
    const place = resolveLocation(answer.headers.get('location'), answer.url, client.insecure);
    await client.send({
      method: 'DELETE',
      url: place,
      accept: [200, 202, 204, 400, 403, 404, 405],
      doing: 'ending an upload that is not needed',
    });
  }
  return answer.status === 201;
}

/** @throws UportError UPORT_REGISTRY_DIGEST where the registry says that it stored something else */
export function checkDigest(answer: HttpAnswer, digest: Digest): void {
  const said = answer.headers.get('docker-content-digest');
  // A registry may name it by another algorithm; that cannot be compared.
  if (said === null || said === digest || /^sha(?:384|512):/.test(said)) return;
  throw registryFault(
    'UPORT_REGISTRY_DIGEST',
    `${answer.url.host} says that it stored ${printable(said)} instead of ${digest}`,
    'do not use what was pushed; tell the registry’s operator',
  );
}
