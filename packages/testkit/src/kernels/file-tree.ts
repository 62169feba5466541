import { constants } from 'node:fs';
import {
  chmod,
  copyFile,
  lchown,
  lstat,
  mkdir,
  readdir,
  readlink,
  symlink,
  writeFile,
} from 'node:fs/promises';
import type { CpioEntry } from '@uport/core';

/** What to put at a path of a simulated host: a file or folder of this machine as it is, or given bytes. */
export type HostFile =
  | string
  | { readonly copy: string; readonly mode?: number; readonly owner?: number }
  | { readonly content: string | Uint8Array; readonly mode?: number; readonly owner?: number }
  | { readonly directory: true; readonly mode?: number; readonly owner?: number }
  /** A symbolic link, with its target. */
  | { readonly link: string };

/** By absolute path on the host. */
export type HostFiles = Readonly<Record<string, HostFile>>;

function bytes(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}

/** Every entry, parents first, in bytewise order; parents that nobody names are 0755. */
export async function treeEntries(files: HostFiles): Promise<CpioEntry[]> {
  const entries = new Map<string, CpioEntry>();
  const add = (entry: CpioEntry) => entries.set(entry.path, entry);
  for (const [place, file] of Object.entries(files)) {
    const path = Buffer.from(place)
      .toString('latin1')
      .replace(/^\/+|\/+$/g, '');
    if (typeof file === 'string') await copy(file, path, {}, add);
    else if ('copy' in file) await copy(file.copy, path, file, add);
    else if ('directory' in file) add(directory(path, file.mode, file.owner));
    else if ('link' in file) add(link(path, Buffer.from(file.link).toString('latin1'), 0));
    else {
      const content = Buffer.from(file.content);
      add({
        path,
        mode: constants.S_IFREG | (file.mode ?? 0o644),
        owner: file.owner ?? 0,
        size: content.length,
        source: { bytes: content },
      });
    }
  }
  for (const path of [...entries.keys()]) {
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const parent = path.slice(0, end);
      if (!entries.has(parent)) add(directory(parent));
    }
  }
  entries.delete('');
  return [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function directory(path: string, mode = 0o755, owner = 0): CpioEntry {
  return { path, mode: constants.S_IFDIR | mode, owner, size: 0 };
}

function link(path: string, target: string, owner: number): CpioEntry {
  const mode = constants.S_IFLNK | 0o777;
  return { path, mode, owner, size: target.length, source: { target } };
}

async function copy(
  from: string,
  path: string,
  change: { mode?: number; owner?: number },
  add: (entry: CpioEntry) => void,
): Promise<void> {
  const source = Buffer.from(from).toString('latin1');
  await copyBytes(source, path, change, add);
}

async function copyBytes(
  from: string,
  path: string,
  change: { mode?: number; owner?: number },
  add: (entry: CpioEntry) => void,
): Promise<void> {
  const info = await lstat(bytes(from));
  const type = info.mode & constants.S_IFMT;
  const mode = type | (change.mode ?? info.mode & 0o7777);
  const owner = change.owner ?? info.uid;
  if (info.isSymbolicLink()) {
    const target = (await readlink(bytes(from), 'latin1')) as string;
    add(link(path, target, owner));
  } else if (info.isFile()) {
    add({ path, mode, owner, size: info.size, source: { file: from } });
  } else if (info.isDirectory()) {
    add({ path, mode, owner, size: 0 });
    for (const name of await readdir(bytes(from), 'latin1')) {
      await copyBytes(
        `${from}/${name}`,
        path ? `${path}/${name}` : name,
        { ...change, mode: undefined } as never,
        add,
      );
    }
  }
}

/** Makes the tree in an existing folder of this machine; as root, with owners. */
export async function writeTree(entries: readonly CpioEntry[], folder: string): Promise<void> {
  for (const entry of entries) {
    const place = bytes(`${Buffer.from(folder).toString('latin1')}/${entry.path}`);
    const { source } = entry;
    if (!source) await mkdir(place, { recursive: true });
    else if ('target' in source) await symlink(bytes(source.target), place);
    else if ('file' in source) await copyFile(bytes(source.file), place);
    else await writeFile(place, source.bytes);
    await lchown(place, entry.owner, entry.owner);
    if (!source || !('target' in source)) await chmod(place, entry.mode & 0o7777);
  }
}
