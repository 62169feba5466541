// Writes a tar as blocks of one size, each file checked against its digest on the way.
import { createHash, hash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { UportError } from '@uport/errors';
import { displayBytes } from '../model/byte-path.ts';
import { type ContentPlace, placeOf } from '../model/content.ts';
import type { Digest } from '../model/digest.ts';
import {
  type DeviceNumber,
  encodeTarHeader,
  padding,
  TAR_BLOCK,
  type Xattrs,
} from './tar-header.ts';

/** Where a file's bytes come from. */
export type TarContent =
  | {
      readonly file: ContentPlace;
      /** What the bytes must be. */
      readonly digest: Digest;
    }
  | { readonly bytes: Uint8Array };

interface TarEntryBase {
  /** Bytes as Latin-1, relative, no trailing slash. */
  readonly path: string;
  readonly mode: number;
  /** Default: 0. */
  readonly uid?: number;
  /** Default: 0. */
  readonly gid?: number;
  /** Whole seconds since 1970. Default: that of all entries. */
  readonly mtime?: number;
  readonly xattrs?: Xattrs;
}

export type TarEntry = TarEntryBase &
  (
    | { readonly type: 'directory' }
    | { readonly type: 'file'; readonly size: number; readonly content: TarContent }
    | { readonly type: 'symlink' | 'hardlink'; readonly target: string }
    | { readonly type: 'characterDevice' | 'blockDevice'; readonly device: DeviceNumber }
    | { readonly type: 'fifo' }
  );

export interface TarOptions {
  /** Seconds since 1970, of every entry that has none of its own. */
  readonly mtime: number;
  readonly blockSize: number;
  /** An empty block of `blockSize` bytes. */
  readonly take: () => Buffer;
}

/**
 * The archive in blocks of `blockSize` bytes, the last one shorter.
 *
 * Files are read by synchronous calls of at most a block each: thousands of small files cost four
 * times as much through the thread pool, which is busy compressing. The caller gives the event loop
 * its turn between blocks.
 *
 * @throws UportError UPORT_INPUT_CHANGED when a file is not what its digest says
 */
export function* tarBlocks(
  entries: readonly TarEntry[],
  options: TarOptions,
): Generator<Buffer, void, undefined> {
  const { blockSize, take, mtime } = options;
  let block = take();
  let used = 0;
  for (const entry of entries) {
    const size = entry.type === 'file' ? entry.size : 0;
    yield* copy(
      encodeTarHeader({
        type: entry.type,
        path: entry.path,
        mode: entry.mode,
        uid: entry.uid ?? 0,
        gid: entry.gid ?? 0,
        size,
        mtime: entry.mtime ?? mtime,
        ...('target' in entry && { target: entry.target }),
        ...('device' in entry && { device: entry.device }),
        ...(entry.xattrs && { xattrs: entry.xattrs }),
      }),
    );
    if (entry.type !== 'file') continue;
    if ('bytes' in entry.content) yield* copy(Buffer.from(entry.content.bytes));
    else if (size > 0) yield* stream(entry.path, size, entry.content);
    yield* zeros(padding(size));
  }
  yield* zeros(2 * TAR_BLOCK);
  if (used > 0) yield block.subarray(0, used);

  function* copy(part: Buffer): Generator<Buffer, void, undefined> {
    for (let done = 0; done < part.length; ) {
      const step = part.copy(block, used, done);
      done += step;
      yield* advance(step);
    }
  }

  function* zeros(length: number): Generator<Buffer, void, undefined> {
    for (let left = length; left > 0; ) {
      const step = Math.min(left, blockSize - used);
      block.fill(0, used, used + step);
      left -= step;
      yield* advance(step);
    }
  }

  function* stream(
    path: string,
    size: number,
    content: { readonly file: ContentPlace; readonly digest: Digest },
  ): Generator<Buffer, void, undefined> {
    const { file, offset, size: length } = placeOf(content.file);
    // O_NONBLOCK: should a FIFO stand there now, it must not wait for a writer.
    const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile() || (length ?? stat.size) !== size) throw changed(path, file);
      // Most files fit into what is left of the block.
      const whole = size < blockSize - used ? block.subarray(used, used + size) : undefined;
      const running = whole ? undefined : createHash('sha256');
      for (let left = size; left > 0; ) {
        const wanted = Math.min(left, blockSize - used);
        const got = readSync(fd, block, used, wanted, offset + size - left);
        if (got === 0) throw changed(path, file);
        running?.update(block.subarray(used, used + got));
        left -= got;
        yield* advance(got);
      }
      const hex = whole ? hash('sha256', whole, 'hex') : running?.digest('hex');
      if (`sha256:${hex}` !== content.digest) throw changed(path, file);
    } finally {
      closeSync(fd);
    }
  }

  function* advance(step: number): Generator<Buffer, void, undefined> {
    used += step;
    if (used < blockSize) return;
    yield block;
    block = take();
    used = 0;
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
