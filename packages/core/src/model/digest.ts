import { UportError } from '@uport/errors';

/** `sha256:` and 64 lower-case hex digits; made by `parseDigest` or `sha256Digest` only. */
export type Digest = `sha256:${string}` & { readonly __digest: never };

/** @throws UportError UPORT_DIGEST_INVALID */
export function parseDigest(text: string): Digest {
  if (/^sha256:[0-9a-f]{64}$/.test(text)) return text as Digest;
  throw new UportError({
    code: 'UPORT_DIGEST_INVALID',
    category: 'input',
    message: `${JSON.stringify(text.slice(0, 100))} is not a sha256 digest`,
    hint: 'a digest reads sha256: and 64 hex digits, lower case',
  });
}

export function sha256Digest(hex: string): Digest {
  return parseDigest(`sha256:${hex}`);
}

/** The 64 hex digits. */
export function digestHex(digest: Digest): string {
  return digest.slice('sha256:'.length);
}
