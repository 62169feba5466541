// Files of an image layout, opened so that a hostile layout cannot lead elsewhere or block.
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import { type Digest, digestHex } from '../model/digest.ts';

export function blobPath(folder: string, digest: Digest): string {
  return path.join(folder, 'blobs', 'sha256', digestHex(digest));
}

/** Opens an ordinary file, not through a symbolic link; undefined when there is none. */
export async function openOrdinary(
  file: string,
): Promise<{ handle: FileHandle; size: number } | undefined> {
  let handle: FileHandle;
  try {
    // O_NONBLOCK: opening a FIFO must not wait for a writer.
    handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENOTDIR' || code === 'ENXIO') {
      return undefined;
    }
    throw error;
  }
  try {
    const stat = await handle.stat();
    if (stat.isFile()) return { handle, size: stat.size };
  } catch (error) {
    await handle.close();
    throw error;
  }
  await handle.close();
  return undefined;
}

export interface ReadTally {
  size: number;
  digest: string;
}

/** Reads a whole file in pieces; `tally` holds its size and digest when it has ended. */
export async function* readPieces(
  handle: FileHandle,
  tally: ReadTally,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const hash = createHash('sha256');
  tally.size = 0;
  while (true) {
    signal.throwIfAborted();
    // A new buffer each time: decompressors keep what they are given for a while.
    const buffer = Buffer.allocUnsafeSlow(256 << 10);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
    if (bytesRead === 0) break;
    const piece = buffer.subarray(0, bytesRead);
    hash.update(piece);
    tally.size += bytesRead;
    yield piece;
  }
  tally.digest = `sha256:${hash.digest('hex')}`;
}
