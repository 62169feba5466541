import { type Digest, parseDigest } from '../model/digest.ts';
import { registryFault } from './faults.ts';

/** Where an image goes: `REGISTRY[:PORT]/REPOSITORY:TAG`. */
export interface ImageReference {
  /** As the user names it, lower case; Docker Hub is always `docker.io`. */
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
  /** `HOST[:PORT]` that speaks the registry API; differs from `registry` for Docker Hub only. */
  readonly apiHost: string;
}

const HOST =
  /^(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*)(?::[0-9]{1,5})?$/;
const REPOSITORY =
  /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

const HINT = 'write REGISTRY[:PORT]/REPOSITORY:TAG, for example registry.example.com/team/app:1.0';

/** The grammar of the distribution specification for repository names. */
export function isRepositoryName(text: string): boolean {
  return text.length <= 255 && REPOSITORY.test(text);
}

/** An image to read: by its tag, or by the digest of its index or manifest. */
export interface SourceReference extends ImageReference {
  readonly digest?: Digest;
}

/**
 * Reads `REGISTRY[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST]`, as `parseReference`. With a digest the
 * tag says nothing.
 *
 * @throws UportError UPORT_REGISTRY_REFERENCE
 */
export function parseSourceReference(text: string): SourceReference {
  const found = /^(.*?)@(sha256:[0-9a-f]{64})$/s.exec(text);
  if (!found) return parseReference(text);
  return Object.freeze({
    ...parseReference(found[1] as string),
    digest: parseDigest(found[2] as string),
  });
}

/**
 * Reads `[docker://]REGISTRY[:PORT]/REPOSITORY[:TAG]`; the tag is `latest` when missing. The first part must
 * look like a host (a dot, a port or `localhost`), so that a forgotten registry is never taken for
 * Docker Hub.
 *
 * @throws UportError UPORT_REGISTRY_REFERENCE
 */
export function parseReference(reference: string): ImageReference {
  const text = reference.replace(/^docker:\/\//, '');
  const fail = (message: string): never => {
    throw registryFault('UPORT_REGISTRY_REFERENCE', message, HINT);
  };
  // The text is not repeated in these two messages: what stands before an @ may be a password.
  if (/^[a-z]+:\/\//i.test(text)) return fail('an image reference has no scheme such as https://');
  if (text.includes('@')) return fail('an image reference to push to has no user and no digest');
  const quoted = JSON.stringify(text.slice(0, 200));
  const slash = text.indexOf('/');
  const host = text.slice(0, Math.max(slash, 0));
  const looksLikeHost = /[.:]/.test(host) || host.toLowerCase() === 'localhost';
  if (slash < 0 || !looksLikeHost || !HOST.test(host)) {
    return fail(`${quoted} does not start with a registry`);
  }
  const port = /:([0-9]+)$/.exec(host.replace(/^\[.*\]/, ''))?.[1];
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65535)) {
    return fail(`${quoted} names a port that does not exist`);
  }
  const rest = text.slice(slash + 1);
  const colon = rest.lastIndexOf(':');
  const tag = colon < 0 ? 'latest' : rest.slice(colon + 1);
  let repository = colon < 0 ? rest : rest.slice(0, colon);
  if (!TAG.test(tag)) return fail(`${quoted} has no valid tag`);
  if (!isRepositoryName(repository)) {
    return fail(`${quoted} has no valid repository name (lower case letters, digits, . _ - /)`);
  }
  const lower = host.toLowerCase();
  const isDockerHub = ['docker.io', 'index.docker.io', 'registry-1.docker.io'].includes(lower);
  if (isDockerHub && !repository.includes('/')) repository = `library/${repository}`;
  return Object.freeze({
    registry: isDockerHub ? 'docker.io' : lower,
    repository,
    tag,
    apiHost: isDockerHub ? 'registry-1.docker.io' : lower,
  });
}
