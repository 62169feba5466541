import { closeSync, openSync, readSync } from 'node:fs';
import type { Scan } from '../app/scan-folder.ts';
import type { Digest } from '../model/digest.ts';
import type { BytePath, FileEntry, PayloadEntry } from '../model/payload-tree.ts';

const OWNER_EXECUTES = 0o100;
const HEAD_SIZE = 256;

/**
 * Brings a store object's files into the one form that a NAR keeps, so that a payload is the same
 * wherever it was read from: of modes only the owner's x bit, no hard links (a store that was
 * optimised has them), folders that their owner may remove.
 */
export function canonicalScan(scan: Scan): Scan {
  const files = new Map<BytePath, FileEntry>();
  const entries = scan.entries.map((entry): PayloadEntry => {
    const { path } = entry;
    if (entry.type === 'directory') return { type: 'directory', path, mode: 0o755 };
    if (entry.type === 'symlink') return entry;
    if (entry.type !== 'file' && entry.type !== 'hardlink') {
      throw new TypeError(`${path} is a ${entry.type}, which no store holds`);
    }
    const source = entry.type === 'file' ? entry : files.get(entry.target);
    if (source === undefined) throw new TypeError(`${path} is a link to no file before it`);
    const file: FileEntry = {
      type: 'file',
      path,
      mode: (source.mode & OWNER_EXECUTES) !== 0 ? 0o555 : 0o444,
      size: source.size,
      digest: source.digest,
    };
    files.set(path, file);
    return file;
  });
  const programs = new Map(scan.programs);
  // A hard link's head is that of the file it links to.
  for (const entry of scan.entries) {
    const head = entry.type === 'hardlink' ? scan.programs.get(entry.target) : undefined;
    if (head !== undefined) programs.set(entry.path, head);
  }
  return { ...scan, entries, programs };
}

/** A scan of entries whose bytes lie in files: what a folder's scan would say of them. */
export function scanOfEntries(
  entries: readonly PayloadEntry[],
  files: ReadonlyMap<Digest, string>,
): Scan {
  const programs = new Map<BytePath, Buffer>();
  const fatElfs = new Set<Digest>();
  for (const entry of entries) {
    if (entry.type !== 'file') continue;
    const head = readHead(files.get(entry.digest) as string);
    const magic = head.subarray(0, 4).toString('latin1');
    if (magic === '\x7fELF' || magic.startsWith('#!')) programs.set(entry.path, head);
    if (magic === '\xfa\x70\x0e\x1f') fatElfs.add(entry.digest);
  }
  return { entries, files, programs, fatElfs };
}

function readHead(file: string): Buffer {
  const fd = openSync(file, 'r');
  try {
    const head = Buffer.alloc(HEAD_SIZE);
    return head.subarray(0, readSync(fd, head, 0, HEAD_SIZE, 0));
  } finally {
    closeSync(fd);
  }
}
