// A folder of this machine as entries of an archive.
import { constants } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import type { CpioEntry } from './cpio.ts';

/** All that lies below a folder, parents first, in bytewise order, as root's. Devices and sockets are left out. */
export async function folderEntries(folder: string): Promise<CpioEntry[]> {
  const entries: CpioEntry[] = [];
  await walk(Buffer.from(folder).toString('latin1'), '', entries);
  return entries;
}

async function walk(folder: string, inside: string, entries: CpioEntry[]): Promise<void> {
  const names = (await readdir(Buffer.from(folder, 'latin1'), 'latin1')) as string[];
  for (const name of names.sort()) {
    const file = `${folder}/${name}`;
    const path = inside === '' ? name : `${inside}/${name}`;
    const info = await lstat(Buffer.from(file, 'latin1'));
    const mode = info.mode & (constants.S_IFMT | 0o7777);
    if (info.isDirectory()) {
      entries.push({ path, mode, owner: 0, size: 0 });
      await walk(file, path, entries);
    } else if (info.isSymbolicLink()) {
      const target = (await readlink(Buffer.from(file, 'latin1'), 'latin1')) as string;
      entries.push({ path, mode, owner: 0, size: target.length, source: { target } });
    } else if (info.isFile()) {
      entries.push({ path, mode, owner: 0, size: info.size, source: { file } });
    }
  }
}
