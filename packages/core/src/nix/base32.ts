// Nix's base-32: its own alphabet, the last digit first, no padding.
import { UportError } from '@uport/errors';

const ALPHABET = '0123456789abcdfghijklmnpqrsvwxyz';

/** How many digits so many bytes have. */
export function nixBase32Length(size: number): number {
  return Math.ceil((size * 8) / 5);
}

export function encodeNixBase32(bytes: Uint8Array): string {
  let text = '';
  for (let digit = nixBase32Length(bytes.length) - 1; digit >= 0; digit--) {
    const bit = digit * 5;
    const low = bytes[bit >> 3] ?? 0;
    const high = bytes[(bit >> 3) + 1] ?? 0;
    text += ALPHABET[(((high << 8) | low) >> (bit & 7)) & 31];
  }
  return text;
}

/** @throws UportError UPORT_NIX_HASH_INVALID for other characters, or bits that no byte holds */
export function decodeNixBase32(text: string): Uint8Array {
  const size = Math.floor((text.length * 5) / 8);
  const bytes = new Uint8Array(size);
  let fits = nixBase32Length(size) === text.length;
  for (let digit = 0; fits && digit < text.length; digit++) {
    const value = ALPHABET.indexOf(text[text.length - 1 - digit] as string);
    const at = (digit * 5) >> 3;
    const bits = value << ((digit * 5) & 7);
    fits = value >= 0 && (at + 1 < size || bits < 256);
    bytes[at] = (bytes[at] ?? 0) | (bits & 0xff);
    if (at + 1 < size) bytes[at + 1] = bits >> 8;
  }
  if (fits) return bytes;
  throw new UportError({
    code: 'UPORT_NIX_HASH_INVALID',
    category: 'input',
    message: `${JSON.stringify(text.slice(0, 150))} is not base-32 as Nix writes it`,
    hint: `its digits are ${ALPHABET}`,
  });
}
