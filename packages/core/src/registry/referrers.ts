// The list of referrers that clients keep where a registry has no API for it: distribution-spec 1.1,
// "Referrers Tag Schema".
import { createHash } from 'node:crypto';
import { type Digest, sha256Digest } from '../model/digest.ts';
import { parseIndex, parseObject } from '../oci/documents.ts';
import { OCI_INDEX } from '../oci/media-types.ts';
import { referrersIndex, referrersTag } from '../oci/referrers.ts';
import type { RegistryClient } from './client.ts';
import { registryFault } from './faults.ts';
import type { PushManifest, PushReferrer } from './push-content.ts';

const LARGEST_INDEX = 4 << 20;

/**
 * The list with more referrers in it, to be put under its tag; undefined when it has them all.
 *
 * @throws UportError UPORT_REGISTRY_*
 */
export async function listReferrers(
  client: RegistryClient,
  subject: Digest,
  added: readonly PushReferrer['descriptor'][],
): Promise<PushManifest | undefined> {
  const tag = referrersTag(subject);
  const answer = await client.send({
    method: 'GET',
    url: `/v2/${client.reference.repository}/manifests/${tag}`,
    headers: { accept: OCI_INDEX },
    accept: [200, 404],
    doing: `reading the referrers of ${subject}`,
    largestAnswer: LARGEST_INDEX,
  });
  const others = answer.status === 200 ? manifestsOf(answer.body, tag) : [];
  const known = new Set(others.map(({ digest }) => digest));
  const missing = added.filter(({ digest }) => !known.has(digest));
  if (missing.length === 0) return undefined;
  const bytes = referrersIndex(
    missing.map((descriptor) => ({ descriptor })),
    others,
  );
  const digest = sha256Digest(createHash('sha256').update(bytes).digest('hex'));
  return { digest, mediaType: OCI_INDEX, isIndex: true, bytes };
}

/** As they stand: other tools' entries are kept whole. */
function manifestsOf(body: Uint8Array, tag: string): readonly { readonly digest: Digest }[] {
  const report = ({ where, message }: { where: string; message: string }) => {
    throw registryFault(
      'UPORT_REGISTRY_REFERRERS',
      `what the registry has under the tag ${tag} is no list of referrers: ${where} ${message}`,
      'remove that tag, or push without SBOMs (--no-sbom)',
    );
  };
  const raw = parseObject(body, tag, report);
  if (raw === undefined) return [];
  parseIndex(raw, tag, report);
  return raw.manifests as readonly { readonly digest: Digest }[];
}
