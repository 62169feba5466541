import { open } from 'node:fs/promises';
import { type ContentSource, placeOf } from './model/content.ts';
import type { Digest } from './model/digest.ts';

const HEAD_SIZE = 256;

/** The first 256 bytes of a file of the payload; fewer when it has fewer. */
export async function readHead(
  content: ContentSource,
  digest: Digest,
): Promise<Uint8Array | undefined> {
  const place = content.locate(digest);
  if (place === undefined) return undefined;
  const { file, offset, size = HEAD_SIZE } = placeOf(place);
  const handle = await open(file, 'r');
  try {
    const bytes = new Uint8Array(Math.min(size, HEAD_SIZE));
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, offset);
    return bytes.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
