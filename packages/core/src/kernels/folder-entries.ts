// A folder of this machine as entries of an archive.
import { constants, type Stats } from 'node:fs';
import { chmod, lstat, readdir, readlink } from 'node:fs/promises';
import type { CpioEntry } from './cpio.ts';

/**
 * All that lies below a folder, parents first, in bytewise order, as root's. Devices and sockets are left
 * out. What its owner may not read, or of folders write, he may afterwards; entries have the mode that was.
 */
export async function folderEntries(folder: string): Promise<CpioEntry[]> {
  const entries: CpioEntry[] = [];
  const files = new Map<string, CpioEntry>();
  await walk(Buffer.from(folder).toString('latin1'), '', entries, files);
  return entries;
}

/** @param files those with several names, by device and inode, as they were first met */
async function walk(
  folder: string,
  inside: string,
  entries: CpioEntry[],
  files: Map<string, CpioEntry>,
): Promise<void> {
  const names = (await readdir(Buffer.from(folder, 'latin1'), 'latin1')) as string[];
  for (const name of names.sort()) {
    const file = `${folder}/${name}`;
    const path = inside === '' ? name : `${inside}/${name}`;
    const info = await lstat(Buffer.from(file, 'latin1'));
    const mode = info.mode & (constants.S_IFMT | 0o7777);
    if (info.isDirectory()) {
      entries.push({ path, mode, owner: 0, size: 0 });
      await allow(file, info, 0o700);
      await walk(file, path, entries, files);
    } else if (info.isSymbolicLink()) {
      const target = (await readlink(Buffer.from(file, 'latin1'), 'latin1')) as string;
      entries.push({ path, mode, owner: 0, size: target.length, source: { target } });
    } else if (info.isFile()) {
      const key = `${info.dev} ${info.ino}`;
      const first = files.get(key);
      if (first) {
        entries.push({ path, mode: first.mode, owner: 0, size: 0, sameAs: first.path });
        continue;
      }
      const entry = { path, mode, owner: 0, size: info.size, source: { file } };
      if (info.nlink > 1) files.set(key, entry);
      entries.push(entry);
      await allow(file, info, 0o400);
    }
  }
}

async function allow(file: string, { mode }: Stats, needed: number): Promise<void> {
  if ((mode & needed) === needed) return;
  await chmod(Buffer.from(file, 'latin1'), (mode & 0o7777) | needed);
}
