// Outputs appear whole or not at all: they are written into a folder beside their places and moved.
import { lstat, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { makerLives, temporaryName } from '../store/temporary.ts';

/** What an emitter makes in the output folder. */
export type Output =
  | { readonly name: string; readonly kind: 'file' }
  | {
      readonly name: string;
      readonly kind: 'folder';
      /** The file in it that tells an earlier one from a stranger's folder. */
      readonly marker: string;
      /** What such a folder is called, such as `image layout`. */
      readonly what: string;
    };

const PREFIX = '.uport-emit-';

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
  for (const output of outputs) await checkPlace(path.join(outDir, output.name), output);
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

/** What builds left that were killed. Some of it may be another user's: then it is theirs to remove. */
async function removeAbandoned(outDir: string): Promise<void> {
  for (const name of await readdir(outDir)) {
    if (name.startsWith(PREFIX) && makerLives(name.slice(PREFIX.length)) === false) {
      const left = path.join(outDir, name);
      await rm(left, { recursive: true, force: true }).catch(() => undefined);
    }
  }
}

async function checkPlace(place: string, output: Output): Promise<void> {
  const there = await lstat(place).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!there) return;
  if (output.kind === 'file' && there.isFile()) return;
  if (output.kind === 'folder' && there.isDirectory()) {
    const marker = await stat(path.join(place, output.marker)).catch(() => undefined);
    if (marker?.isFile() || (await readdir(place)).length === 0) return;
  }
  const stranger =
    output.kind === 'folder' && there.isDirectory()
      ? `a folder that is no ${output.what}`
      : 'something else';
  throw new UportError({
    code: 'UPORT_OUTPUT_IN_THE_WAY',
    category: 'environment',
    message: `${stranger} stands where the ${output.kind === 'folder' ? output.what : 'file'} goes`,
    hint: 'remove it or choose another -o folder',
    file: place,
  });
}
