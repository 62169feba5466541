import { open, stat } from 'node:fs/promises';
import { UportError } from '@uport/errors';
import { systemError } from '../system-error.ts';
import { FOOTER_SIZE, hasFooter } from '../universal/payload-index.ts';
import { STAGE0_START } from '../universal/stage0.ts';

/** What a path holds, by the look of it; the one who reads it still has to check. */
export type ArtifactKind = 'oci-layout' | 'universal' | 'fatelf' | 'elf' | 'unknown';

/** What files of a kind start with. */
const STARTS: readonly (readonly [kind: ArtifactKind, bytes: Buffer])[] = [
  ['elf', Buffer.from('\x7fELF', 'latin1')],
  // One that was cut short has no footer.
  ['universal', Buffer.from(STAGE0_START)],
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
    const { start, end } = await readEnds(path, status.size);
    // Whatever it starts with: a script, a FatELF header or a launcher.
    if (hasFooter(end)) return 'universal';
    const found = STARTS.find(([, bytes]) => start.subarray(0, bytes.length).equals(bytes));
    return found?.[0] ?? 'unknown';
  } catch (error) {
    throw systemError(error, path);
  }
}

async function readEnds(file: string, size: number): Promise<{ start: Buffer; end: Buffer }> {
  const handle = await open(file);
  try {
    const read = async (length: number, at: number) => {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, at);
      return buffer.subarray(0, bytesRead);
    };
    return {
      start: await read(LONGEST, 0),
      end: await read(FOOTER_SIZE, Math.max(0, size - FOOTER_SIZE)),
    };
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
