import { createHash } from 'node:crypto';
import { open, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import type { Artifact, EmitContext } from '../emitters/emitter.ts';
import { systemError } from '../system-error.ts';

/**
 * Writes an executable file (0755 whatever the umask) under a temporary name beside its place, then
 * renames it.
 *
 * @throws UportError UPORT_OUTPUT_IN_THE_WAY when a folder stands there
 */
export async function writeExecutable(
  emitter: string,
  name: string,
  chunks: AsyncIterable<Uint8Array>,
  { outDir, signal }: EmitContext,
): Promise<Artifact> {
  const place = path.join(outDir, name);
  if ((await stat(place).catch(() => undefined))?.isDirectory()) {
    throw new UportError({
      code: 'UPORT_OUTPUT_IN_THE_WAY',
      category: 'environment',
      message: 'a folder stands where the file goes',
      hint: 'remove it, or choose another -o folder or --name',
      file: place,
    });
  }
  const temporary = path.join(outDir, `.${name}.${process.pid}.tmp`);
  const hash = createHash('sha256');
  let size = 0;
  try {
    const file = await open(temporary, 'w', 0o755);
    try {
      for await (const chunk of chunks) {
        signal.throwIfAborted();
        hash.update(chunk);
        size += chunk.length;
        await file.writeFile(chunk);
      }
      await file.chmod(0o755);
    } finally {
      await file.close();
    }
    await rename(temporary, place);
  } catch (error) {
    await rm(temporary, { force: true });
    throw systemError(error, place);
  }
  return { emitter, path: place, digest: `sha256:${hash.digest('hex')}`, size };
}
