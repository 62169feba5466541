import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { UportError } from '@uport/errors';
import { type Arch, archOfElf } from '../model/arch.ts';
import { sha256Digest } from '../model/digest.ts';
import type { PinnedFile } from '../plan/plan.ts';
import { readProgram } from './read-program.ts';

/**
 * Reads a native build of the app and checks that it is for that host.
 *
 * @throws UportError UPORT_SLICE_WRONG_CPU, UPORT_ELF_*, UPORT_NOT_FOUND
 */
export async function readSlice(file: string, host: Arch): Promise<PinnedFile> {
  const { identity } = await readProgram(file, file);
  const cpu = archOfElf(identity);
  if (cpu !== host) {
    throw new UportError({
      code: 'UPORT_SLICE_WRONG_CPU',
      category: 'input',
      message: `the slice for ${host.name} is a ${cpu?.name ?? `machine ${identity.machine}`} program`,
      hint: `give a build for ${host.name}, or name the host it is for`,
      file,
      offset: 18,
    });
  }
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { digest: sha256Digest(hash.digest('hex')), size };
}
