// Writes entries as a tar file, compressed as its name says.
import { createHash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { constants, createGzip, createZstdCompress } from 'node:zlib';
import { UportError } from '@uport/errors';
import { type Digest, sha256Digest } from '../model/digest.ts';
import { temporaryName } from '../store/temporary.ts';
import { type TarEntry, tarBlocks } from './tar-blocks.ts';

const BLOCK = 1 << 20;

export interface WriteTarOptions {
  /** Seconds since 1970, of entries that have no time of their own. */
  readonly mtime: number;
  readonly signal: AbortSignal;
  readonly advance?: (bytes: number) => void;
}

/** Whether a file of this name can be written. @throws UportError UPORT_TAR_COMPRESSION */
export function compressorFor(file: string): Transform | undefined {
  if (/\.(?:tar\.gz|tgz)$/.test(file)) return createGzip({ chunkSize: 256 << 10 });
  if (/\.(?:tar\.zst|tzst)$/.test(file)) {
    return createZstdCompress({
      chunkSize: 256 << 10,
      params: { [constants.ZSTD_c_compressionLevel]: 9 },
    });
  }
  if (/\.tar$/.test(file)) return undefined;
  throw new UportError({
    code: 'UPORT_TAR_COMPRESSION',
    category: 'usage',
    message: `${path.basename(file)} is no name of a tar that uport can write`,
    hint: 'end it with .tar, .tar.gz or .tar.zst',
  });
}

/**
 * The file appears whole or not at all.
 *
 * @throws UportError UPORT_INPUT_CHANGED, UPORT_TAR_COMPRESSION
 */
export async function writeTarFile(
  file: string,
  entries: readonly TarEntry[],
  options: WriteTarOptions,
): Promise<{ readonly digest: Digest; readonly size: number }> {
  const compressor = compressorFor(file);
  const temporary = path.join(path.dirname(file), `.${path.basename(file)}-${temporaryName()}`);
  const handle = await open(temporary, 'wx', 0o644);
  const hash = createHash('sha256');
  let size = 0;
  try {
    const write = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
      for await (const chunk of chunks) {
        hash.update(chunk);
        size += chunk.length;
        await handle.writeFile(chunk);
      }
    };
    if (compressor === undefined) await write(blocks(entries, options));
    else {
      const copies = async function* (): AsyncGenerator<Buffer> {
        // The compressor may hold a block while the next one is made.
        for await (const block of blocks(entries, options)) yield Buffer.from(block);
      };
      await pipeline(Readable.from(copies(), { objectMode: false }), compressor, write);
    }
    await handle.close();
    await rename(temporary, file);
  } catch (error) {
    await handle.close().catch(() => undefined);
    await rm(temporary, { force: true });
    throw error;
  }
  return { digest: sha256Digest(hash.digest('hex')), size };
}

async function* blocks(
  entries: readonly TarEntry[],
  { mtime, signal, advance }: WriteTarOptions,
): AsyncGenerator<Buffer> {
  const room = Buffer.allocUnsafeSlow(BLOCK);
  for (const block of tarBlocks(entries, { mtime, blockSize: BLOCK, take: () => room })) {
    signal.throwIfAborted();
    advance?.(block.length);
    yield block;
    await nextTurn();
  }
}
