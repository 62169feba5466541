// Public keys of binary caches, as in Nix's trusted-public-keys.
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { UportError } from '@uport/errors';

/** Verifies what a binary cache's key signed. */
export interface NixPublicKey {
  readonly name: string;
  /** Whether `NAME:BASE64` is this key's signature of the text. */
  verifies(fingerprint: string, signature: string): boolean;
}

/** An Ed25519 key as SubjectPublicKeyInfo (RFC 8410), up to its 32 bytes. */
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');
const SIGNATURE = 64;

/** The key that Nix trusts when nothing is configured. */
export const DEFAULT_TRUSTED_KEYS: readonly string[] = Object.freeze([
  'cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=',
]);

/**
 * Reads `NAME:BASE64`.
 *
 * @throws UportError UPORT_NIX_KEY_INVALID
 */
export function parseNixPublicKey(text: string): NixPublicKey {
  const parts = /^([^\s:]{1,200}):([A-Za-z0-9+/]{43}=)$/.exec(text.trim());
  if (parts === null) {
    throw new UportError({
      code: 'UPORT_NIX_KEY_INVALID',
      category: 'usage',
      message: `${JSON.stringify(text.slice(0, 200))} is no public key of a binary cache`,
      hint: 'a public key reads NAME:BASE64, as nix-store --generate-binary-cache-key writes it',
    });
  }
  const [, name, base64] = parts as unknown as [string, string, string];
  const der = Buffer.concat([SPKI, Buffer.from(base64, 'base64')]);
  const key: KeyObject = createPublicKey({ key: der, format: 'der', type: 'spki' });
  return {
    name,
    verifies(fingerprint, signature) {
      const colon = signature.indexOf(':');
      const bytes = Buffer.from(signature.slice(colon + 1), 'base64');
      if (signature.slice(0, colon) !== name || bytes.length !== SIGNATURE) return false;
      return verify(null, Buffer.from(fingerprint), key, bytes);
    },
  };
}
