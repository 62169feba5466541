// The tokens of a NAR: a u64 length, little-endian, the bytes, zeros up to a multiple of 8.
// Grammar: E. Dolstra, "The Purely Functional Software Deployment Model", figure 5.2.

/** The first token. */
export const NAR_MAGIC = 'nix-archive-1';

/** Tokens are padded to this many bytes. */
export const NAR_ALIGNMENT = 8;

const ZEROS = Buffer.alloc(NAR_ALIGNMENT);

/** How many zeros follow so many bytes. */
export function narPadding(size: number): number {
  return (NAR_ALIGNMENT - (size % NAR_ALIGNMENT)) % NAR_ALIGNMENT;
}

export function narZeros(size: number): Buffer {
  return ZEROS.subarray(0, narPadding(size));
}

/** A length, up to 2^53 - 1. */
export function narLength(size: number): Buffer {
  const bytes = Buffer.alloc(NAR_ALIGNMENT);
  bytes.writeBigUInt64LE(BigInt(size));
  return bytes;
}

/** Tokens one after another; each character is one byte. */
export function narTokens(...texts: readonly string[]): Buffer {
  const parts: Buffer[] = [];
  for (const text of texts) {
    parts.push(narLength(text.length), Buffer.from(text, 'latin1'), narZeros(text.length));
  }
  return Buffer.concat(parts);
}

/** Whether these bytes may name a directory entry. */
export function isNarName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name);
}
