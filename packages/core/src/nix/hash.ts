// Hashes as Nix spells them: SRI, base16, base32.
import { createHash } from 'node:crypto';
import { UportError } from '@uport/errors';
import { type Digest, digestHex } from '../model/digest.ts';
import { decodeNixBase32, encodeNixBase32, nixBase32Length } from './base32.ts';

const SIZES = Object.freeze({ md5: 16, sha1: 20, sha256: 32, sha512: 64 });

export type NixHashAlgorithm = keyof typeof SIZES;

export interface NixHash {
  readonly algorithm: NixHashAlgorithm;
  readonly bytes: Uint8Array;
}

/** `sri` is `sha256-` and base64; the others are bare digits. */
export type NixHashFormat = 'sri' | 'base16' | 'base32';

export function formatNixHash(hash: NixHash, format: NixHashFormat): string {
  const bytes = Buffer.from(hash.bytes);
  if (format === 'base16') return bytes.toString('hex');
  if (format === 'base32') return encodeNixBase32(bytes);
  return `${hash.algorithm}-${bytes.toString('base64')}`;
}

/**
 * Reads `sha256-<base64>`, `sha256:<base16, base32 or base64>`, or bare digits when the algorithm is
 * given.
 *
 * @throws UportError UPORT_NIX_HASH_INVALID
 */
export function parseNixHash(text: string, algorithm?: NixHashAlgorithm): NixHash {
  const parts = /^(?:(md5|sha1|sha256|sha512)([-:]))?([0-9A-Za-z+/=]{1,150})$/.exec(text);
  const named = (parts?.[1] ?? algorithm) as NixHashAlgorithm | undefined;
  if (parts && named && (algorithm === undefined || algorithm === named)) {
    const digits = parts[3] as string;
    const bytes = decode(digits, SIZES[named], parts[2] === '-');
    if (bytes !== undefined) return { algorithm: named, bytes: Uint8Array.from(bytes) };
  }
  throw new UportError({
    code: 'UPORT_NIX_HASH_INVALID',
    category: 'input',
    message: `${JSON.stringify(text.slice(0, 150))} is not a${algorithm ? ` ${algorithm}` : ''} hash`,
    hint: 'a hash reads sha256-BASE64= or sha256:DIGITS, the digits in base 16 or in the base 32 of Nix',
  });
}

function decode(digits: string, size: number, sri: boolean): Uint8Array | undefined {
  if (!sri && digits.length === size * 2) {
    return /^[0-9a-fA-F]+$/.test(digits) ? Buffer.from(digits, 'hex') : undefined;
  }
  if (!sri && digits.length === nixBase32Length(size)) return decodeNixBase32(digits);
  const bytes = Buffer.from(digits, 'base64');
  // Node skips what is not base64.
  return bytes.length === size && bytes.toString('base64') === digits ? bytes : undefined;
}

/** A digest of this project as a Nix hash. */
export function digestNixHash(digest: Digest): NixHash {
  return { algorithm: 'sha256', bytes: Uint8Array.from(Buffer.from(digestHex(digest), 'hex')) };
}

/** The hash and the size of a stream; of a NAR, what `nix hash path` prints. */
export async function hashStream(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  algorithm: NixHashAlgorithm = 'sha256',
): Promise<{ readonly hash: NixHash; readonly size: number }> {
  const hash = createHash(algorithm);
  let size = 0;
  for await (const chunk of chunks) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { hash: { algorithm, bytes: Uint8Array.from(hash.digest()) }, size };
}
