// Makes a folder of a payload's entries. They name real folders only above each path, and the folder
// is new: nothing can lead a write elsewhere.
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  futimesSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readSync,
  symlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { UportError } from '@uport/errors';
import { displayBytes } from '../model/byte-path.ts';
import { type ContentSource, placeOf } from '../model/content.ts';
import type { FileEntry, PayloadEntry } from '../model/payload-tree.ts';

export interface WriteFolderOptions {
  /** Give files their owners, which only root may. Otherwise all belong to the caller. */
  readonly owners: boolean;
  /** Seconds since 1970, of entries that have no time of their own. */
  readonly mtime: number;
  readonly signal: AbortSignal;
  readonly advance?: (bytes: number) => void;
}

/** What an ordinary user could not give the files of a folder. Readable paths. */
export interface LeftOut {
  /** Devices and FIFOs that were not made. */
  readonly devices: readonly string[];
  /** Entries that should belong to somebody else than root. */
  readonly owners: readonly string[];
  /** Programs that lost set-user-id or set-group-id, since they would give the caller's rights away. */
  readonly setIds: readonly string[];
  /** Entries whose extended attributes were not set: Node has no call for it. */
  readonly xattrs: readonly string[];
}

/** Between two turns of the event loop. */
const TURN = 8 << 20;
const ENTRY_COST = 16 << 10;

/**
 * @param folder an empty one that only the caller can write to
 * @throws UportError UPORT_CONTENT_MISSING, UPORT_INPUT_CHANGED
 */
export async function writeFolder(
  folder: string,
  entries: readonly PayloadEntry[],
  content: ContentSource,
  options: WriteFolderOptions,
): Promise<LeftOut> {
  const { owners, signal, advance } = options;
  const left = { devices: [], owners: [], setIds: [], xattrs: [] } as Record<
    keyof LeftOut,
    string[]
  >;
  const room = Buffer.allocUnsafeSlow(1 << 20);
  const opened = new Map<string, number>();
  const above = Buffer.from(`${folder}/`, 'utf8');
  const disk = (inside: string): Buffer => Buffer.concat([above, Buffer.from(inside, 'latin1')]);
  const source = (file: string | Buffer): number => {
    const key = String(file);
    const known = opened.get(key);
    if (known !== undefined) return known;
    if (opened.size >= 64) {
      for (const fd of opened.values()) closeSync(fd);
      opened.clear();
    }
    const fd = openSync(file, constants.O_RDONLY);
    opened.set(key, fd);
    return fd;
  };
  let cost = 0;
  try {
    for (const entry of entries) {
      const place = disk(entry.path);
      const mtime = entry.mtime ?? options.mtime;
      const mode = owners ? entry.mode : entry.mode & 0o1777;
      if (entry.xattrs) left.xattrs.push(displayBytes(entry.path));
      if (!owners && (entry.uid || entry.gid)) left.owners.push(displayBytes(entry.path));
      if (!owners && entry.type === 'file' && entry.mode & 0o6000) {
        left.setIds.push(displayBytes(entry.path));
      }
      switch (entry.type) {
        case 'directory':
          mkdirSync(place, { mode: 0o700 });
          break;
        case 'file':
          writeFile(place, entry, mode, mtime);
          break;
        case 'symlink':
          symlinkSync(Buffer.from(entry.target, 'latin1'), place);
          if (owners) lchownSync(place, entry.uid ?? 0, entry.gid ?? 0);
          lutimesSync(place, mtime, mtime);
          break;
        case 'hardlink':
          linkSync(disk(entry.target), place);
          break;
        default:
          left.devices.push(displayBytes(entry.path));
      }
      cost += ENTRY_COST + (entry.type === 'file' ? entry.size : 0);
      if (cost >= TURN) {
        cost = 0;
        await nextTurn();
        signal.throwIfAborted();
      }
    }
  } finally {
    for (const fd of opened.values()) closeSync(fd);
  }
  // Deepest first: writing into a folder changes its time, and its mode may forbid it.
  for (const entry of [...entries].reverse()) {
    if (entry.type !== 'directory') continue;
    const place = disk(entry.path);
    const mtime = entry.mtime ?? options.mtime;
    if (owners) lchownSync(place, entry.uid ?? 0, entry.gid ?? 0);
    utimesSync(place, mtime, mtime);
    // The caller must be able to enter and remove what it has made.
    chmodSync(place, owners ? entry.mode : (entry.mode & 0o1777) | 0o700);
  }
  return left;

  function writeFile(place: Buffer, entry: FileEntry, mode: number, mtime: number): void {
    const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
    const fd = openSync(place, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      if (entry.size > 0) copy(fd, entry);
      if (owners) lchownSync(place, entry.uid ?? 0, entry.gid ?? 0);
      fchmodSync(fd, mode);
      futimesSync(fd, mtime, mtime);
    } finally {
      closeSync(fd);
    }
    advance?.(entry.size);
  }

  function copy(fd: number, entry: FileEntry): void {
    const located = content.locate(entry.digest);
    if (located === undefined) throw missing(entry);
    const { file, offset } = placeOf(located);
    const from = source(file);
    for (let done = 0; done < entry.size; ) {
      const got = readSync(from, room, 0, Math.min(room.length, entry.size - done), offset + done);
      if (got === 0) throw missing(entry);
      for (let written = 0; written < got; ) {
        written += writeSync(fd, room, written, got - written, done + written);
      }
      done += got;
    }
  }
}

function missing(entry: FileEntry): UportError {
  return new UportError({
    code: 'UPORT_CONTENT_MISSING',
    category: 'input',
    message: `the bytes of ${displayBytes(entry.path)} (${entry.digest}) are not at hand`,
    hint: 'do it again: they may have been cleared meanwhile',
  });
}
