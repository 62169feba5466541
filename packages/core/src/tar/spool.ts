// Reads an archive once: what its entries say is kept in memory, and their bytes in a plain file, so
// that they can be written elsewhere in another order.
import { createHash, hash } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FilePart } from '../model/content.ts';
import { type Digest, sha256Digest } from '../model/digest.ts';
import { byteReader } from './byte-reader.ts';
import type { FileContent, TreeMember } from './file-tree.ts';
import type { TarMeter } from './tar-limits.ts';
import { readTar, type TarMember } from './tar-reader.ts';
import { isHole } from './tar-sparse.ts';

/** An entry with its bytes set aside. */
export interface SpooledMember extends TreeMember {
  /** Of files. */
  readonly content: FileContent | undefined;
  /** The first bytes of a file. */
  readonly head: Buffer | undefined;
}

export interface SpoolOptions {
  /** Where the unpacked archive goes; nothing may be there. Sparse files go to `<file>.sparse`. */
  readonly file: string;
  /** The archive itself, when it is not compressed: it need not be written again. */
  readonly plain?: { readonly file: string; readonly start: number };
  readonly meter: TarMeter;
  readonly signal: AbortSignal;
  /** Where the bytes of each digest lie: added to. */
  readonly places: Map<Digest, FilePart>;
  /** Hears of every entry before it is read on. */
  readonly hear: (member: SpooledMember) => void;
}

const HEAD_SIZE = 256;
/** A file of this size is hashed in one call: a hash object for each of thousands would be garbage. */
const SMALL = 256 << 10;

/**
 * @throws UportError UPORT_TAR_INVALID, UPORT_TAR_TOO_LARGE, and those of `bytes`
 */
export async function spoolTar(
  bytes: AsyncIterable<Uint8Array>,
  options: SpoolOptions,
): Promise<void> {
  const spool = new Spool(options);
  try {
    const reader = byteReader(spool.tee(bytes));
    for await (const member of readTar(reader)) {
      options.signal.throwIfAborted();
      const { type, path, target, mode, uid, gid, mtime, device, xattrs } = member;
      const facts = { type, path, target, mode, uid, gid, mtime, device, xattrs };
      const file = type === 'file' ? await spool.file(member, () => reader.offset) : undefined;
      options.hear({ ...facts, content: file?.content, head: file?.head });
    }
  } finally {
    spool.close();
  }
}

class Spool {
  readonly #options: SpoolOptions;
  readonly #file: string;
  readonly #fd: number | undefined;
  readonly #start: number;
  /** Bytes of the archive that were written. */
  #written = 0;
  /** Where expanded sparse files go. */
  #sparse: { readonly file: string; readonly fd: number; size: number } | undefined;
  readonly #room = Buffer.allocUnsafeSlow(SMALL);

  constructor(options: SpoolOptions) {
    this.#options = options;
    const { file, plain } = options;
    this.#file = plain?.file ?? file;
    this.#start = plain?.start ?? 0;
    if (plain === undefined) this.#fd = openSync(file, 'wx', 0o600);
  }

  async *tee(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const { signal } = this.#options;
    for await (const chunk of bytes) {
      signal.throwIfAborted();
      this.#options.meter.seen(this.#written + chunk.length);
      if (this.#fd !== undefined) writeAll(this.#fd, chunk, this.#written);
      this.#written += chunk.length;
      yield chunk;
      await nextTurn();
    }
  }

  async file(
    member: TarMember,
    position: () => number,
  ): Promise<{ readonly content: FileContent; readonly head: Buffer }> {
    const { meter, places } = this.#options;
    const { size } = member;
    meter.expect(size);
    const start = position();
    const sparse = member.sparse ? this.#sparseFile() : undefined;
    const sparseStart = sparse?.size ?? 0;
    const running = size > SMALL ? createHash('sha256') : undefined;
    let head: Buffer | undefined;
    let got = 0;
    for await (const piece of member.body) {
      if (head === undefined || head.length < HEAD_SIZE) {
        head = Buffer.concat([
          head ?? Buffer.alloc(0),
          piece.subarray(0, HEAD_SIZE - (head?.length ?? 0)),
        ]);
      }
      meter.add(piece.length);
      if (running) running.update(piece);
      else piece.copy(this.#room, got);
      if (sparse && !isHole(piece)) writeAll(sparse.fd, piece, sparseStart + got);
      got += piece.length;
    }
    if (sparse) sparse.size += got;
    const hex = running?.digest('hex') ?? hash('sha256', this.#room.subarray(0, got), 'hex');
    const digest = sha256Digest(hex);
    if (!places.has(digest)) {
      places.set(
        digest,
        sparse
          ? { file: sparse.file, offset: sparseStart, size: got }
          : { file: this.#file, offset: this.#start + start, size: got },
      );
    }
    return { content: { digest, size: got }, head: head ?? Buffer.alloc(0) };
  }

  #sparseFile(): { readonly file: string; readonly fd: number; size: number } {
    const file = `${this.#options.file}.sparse`;
    this.#sparse ??= { file, fd: openSync(file, 'wx', 0o600), size: 0 };
    return this.#sparse;
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    if (!this.#sparse) return;
    // The last file may end with a hole.
    ftruncateSync(this.#sparse.fd, this.#sparse.size);
    closeSync(this.#sparse.fd);
  }
}

function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}
