// Outputs appear whole or not at all: they are written into a folder beside their places and moved.
import { lstat, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { makerLives, temporaryName } from '../../store/temporary.ts';

/** What an emitter makes in the output folder. */
export interface Output {
  readonly name: string;
  readonly kind: 'layout' | 'file';
}

const PREFIX = '.uport-oci-';

/**
 * Calls `write` with a new folder inside `outDir`, in which it makes the outputs, and moves them to
 * their places when all is well; earlier ones go. On failure nothing is left and the earlier ones
 * stay.
 *
 * @throws UportError UPORT_OUTPUT_IN_THE_WAY when something else has one of the names
 */
export async function stage<T>(
  outDir: string,
  outputs: readonly Output[],
  write: (staging: string) => Promise<T>,
): Promise<T> {
  await removeAbandoned(outDir);
  for (const output of outputs) await checkPlace(path.join(outDir, output.name), output.kind);
  const staging = path.join(outDir, PREFIX + temporaryName());
  try {
    await mkdir(staging, { mode: 0o700 });
    const result = await write(staging);
    await moveAll(outDir, outputs, staging);
    return result;
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function moveAll(outDir: string, outputs: readonly Output[], staging: string): Promise<void> {
  const undo: (() => Promise<void>)[] = [];
  try {
    for (const { name } of outputs) {
      const place = path.join(outDir, name);
      const earlier = path.join(staging, `${name}.earlier`);
      if (await lstat(place).catch(() => undefined)) {
        await rename(place, earlier);
        undo.push(() => rename(earlier, place));
      }
      await rename(path.join(staging, name), place);
      undo.push(() => rm(place, { recursive: true, force: true }));
    }
  } catch (error) {
    for (const step of undo.reverse()) await step();
    throw error;
  }
}

/** What builds left that were killed. */
async function removeAbandoned(outDir: string): Promise<void> {
  for (const name of await readdir(outDir)) {
    if (name.startsWith(PREFIX) && makerLives(name.slice(PREFIX.length)) === false) {
      await rm(path.join(outDir, name), { recursive: true, force: true });
    }
  }
}

async function checkPlace(place: string, kind: Output['kind']): Promise<void> {
  const there = await lstat(place).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!there) return;
  if (kind === 'file' && there.isFile()) return;
  if (kind === 'layout' && there.isDirectory()) {
    const marker = await stat(path.join(place, 'oci-layout')).catch(() => undefined);
    if (marker?.isFile() || (await readdir(place)).length === 0) return;
  }
  const what = there.isDirectory() ? 'a folder that is no image layout' : 'something else';
  throw new UportError({
    code: 'UPORT_OUTPUT_IN_THE_WAY',
    category: 'environment',
    message: `${what} stands where the image goes`,
    hint: 'remove it or choose another -o folder',
    file: place,
  });
}
