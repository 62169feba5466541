import { createReadStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { makeFolder } from '../make-folder.ts';
import { temporaryName } from '../store/temporary.ts';
import { systemError } from '../system-error.ts';
import type { CacheTransport } from './transport.ts';

/** A binary cache in a folder, which is made when something is written. */
export function folderTransport(folder: string): CacheTransport {
  const place = (name: string) => path.join(folder, name);
  const sizeOf = async (name: string): Promise<number | undefined> => {
    const status = await stat(place(name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
      throw systemError(error, place(name));
    });
    return status?.isFile() ? status.size : undefined;
  };
  return {
    url: `file://${folder}`,
    place,
    async read(name) {
      const size = await sizeOf(name);
      if (size === undefined) return undefined;
      return { size, chunks: createReadStream(place(name), { highWaterMark: 256 << 10 }) };
    },
    has: async (name) => (await sizeOf(name)) !== undefined,
    async write(name, upload, signal) {
      try {
        const inside = path.dirname(place(name));
        await makeFolder(inside);
        await writeWhole(inside, path.basename(name), upload.open(), signal);
      } catch (error) {
        throw systemError(error, folder);
      }
    },
  };
}

async function writeWhole(
  folder: string,
  name: string,
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const temporary = path.join(folder, `.${temporaryName()}`);
  try {
    const file = await open(temporary, 'wx', 0o644);
    try {
      for await (const chunk of chunks) {
        signal.throwIfAborted();
        await file.writeFile(chunk);
      }
      await file.chmod(0o644);
    } finally {
      await file.close();
    }
    await rename(temporary, path.join(folder, name));
  } finally {
    await rm(temporary, { force: true });
  }
}
