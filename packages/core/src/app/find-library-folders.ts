// The folders of a payload that its programs name for their libraries.
import path from 'node:path';
import type { Elf } from '@uport/elf';
import { displayBytes } from '../model/byte-path.ts';
import type { BytePath, PayloadEntry } from '../model/payload-tree.ts';
import { resolveEntry } from '../model/resolve-entry.ts';
import { readProgram } from './read-program.ts';
import type { Scan } from './scan-folder.ts';

/**
 * The folders of the payload that its ELF files of the target's CPU name in RUNPATH and RPATH, by absolute
 * paths or from `$ORIGIN`, the target's own first, then by the files' paths. For an app that starts outside its
 * payload's root, where these paths lead nowhere. A file that is damaged counts as none.
 */
export async function findLibraryFolders(
  scan: Scan,
  target: BytePath,
): Promise<readonly BytePath[]> {
  const entries = new Map<string, PayloadEntry>(scan.entries.map((entry) => [entry.path, entry]));
  const folders = new Set<BytePath>();
  const main = await readElfAt(target, scan, entries);
  const others = [...scan.programs].filter(([, head]) => head[0] === 0x7f).map(([name]) => name);
  for (const name of [target, ...others.sort()]) {
    const elf = name === target ? main : await readElfAt(name, scan, entries);
    if (elf === undefined || !isSameCpu(elf, main)) continue;
    const own = `/${path.posix.dirname(name)}`;
    for (const named of [...(elf.dynamic?.runpath ?? []), ...(elf.dynamic?.rpath ?? [])]) {
      const folder = named.replace(/^\$(?:ORIGIN\b|\{ORIGIN\})/, () => own);
      if (!folder.startsWith('/')) continue;
      const inside = path.posix.normalize(folder).replace(/^\/+|\/+$/g, '');
      const entry = inside === '' ? undefined : resolveEntry(entries, inside as BytePath);
      if (entry?.type === 'directory') folders.add(entry.path);
    }
  }
  return [...folders];
}

async function readElfAt(
  name: BytePath,
  scan: Scan,
  entries: ReadonlyMap<string, PayloadEntry>,
): Promise<Elf | undefined> {
  const entry = entries.get(name);
  const place = entry?.type === 'file' ? scan.files.get(entry.digest) : undefined;
  if (place === undefined) return undefined;
  return readProgram(place, displayBytes(name)).catch(() => undefined);
}

function isSameCpu({ identity }: Elf, other: Elf | undefined): boolean {
  return (
    identity.machine === other?.identity.machine &&
    identity.bits === other.identity.bits &&
    identity.order === other.identity.order
  );
}
