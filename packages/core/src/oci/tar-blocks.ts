// Writes a tar as blocks of one size, reading files ahead, each checked against its digest.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { UportError } from '@uport/errors';
import { displayBytes } from '../model/byte-path.ts';
import type { Digest } from '../model/digest.ts';
import { encodeTarHeader, padding, TAR_BLOCK } from './tar-header.ts';

/** Where a file's bytes come from. */
export type TarContent =
  | {
      /** A path, as raw bytes where it is not UTF-8. */
      readonly file: string | Buffer;
      /** What the bytes must be. */
      readonly digest: Digest;
    }
  | { readonly bytes: Uint8Array };

interface TarEntryBase {
  /** Bytes as Latin-1, relative, no trailing slash. */
  readonly path: string;
  readonly mode: number;
}

export type TarEntry = TarEntryBase &
  (
    | { readonly type: 'directory' }
    | { readonly type: 'file'; readonly size: number; readonly content: TarContent }
    | { readonly type: 'symlink' | 'hardlink'; readonly target: string }
  );

export interface TarOptions {
  /** Seconds since 1970, of every entry. */
  readonly mtime: number;
  readonly blockSize: number;
  readonly signal: AbortSignal;
}

/** Files up to this size are read whole and ahead. */
const WHOLE = 1 << 20;
const AHEAD_FILES = 16;
const AHEAD_BYTES = 4 << 20;

/**
 * Yields the archive in blocks of `blockSize` bytes, the last one shorter. Give each block back
 * through `recycle` of the same call when it is no longer needed. Owners are 0:0.
 *
 * @throws UportError UPORT_INPUT_CHANGED when a file is not what its digest says
 */
export function tarBlocks(
  entries: readonly TarEntry[],
  options: TarOptions,
): { blocks: AsyncGenerator<Buffer, void, undefined>; recycle: (block: Buffer) => void } {
  const free: Buffer[] = [];
  const recycle = (block: Buffer): void => {
    free.push(Buffer.from(block.buffer, block.byteOffset, options.blockSize));
  };
  const take = (): Buffer => free.pop() ?? Buffer.allocUnsafeSlow(options.blockSize);
  return { blocks: fill(entries, options, take), recycle };
}

async function* fill(
  entries: readonly TarEntry[],
  options: TarOptions,
  take: () => Buffer,
): AsyncGenerator<Buffer, void, undefined> {
  const { blockSize, signal, mtime } = options;
  let block = take();
  let used = 0;
  const ahead = readAhead(entries);
  try {
    for (let i = 0; i < entries.length; i++) {
      signal.throwIfAborted();
      const entry = entries[i] as TarEntry;
      const size = entry.type === 'file' ? entry.size : 0;
      const header = encodeTarHeader({
        type: entry.type,
        path: entry.path,
        mode: entry.mode,
        uid: 0,
        gid: 0,
        size,
        mtime,
        ...('target' in entry && { target: entry.target }),
      });
      const parts: (Buffer | number)[] = [header];
      if (entry.type === 'file' && size > 0 && 'file' in entry.content) {
        const whole = await ahead.take(i);
        if (whole) parts.push(whole, padding(size));
        else {
          yield* copy(parts);
          yield* stream(entry, entry.content);
          parts.length = 0;
          parts.push(padding(size));
        }
      } else if (entry.type === 'file' && 'bytes' in entry.content) {
        parts.push(Buffer.from(entry.content.bytes), padding(size));
      }
      yield* copy(parts);
    }
    yield* copy([2 * TAR_BLOCK]);
    if (used > 0) yield block.subarray(0, used);
  } finally {
    await ahead.close();
  }

  /** Bytes as they are; a number stands for so many zeros. */
  function* copy(parts: readonly (Buffer | number)[]): Generator<Buffer, void, undefined> {
    for (const part of parts) {
      const length = typeof part === 'number' ? part : part.length;
      let done = 0;
      while (done < length) {
        const step = Math.min(length - done, blockSize - used);
        if (typeof part === 'number') block.fill(0, used, used + step);
        else part.copy(block, used, done, done + step);
        done += step;
        used += step;
        if (used === blockSize) {
          yield block;
          block = take();
          used = 0;
        }
      }
    }
  }

  async function* stream(
    entry: TarEntry & { readonly size: number },
    content: { readonly file: string | Buffer; readonly digest: Digest },
  ): AsyncGenerator<Buffer, void, undefined> {
    const fd = await openFile(content.file);
    try {
      const hash = createHash('sha256');
      let done = 0;
      while (done < entry.size) {
        signal.throwIfAborted();
        const step = Math.min(entry.size - done, blockSize - used);
        const got = await readInto(fd, block, used, step);
        if (got === 0) break;
        hash.update(block.subarray(used, used + got));
        done += got;
        used += got;
        if (used === blockSize) {
          yield block;
          block = take();
          used = 0;
        }
      }
      const more = done === entry.size ? await readInto(fd, Buffer.alloc(1), 0, 1) : 0;
      if (done !== entry.size || more !== 0 || `sha256:${hash.digest('hex')}` !== content.digest) {
        throw changed(entry.path, content.file);
      }
    } finally {
      await closeFile(fd);
    }
  }
}

/** Reads the small files among the entries before their turn comes, within a bound. */
function readAhead(entries: readonly TarEntry[]): {
  take(index: number): Promise<Buffer | undefined>;
  close(): Promise<void>;
} {
  const waiting = new Map<number, Promise<Buffer>>();
  let next = 0;
  let bytes = 0;
  const fillUp = (): void => {
    while (next < entries.length && waiting.size < AHEAD_FILES && bytes < AHEAD_BYTES) {
      const entry = entries[next] as TarEntry;
      if (isSmallFile(entry)) {
        const read = readWhole(entry);
        // The fault is met when its turn comes.
        read.catch(() => undefined);
        waiting.set(next, read);
        bytes += entry.size;
      }
      next++;
    }
  };
  return {
    async take(index) {
      fillUp();
      const read = waiting.get(index);
      if (!read) return undefined;
      const whole = await read;
      waiting.delete(index);
      bytes -= whole.length;
      fillUp();
      return whole;
    },
    async close() {
      await Promise.allSettled(waiting.values());
    },
  };
}

type FileOnDisk = TarEntry & {
  readonly size: number;
  readonly content: { readonly file: string | Buffer; readonly digest: Digest };
};

function isSmallFile(entry: TarEntry): entry is FileOnDisk {
  return entry.type === 'file' && entry.size > 0 && entry.size <= WHOLE && 'file' in entry.content;
}

async function readWhole(entry: FileOnDisk): Promise<Buffer> {
  const { file, digest } = entry.content;
  const fd = await openFile(file);
  try {
    // One byte more than expected shows a file that has grown.
    const buffer = Buffer.allocUnsafe(entry.size + 1);
    let done = 0;
    while (done < buffer.length) {
      const got = await readInto(fd, buffer, done, buffer.length - done);
      if (got === 0) break;
      done += got;
    }
    const whole = buffer.subarray(0, entry.size);
    const hash = createHash('sha256').update(whole).digest('hex');
    if (done !== entry.size || `sha256:${hash}` !== digest) throw changed(entry.path, file);
    return whole;
  } finally {
    await closeFile(fd);
  }
}

function changed(path: string, file: string | Buffer): UportError {
  return new UportError({
    code: 'UPORT_INPUT_CHANGED',
    category: 'input',
    message: `${displayBytes(path)} changed while it was packed`,
    hint: 'let nothing write to the app while it is packed, and build again',
    file: typeof file === 'string' ? file : displayBytes(file.toString('latin1')),
  });
}

// The callback interface costs far less per call than FileHandle, and this runs thousands of times.
function openFile(file: string | Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.open(file, 'r', (error, fd) => (error ? reject(error) : resolve(fd)));
  });
}

function readInto(fd: number, into: Buffer, at: number, length: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(fd, into, at, length, null, (error, got) => (error ? reject(error) : resolve(got)));
  });
}

function closeFile(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.close(fd, (error) => (error ? reject(error) : resolve()));
  });
}
