import { type Digest, digestHex } from '../model/digest.ts';

/** The record that tells people what a blob is. */
export function nameKey(digest: Digest): string {
  return `names/${digestHex(digest)}`;
}
