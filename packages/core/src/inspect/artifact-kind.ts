import { open, stat } from 'node:fs/promises';
import { UportError } from '@uport/errors';
import { systemError } from '../system-error.ts';

/** What a path holds, by the look of it; the one who reads it still has to check. */
export type ArtifactKind = 'oci-layout' | 'fatelf' | 'elf' | 'unknown';

/** What files of a kind start with. */
const STARTS: readonly (readonly [kind: ArtifactKind, bytes: Buffer])[] = [
  ['elf', Buffer.from('\x7fELF', 'latin1')],
  ['fatelf', Buffer.from('\xfa\x70\x0e\x1f', 'latin1')],
];

const LONGEST = Math.max(...STARTS.map(([, bytes]) => bytes.length));

/** @throws UportError UPORT_NOT_FOUND and the like, UPORT_NOT_A_FILE for a device or FIFO */
export async function artifactKind(path: string): Promise<ArtifactKind> {
  try {
    const status = await stat(path);
    if (status.isDirectory()) return 'oci-layout';
    // Looked at before opening: a FIFO would block.
    if (!status.isFile()) throw notAFile(path);
    const start = await readStart(path);
    const found = STARTS.find(([, bytes]) => start.subarray(0, bytes.length).equals(bytes));
    return found?.[0] ?? 'unknown';
  } catch (error) {
    throw systemError(error, path);
  }
}

async function readStart(file: string): Promise<Buffer> {
  const handle = await open(file);
  try {
    const bytes = Buffer.alloc(LONGEST);
    const { bytesRead } = await handle.read(bytes, 0, LONGEST, 0);
    return bytes.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

function notAFile(file: string): UportError {
  return new UportError({
    code: 'UPORT_NOT_A_FILE',
    category: 'input',
    message: `${file} is neither a file nor a folder`,
    hint: 'name a file or a folder',
    file,
  });
}
