// An OCI image layout in a tar, as `podman save --format oci-archive` writes it.
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { byteReader } from '../tar/byte-reader.ts';
import { readTar } from '../tar/tar-reader.ts';

/** The only names that a layout has. */
const NAMES = /^(?:oci-layout|index\.json|blobs\/[a-z0-9]+\/[a-f0-9]+)$/;

/** Unpacks the archive; false when it is none. @throws UportError UPORT_TAR_INVALID */
export async function unpackArchive(
  file: string,
  folder: string,
  signal: AbortSignal,
): Promise<boolean> {
  let found = false;
  const reader = byteReader(createReadStream(file, { signal }));
  try {
    for await (const member of readTar(reader)) {
      const name = member.path.replace(/^\.\//, '');
      if (member.type !== 'file' || !NAMES.test(name)) continue;
      const place = path.join(folder, name);
      await mkdir(path.dirname(place), { recursive: true });
      await pipeline(Readable.from(member.body), createWriteStream(place), { signal });
      found ||= name === 'oci-layout';
    }
  } catch (error) {
    signal.throwIfAborted();
    // Not a tar at all.
    if (found) throw error;
    return false;
  }
  return found;
}
