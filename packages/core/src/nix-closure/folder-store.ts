// A Nix store on disk: /nix/store, or one below another folder, as `nix --store DIR` has it.
import { execFile } from 'node:child_process';
import { existsSync, lstatSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { scanEntry } from '../app/scan-folder.ts';
import { textPath } from '../model/byte-path.ts';
import { ReferenceScanner } from '../nix/reference-scanner.ts';
import { NIX_STORE_DIR, parseStorePath } from '../nix/store-path.ts';
import { systemError } from '../system-error.ts';
import { canonicalScan } from './canonical-scan.ts';
import { pathMissing } from './faults.ts';
import type { NixStore } from './nix-store.ts';

/**
 * The store below a folder; `/` for the machine's own. What an object refers to is asked of Nix
 * where it is installed and knows the object; else it is found as Nix finds it, by searching the
 * object's bytes for the hash parts of the paths that the store has.
 */
export async function folderStore(root: string): Promise<NixStore> {
  const storeDir = path.join(root, NIX_STORE_DIR);
  const names = await readdir(storeDir).catch((error: unknown) => {
    throw systemError(error, storeDir);
  });
  const byHash = new Map<string, string>();
  for (const name of names) {
    const hash = /^([0-9a-z]{32})-[^/]+$/.exec(name)?.[1];
    if (hash === undefined || /\.(?:lock|chroot|drv)$/.test(name)) continue;
    byHash.set(hash, `${NIX_STORE_DIR}/${name}`);
  }
  return {
    name: storeDir,
    async read(storePath, { task, signal }) {
      const { name } = parseStorePath(storePath);
      const disk = path.join(root, storePath);
      if (name === '' || !isThere(disk)) throw pathMissing(storePath, storeDir);
      const known = await askNix(root, storePath, signal);
      const scanner = new ReferenceScanner(byHash);
      const scan = await scanEntry(disk, textPath(storePath.slice(1)), {
        task,
        signal,
        ...(known === undefined && { observer: scanner }),
      });
      const found = [...scanner.found].map((hash) => byHash.get(hash) as string);
      return { storePath, references: (known ?? found).toSorted(), scan: canonicalScan(scan) };
    },
  };
}

function isThere(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
}

/** What Nix's database says; undefined where there is none, or no Nix, or it does not know the path. */
async function askNix(
  root: string,
  storePath: string,
  signal: AbortSignal,
): Promise<readonly string[] | undefined> {
  // Nix makes a database, and /nix, where there is none.
  if (!existsSync(path.join(root, 'nix/var/nix/db/db.sqlite'))) return undefined;
  const store = path.resolve(root) === '/' ? [] : ['--store', path.resolve(root)];
  try {
    const { stdout } = await promisify(execFile)(
      'nix-store',
      [...store, '--query', '--references', storePath],
      { signal, maxBuffer: 16 << 20 },
    );
    const paths = stdout.split('\n').filter((line) => line !== '');
    for (const each of paths) parseStorePath(each);
    return paths;
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}
