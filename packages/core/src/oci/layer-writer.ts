// Writes one layer: tar, compressed on all cores, hashed on both sides of the compression.
import { createHash } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { freeBytes } from '../memory.ts';
import { type Digest, sha256Digest } from '../model/digest.ts';
import type { ProgressTask } from '../model/progress.ts';
import { type TarEntry, tarBlocks } from '../tar/tar-blocks.ts';
import type { BlockCompressor } from './compress.ts';

/** What a manifest and a config say about a layer. */
export interface Layer {
  readonly mediaType: string;
  /** Of the compressed bytes. */
  readonly digest: Digest;
  readonly size: number;
  /** Of the uncompressed tar. */
  readonly diffId: Digest;
}

export interface WriteLayerOptions {
  readonly compressor: BlockCompressor;
  /** Seconds since 1970, of every entry. */
  readonly mtime: number;
  readonly signal: AbortSignal;
  /** Advanced by uncompressed bytes. */
  readonly task?: ProgressTask;
}

/** Node's thread pool has four threads unless told otherwise; one is left to read and write files. */
const COMPRESSING = Math.min(Math.max(availableParallelism(), 2), 3);
/** Bytes in blocks that may wait for an earlier one that takes longer. */
const WAITING = 2 << 20;

/**
 * Writes the entries as a compressed layer to a new file. Needs a few MiB whatever the size. On
 * failure the file is removed.
 *
 * @throws UportError UPORT_INPUT_CHANGED when a file is not what its digest says
 */
export async function writeLayer(
  file: string,
  entries: readonly TarEntry[],
  options: WriteLayerOptions,
): Promise<Layer> {
  const { compressor, mtime, signal, task } = options;
  const free: Buffer[] = [];
  const blocks = tarBlocks(entries, {
    mtime,
    blockSize: compressor.blockSize,
    take: () => free.pop() ?? Buffer.allocUnsafeSlow(compressor.blockSize),
  });
  const diff = createHash('sha256');
  const packed = createHash('sha256');
  let size = 0;
  const handle = await open(file, 'wx', 0o644);
  try {
    const write = async (parts: readonly Uint8Array[]): Promise<void> => {
      for (const part of parts) {
        packed.update(part);
        size += part.length;
      }
      await writeAll(handle, parts);
    };
    const queue: { block: Buffer; done: Promise<readonly Uint8Array[]> }[] = [];
    const running = new Set<Promise<unknown>>();
    const shift = async (): Promise<void> => {
      const first = queue.shift();
      if (!first) return;
      const parts = await first.done;
      await write(parts);
      const memory = first.block.buffer;
      for (const part of parts) if (part.buffer !== memory) freeBytes(part);
      free.push(Buffer.from(memory));
    };
    await write([compressor.begin()]);
    try {
      for (const block of blocks) {
        signal.throwIfAborted();
        diff.update(block);
        task?.advance(block.length);
        const done = Promise.resolve(compressor.compress(block));
        // The fault is met when its turn comes.
        const settled: Promise<void> = done.then(
          () => void running.delete(settled),
          () => void running.delete(settled),
        );
        running.add(settled);
        queue.push({ block, done });
        while (queue.length > COMPRESSING + WAITING / compressor.blockSize) await shift();
        // Timers, signals and finished blocks have their turn.
        await nextTurn();
        while (running.size >= COMPRESSING) await Promise.race(running);
      }
      while (queue.length > 0) await shift();
    } finally {
      // The pool still reads these blocks.
      await Promise.allSettled(running);
    }
    await write([compressor.end()]);
    await handle.close();
  } catch (error) {
    await handle.close().catch(() => undefined);
    await rm(file, { force: true });
    throw error;
  }
  return {
    mediaType: compressor.mediaType,
    digest: sha256Digest(packed.digest('hex')),
    size,
    diffId: sha256Digest(diff.digest('hex')),
  };
}

async function writeAll(
  handle: Awaited<ReturnType<typeof open>>,
  parts: readonly Uint8Array[],
): Promise<void> {
  let left = parts.filter((part) => part.length > 0);
  while (left.length > 0) {
    let { bytesWritten } = await handle.writev(left);
    // A nearly full disk takes a part; the next call says why.
    left = left.flatMap((part) => {
      const taken = Math.min(bytesWritten, part.length);
      bytesWritten -= taken;
      return taken === part.length ? [] : [part.subarray(taken)];
    });
  }
}
