import { lstat, mkdir, open, rename, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { pathBytes } from '../model/byte-path.ts';
import { temporaryName } from '../store/temporary.ts';
import { systemError } from '../system-error.ts';
import { type NarEntry, type ReadNarOptions, readNar } from './nar-reader.ts';

/**
 * Unpacks a NAR to a file, symbolic link or folder of that name, which must not be there yet. It
 * appears whole or not at all. Files get mode 755 or 644; links are made as they stand, and nothing
 * is ever written through one, since every folder written to was made here.
 *
 * @throws UportError UPORT_OUTPUT_IN_THE_WAY, UPORT_NAR_INVALID, and faults of the file system
 */
export async function unpackNar(
  chunks: AsyncIterable<Uint8Array>,
  destination: string,
  options: ReadNarOptions = {},
): Promise<void> {
  const target = path.resolve(destination);
  if (await exists(target)) throw inTheWay(target);
  const fresh = path.join(path.dirname(target), `.${path.basename(target)}-${temporaryName()}`);
  try {
    for await (const entry of readNar(chunks, options)) {
      const parts = [
        Buffer.from(fresh),
        ...(entry.path === '' ? [] : [pathBytes(`/${entry.path}`)]),
      ];
      await lay(entry, Buffer.concat(parts));
    }
    if (await exists(target)) throw inTheWay(target);
    await rename(fresh, target);
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    throw systemError(error, target);
  }
}

async function lay(entry: NarEntry, place: Buffer): Promise<void> {
  if (entry.type === 'directory') return mkdir(place, 0o755);
  if (entry.type === 'symlink') return symlink(pathBytes(entry.target), place);
  const file = await open(place, 'wx', entry.executable ? 0o755 : 0o644);
  try {
    for await (const bytes of entry.contents) await file.writeFile(bytes);
  } finally {
    await file.close();
  }
}

async function exists(file: string): Promise<boolean> {
  return lstat(file).then(
    () => true,
    () => false,
  );
}

function inTheWay(target: string): UportError {
  return new UportError({
    code: 'UPORT_OUTPUT_IN_THE_WAY',
    category: 'environment',
    message: `${target} exists already`,
    hint: 'remove it, or choose another name',
    file: target,
  });
}
