import { UportError } from '@uport/errors';
import type { Scan } from '../app/scan-folder.ts';
import { textPath } from '../model/byte-path.ts';
import type { ContentPlace } from '../model/content.ts';
import type { Digest } from '../model/digest.ts';
import type { BytePath, PayloadEntry } from '../model/payload-tree.ts';
import { NIX_STORE_DIR, parseStorePath } from '../nix/store-path.ts';
import { pathMissing } from './faults.ts';
import type { ClosureContext, NixStore } from './nix-store.ts';

/** A store object with everything that it needs. */
export interface NixClosure {
  /** The object that was asked for. */
  readonly root: string;
  /** Full store paths of all objects, sorted. */
  readonly paths: readonly string[];
  /** Their files, with `nix` and `nix/store` above them. */
  readonly scan: Scan;
}

/** More than any system has. */
const MAX_OBJECTS = 200_000;

/**
 * Reads an object and, one after the other, all that it refers to.
 *
 * @throws UportError UPORT_NIX_PATH_MISSING with the object that needs it, and those of the store
 */
export async function readClosure(
  root: string,
  store: NixStore,
  context: ClosureContext,
): Promise<NixClosure> {
  const scans = new Map<string, Scan>();
  const waiting: { readonly path: string; readonly neededBy?: string }[] = [{ path: root }];
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    context.signal.throwIfAborted();
    if (scans.has(next.path)) continue;
    const { scan, references } = await read(next.path, next.neededBy, store, context);
    scans.set(next.path, scan);
    if (scans.size > MAX_OBJECTS) throw tooLarge(root);
    for (const path of references) {
      if (!scans.has(path)) waiting.push({ path, neededBy: next.path });
    }
  }
  const paths = [...scans.keys()].sort();
  return { root, paths, scan: merge([...scans.values()]) };
}

async function read(
  path: string,
  neededBy: string | undefined,
  store: NixStore,
  context: ClosureContext,
) {
  if (parseStorePath(path).storeDir !== NIX_STORE_DIR) throw elsewhere(path);
  try {
    return await store.read(path, context);
  } catch (error) {
    const missing = error instanceof UportError && error.code === 'UPORT_NIX_PATH_MISSING';
    throw missing && neededBy !== undefined ? pathMissing(path, store.name, neededBy) : error;
  }
}

function merge(scans: readonly Scan[]): Scan {
  const above = ['nix', 'nix/store'].map(
    (path): PayloadEntry => ({ type: 'directory', path: textPath(path), mode: 0o755 }),
  );
  const entries = [...above, ...scans.flatMap((scan) => scan.entries)];
  return {
    entries: entries.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0)),
    files: new Map<Digest, ContentPlace>(scans.flatMap((scan) => [...scan.files])),
    programs: new Map<BytePath, Buffer>(scans.flatMap((scan) => [...scan.programs])),
    fatElfs: new Set<Digest>(scans.flatMap((scan) => [...scan.fatElfs])),
  };
}

function elsewhere(path: string): UportError {
  return new UportError({
    code: 'UPORT_NIX_STORE_PATH_INVALID',
    category: 'input',
    message: `${JSON.stringify(path.slice(0, 400))} is not in ${NIX_STORE_DIR}`,
    hint: `only objects of ${NIX_STORE_DIR} can be imported`,
  });
}

function tooLarge(root: string): UportError {
  return new UportError({
    code: 'UPORT_NIX_CLOSURE_TOO_LARGE',
    category: 'input',
    message: `${root} needs more than ${MAX_OBJECTS} store paths`,
    hint: 'name a smaller package',
  });
}
