// Secret keys of binary caches, as nix-store --generate-binary-cache-key makes them.
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { UportError } from '@uport/errors';

/** Signs for a binary cache. */
export interface NixSigningKey {
  readonly name: string;
  /** `NAME:BASE64`, for `trusted-public-keys`. */
  readonly publicKey: string;
  /** `NAME:BASE64`, for a `Sig:` line. */
  sign(fingerprint: string): string;
}

/** An Ed25519 key in PKCS #8 (RFC 8410), up to its 32 bytes. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const SEED = 32;

/**
 * Reads `NAME:BASE64`, the base64 of the seed and the public key. Its text is in no error.
 *
 * @throws UportError UPORT_NIX_KEY_INVALID
 */
export function parseNixSigningKey(text: string): NixSigningKey {
  const parts = /^([^\s:]{1,200}):([A-Za-z0-9+/]{86}==)\s*$/.exec(text);
  if (parts === null) throw invalid();
  const [, name, base64] = parts as unknown as [string, string, string];
  const bytes = Buffer.from(base64, 'base64');
  const der = Buffer.concat([PKCS8, bytes.subarray(0, SEED)]);
  const key: KeyObject = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const known = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-SEED);
  if (!known.equals(bytes.subarray(SEED))) throw invalid();
  return {
    name,
    publicKey: `${name}:${known.toString('base64')}`,
    sign: (fingerprint) =>
      `${name}:${sign(null, Buffer.from(fingerprint), key).toString('base64')}`,
  };
}

function invalid(): UportError {
  return new UportError({
    code: 'UPORT_NIX_KEY_INVALID',
    category: 'input',
    message: 'it is no secret key of a binary cache',
    hint: 'make one: nix-store --generate-binary-cache-key NAME SECRET-FILE PUBLIC-FILE',
  });
}
