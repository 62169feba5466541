import { createHash, hash } from 'node:crypto';
import {
  type BigIntStats,
  closeSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
} from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { UportError } from '@uport/errors';
import { displayBytes, parseBytePath } from '../model/byte-path.ts';
import type { ContentPlace } from '../model/content.ts';
import { type Digest, sha256Digest } from '../model/digest.ts';
import type { BytePath, PayloadEntry } from '../model/payload-tree.ts';
import type { ProgressTask } from '../model/progress.ts';
import { systemError } from '../system-error.ts';

export interface Scan {
  readonly entries: readonly PayloadEntry[];
  /** Where these bytes lie on disk. */
  readonly files: ReadonlyMap<Digest, ContentPlace>;
  /** The first bytes of each regular file that starts like a program: ELF or `#!`. */
  readonly programs: ReadonlyMap<BytePath, Buffer>;
  /** The regular files that start like FatELF. */
  readonly fatElfs: ReadonlySet<Digest>;
}

export interface ScanContext {
  readonly task: ProgressTask;
  readonly signal: AbortSignal;
  /**
   * A whole root file system: owners and devices are read too. Who is not root is taken for user 0,
   * as whom a root that was made without root belongs.
   */
  readonly wholeRoot?: boolean;
  /** Sees the bytes of each file, and link targets, on the way. */
  readonly observer?: ScanObserver;
}

export interface ScanObserver {
  startFile(): void;
  add(piece: Uint8Array): void;
}

const READ_SIZE = 1 << 20;
const HEAD_SIZE = 256;
/** Bytes between two turns of the event loop, and what an entry counts for besides. */
const TURN = 8 << 20;
const ENTRY_COST = 16 << 10;

/**
 * Reads a folder into payload entries under `prefix`: files by digest, hard links by inode, symbolic
 * links as they stand (never followed). Sorted bytewise, whatever order the folder has.
 *
 * @throws UportError UPORT_PAYLOAD_FILE_TYPE for sockets, pipes and devices
 */
export async function scanFolder(
  folder: string,
  prefix: BytePath,
  context: ScanContext,
): Promise<Scan> {
  const scanner = new Scanner(context);
  await scanner.folder(Buffer.from(folder), prefix);
  return scanner.result();
}

/** Reads whatever lies there, a folder, file or symbolic link, as the payload entry `path`. */
export async function scanEntry(disk: string, path: BytePath, context: ScanContext): Promise<Scan> {
  const scanner = new Scanner(context);
  await scanner.entry(Buffer.from(disk), path);
  return scanner.result();
}

/**
 * Reads a folder as a whole root file system: its files at the top of the payload, with owners,
 * devices and FIFOs. Sockets are left out: they mean nothing without the process that made them.
 */
export async function scanRoot(folder: string, context: ScanContext): Promise<Scan> {
  const scanner = new Scanner({ ...context, wholeRoot: true });
  await scanner.root(Buffer.from(folder));
  return scanner.result();
}

/** Reads one file as the payload entry `path`. */
export async function scanFile(
  file: string,
  path: BytePath,
  mode: number,
  context: ScanContext,
): Promise<Scan> {
  const scanner = new Scanner(context);
  await scanner.file(Buffer.from(file), path, mode);
  return scanner.result();
}

/**
 * Calls the file system synchronously: thousands of small files cost five times as much through the
 * thread pool. The event loop gets its turn every so many entries and bytes.
 */
class Scanner {
  readonly #context: ScanContext;
  readonly #entries: PayloadEntry[] = [];
  readonly #files = new Map<Digest, Buffer>();
  readonly #programs = new Map<BytePath, Buffer>();
  readonly #fatElfs = new Set<Digest>();
  readonly #inodes = new Map<string, BytePath>();
  readonly #buffer = Buffer.allocUnsafe(READ_SIZE);
  #sinceTurn = 0;

  constructor(context: ScanContext) {
    this.#context = context;
  }

  result(): Scan {
    const names = firstNames(this.#entries);
    const entries = firstNameIsTheFile(this.#entries, names).sort(byPath);
    const programs = new Map(
      [...this.#programs].map(([path, head]) => [names.get(path) ?? path, head]),
    );
    return { entries, files: this.#files, programs, fatElfs: this.#fatElfs };
  }

  async folder(disk: Buffer, path: BytePath): Promise<void> {
    this.#context.signal.throwIfAborted();
    const stat = lstatSync(disk, { bigint: true });
    const mode = Number(stat.mode) & 0o7777;
    this.#entries.push({ type: 'directory', path, mode, ...this.#owner(stat) });
    await this.#children(disk, `${path}/`);
  }

  async root(disk: Buffer): Promise<void> {
    await this.#children(disk, '');
  }

  async #children(disk: Buffer, prefix: string): Promise<void> {
    const names = readdirSync(disk, { encoding: 'buffer' });
    // Sorted here too: which of several hard links is the file must not depend on the disk.
    names.sort(Buffer.compare);
    for (const name of names) {
      const child = Buffer.concat([disk, Buffer.from('/'), name]);
      await this.entry(child, parseBytePath(prefix + name.toString('latin1')));
    }
  }

  #owner(stat: BigIntStats): { readonly uid?: number; readonly gid?: number } {
    if (!this.#context.wholeRoot) return {};
    const [uid, gid] = [Number(stat.uid), Number(stat.gid)];
    const own = process.getuid?.() ?? 0;
    if (own !== 0 && uid === own) return {};
    return { ...(uid !== 0 && { uid }), ...(gid !== 0 && { gid }) };
  }

  async entry(disk: Buffer, path: BytePath): Promise<void> {
    await this.#turn(ENTRY_COST);
    const stat = lstatSync(disk, { bigint: true });
    const mode = Number(stat.mode) & 0o7777;
    if (stat.isDirectory()) return this.folder(disk, path);
    if (stat.isSymbolicLink()) {
      const target = readlinkSync(disk, { encoding: 'buffer' }).toString('latin1');
      this.#context.observer?.startFile();
      this.#context.observer?.add(Buffer.from(target, 'latin1'));
      this.#entries.push({ type: 'symlink', path, mode: 0o777, ...this.#owner(stat), target });
      return;
    }
    if (!stat.isFile() && this.#context.wholeRoot) {
      const base = { path, mode, ...this.#owner(stat) };
      const device = deviceNumber(stat.rdev);
      if (stat.isFIFO()) this.#entries.push({ type: 'fifo', ...base });
      if (stat.isBlockDevice()) this.#entries.push({ type: 'blockDevice', ...base, device });
      if (stat.isCharacterDevice())
        this.#entries.push({ type: 'characterDevice', ...base, device });
      return;
    }
    if (!stat.isFile()) {
      throw new UportError({
        code: 'UPORT_PAYLOAD_FILE_TYPE',
        category: 'input',
        message: 'a socket, pipe or device cannot travel in a payload',
        hint: 'remove it from the folder',
        file: displayBytes(disk.toString('latin1')),
      });
    }
    if (stat.nlink > 1n) {
      const inode = `${stat.dev}:${stat.ino}`;
      const first = this.#inodes.get(inode);
      if (first !== undefined) {
        this.#entries.push({ type: 'hardlink', path, mode, ...this.#owner(stat), target: first });
        return;
      }
      this.#inodes.set(inode, path);
    }
    await this.file(disk, path, mode, this.#owner(stat));
  }

  async file(
    disk: Buffer,
    path: BytePath,
    mode: number,
    owner: { readonly uid?: number; readonly gid?: number } = {},
  ): Promise<void> {
    const { size, head, digest } = await this.#readFile(disk);
    this.#entries.push({ type: 'file', path, mode, ...owner, size, digest });
    if (!this.#files.has(digest)) this.#files.set(digest, disk);
    if (isProgram(head)) this.#programs.set(path, head);
    if (head.subarray(0, 4).equals(FATELF_HEAD)) this.#fatElfs.add(digest);
  }

  async #readFile(disk: Buffer): Promise<{ size: number; head: Buffer; digest: Digest }> {
    this.#context.signal.throwIfAborted();
    const fd = openFile(disk);
    try {
      this.#context.observer?.startFile();
      let piece = this.#readPiece(fd);
      let size = piece.length;
      const head = Buffer.from(piece.subarray(0, HEAD_SIZE));
      // A hash object for each of thousands of small files would fill the memory with garbage.
      if (size < READ_SIZE) {
        const digest = sha256Digest(hash('sha256', piece, 'hex'));
        this.#context.task.advance(size);
        await this.#turn(size);
        return { size, head, digest };
      }
      const running = createHash('sha256');
      while (piece.length > 0) {
        running.update(piece);
        this.#context.task.advance(piece.length);
        await this.#turn(piece.length);
        piece = this.#readPiece(fd);
        size += piece.length;
      }
      return { size, head, digest: sha256Digest(running.digest('hex')) };
    } finally {
      closeSync(fd);
    }
  }

  /** A whole buffer, less only at the end of the file. */
  #readPiece(fd: number): Buffer {
    let used = 0;
    while (used < READ_SIZE) {
      const got = readSync(fd, this.#buffer, used, READ_SIZE - used, null);
      if (got === 0) break;
      used += got;
    }
    const piece = this.#buffer.subarray(0, used);
    this.#context.observer?.add(piece);
    return piece;
  }

  async #turn(cost: number): Promise<void> {
    this.#sinceTurn += cost;
    if (this.#sinceTurn < TURN) return;
    this.#sinceTurn = 0;
    await nextTurn();
    this.#context.signal.throwIfAborted();
  }
}

/** As Linux packs it (`makedev`). */
function deviceNumber(rdev: bigint): { readonly major: number; readonly minor: number } {
  return {
    major: Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn)),
    minor: Number((rdev & 0xffn) | ((rdev >> 12n) & ~0xffn)),
  };
}

const byPath = (a: PayloadEntry, b: PayloadEntry) =>
  a.path < b.path ? -1 : a.path > b.path ? 1 : 0;

/** The bytewise first name of each file that has several, by the name under which it was read. */
function firstNames(entries: readonly PayloadEntry[]): ReadonlyMap<BytePath, BytePath> {
  const first = new Map<BytePath, BytePath>();
  for (const entry of entries) {
    if (entry.type !== 'hardlink') continue;
    const known = first.get(entry.target) ?? entry.target;
    const [smaller] = [entry.path, known].sort() as [BytePath];
    first.set(entry.target, smaller);
  }
  return first;
}

/** Makes the first name the file, so that its links come after it. */
function firstNameIsTheFile(
  entries: readonly PayloadEntry[],
  first: ReadonlyMap<BytePath, BytePath>,
): PayloadEntry[] {
  return entries.map((entry): PayloadEntry => {
    if (entry.type === 'hardlink') {
      const target = first.get(entry.target) as BytePath;
      return { ...entry, path: entry.path === target ? entry.target : entry.path, target };
    }
    return entry.type === 'file' ? { ...entry, path: first.get(entry.path) ?? entry.path } : entry;
  });
}

function openFile(disk: Buffer): number {
  try {
    return openSync(disk, 'r');
  } catch (error) {
    throw systemError(error, displayBytes(disk.toString('latin1')));
  }
}

export function isProgram(head: Buffer): boolean {
  return head.subarray(0, 4).equals(ELF_MAGIC) || head.subarray(0, 2).toString('latin1') === '#!';
}

export const FATELF_HEAD = Buffer.from('fa700e1f', 'hex');
const ELF_MAGIC = Buffer.from('\x7fELF', 'latin1');
