// Unpacks a NAR: its files into uport's store, its tree into payload entries.
import { createHash } from 'node:crypto';
import { UportError } from '@uport/errors';
import { type Digest, sha256Digest } from '../model/digest.ts';
import type { BytePath, PayloadEntry } from '../model/payload-tree.ts';
import type { NarEntry } from '../nix/nar-reader.ts';
import type { ClosureContext } from './nix-store.ts';

/** Files up to this size are held in memory: one that the store has already is not written again. */
const SMALL = 4 << 20;
/** Of one archive. Far more than any package has; bounds memory, since an entry takes few bytes. */
const MAX_ENTRIES = 1_000_000;

/** Entries relative to the object; its own path is empty. */
export interface NarFiles {
  readonly entries: readonly RelativeEntry[];
  readonly files: ReadonlyMap<Digest, string>;
}

/** A payload entry whose path begins at the object: empty for the object itself, else `/…`. */
export type RelativeEntry = Omit<PayloadEntry, 'path'> & { readonly path: string };

/**
 * Puts the files of one archive into the store.
 *
 * @throws UportError UPORT_NAR_TOO_LARGE, UPORT_STORE_*, and those of the reader
 */
export async function storeNarFiles(
  nar: AsyncIterable<NarEntry>,
  { store, task, signal }: ClosureContext,
): Promise<NarFiles> {
  const entries: RelativeEntry[] = [];
  const files = new Map<Digest, string>();
  for await (const entry of nar) {
    if (entries.length === MAX_ENTRIES) throw tooLarge();
    const path = entry.path === '' ? '' : `/${entry.path}`;
    if (entry.type === 'directory') {
      entries.push({ type: 'directory', path, mode: 0o755 });
    } else if (entry.type === 'symlink') {
      const link = { type: 'symlink', path, mode: 0o777, target: entry.target } as const;
      entries.push(link);
    } else {
      const counted = count(entry.contents, task.advance);
      const digest =
        entry.size <= SMALL
          ? await putSmall(counted, store, signal)
          : (await store.put(counted, { signal })).digest;
      files.set(digest, store.pathOf(digest));
      const mode = entry.executable ? 0o555 : 0o444;
      const file = { type: 'file', path, mode, size: entry.size, digest } as const;
      entries.push(file);
    }
  }
  return { entries, files };
}

function tooLarge(): UportError {
  return new UportError({
    code: 'UPORT_NAR_TOO_LARGE',
    category: 'input',
    message: `a NAR has more than ${MAX_ENTRIES} files, folders and links`,
    hint: 'leave out what the program does not need, or unpack it and give the folder',
  });
}

async function* count(
  chunks: AsyncIterable<Uint8Array>,
  advance: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    advance(chunk.length);
    yield chunk;
  }
}

async function putSmall(
  chunks: AsyncIterable<Uint8Array>,
  store: ClosureContext['store'],
  signal: AbortSignal,
): Promise<Digest> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  const bytes = Buffer.concat(parts);
  const digest = sha256Digest(createHash('sha256').update(bytes).digest('hex'));
  if (store.locate(digest) === undefined) {
    await store.put(
      (async function* () {
        yield bytes;
      })(),
      { expected: digest, signal },
    );
  }
  return digest;
}

/** The entries below `top`, sorted as a payload is. */
export function placeEntries(
  top: BytePath,
  entries: readonly RelativeEntry[],
): readonly PayloadEntry[] {
  return entries
    .map((entry) => ({ ...entry, path: `${top}${entry.path}` as BytePath }) as PayloadEntry)
    .sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}
