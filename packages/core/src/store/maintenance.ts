import { lstat, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { type Digest, sha256Digest } from '../model/digest.ts';
import { storeFault } from './faults.ts';
import { nameKey } from './names.ts';
import type { Store } from './store.ts';
import { abandonedTemporaries, temporaryName } from './temporary.ts';

const DAY = 24 * 60 * 60 * 1000;
const DEFAULT_DAYS = 30;

export interface StoredBlob {
  readonly digest: Digest;
  readonly size: number;
  /** To about an hour. */
  readonly lastUsed: Date;
  /** What it is, for people. */
  readonly name: string | undefined;
}

/** What the store holds, by digest. */
export async function listStore(store: Store): Promise<readonly StoredBlob[]> {
  const blobs: StoredBlob[] = [];
  for (const hex of await names(path.join(store.root, 'blobs', 'sha256'))) {
    if (!isHex(hex)) continue;
    const digest = sha256Digest(hex);
    const status = await stat(store.pathOf(digest)).catch(() => undefined);
    if (!status?.isFile()) continue;
    const name = await store.lookup(nameKey(digest));
    blobs.push({
      digest,
      size: status.size,
      lastUsed: status.mtime,
      name: typeof name === 'string' ? name : undefined,
    });
  }
  return blobs;
}

/** An unpacked program that `run` starts from: a folder of files, made again when it is gone. */
export interface RunFolder {
  readonly name: string;
  /** Bytes of its files. */
  readonly size: number;
  /** To about an hour. */
  readonly lastUsed: Date;
}

/** The folders that `run` made, by name. */
export async function listRunFolders(store: Store): Promise<readonly RunFolder[]> {
  const folders: RunFolder[] = [];
  for (const name of await names(path.join(store.root, 'run'))) {
    const folder = path.join(store.root, 'run', name);
    const status = await lstat(folder).catch(() => undefined);
    if (!status) continue;
    folders.push({ name, size: await sizeOf(folder), lastUsed: status.mtime });
  }
  return folders;
}

/** Bytes of the files in it; links are not followed. */
async function sizeOf(place: string): Promise<number> {
  const status = await lstat(place).catch(() => undefined);
  if (!status?.isDirectory()) return status?.size ?? 0;
  let size = 0;
  for (const name of await names(place)) size += await sizeOf(path.join(place, name));
  return size;
}

export interface CollectOptions {
  /** Blobs, records and run folders that nobody used for so many days go. Default: 30. */
  readonly days?: number;
  readonly now?: Date;
  readonly signal?: AbortSignal;
}

/** What went. */
export interface Collected {
  readonly blobs: number;
  readonly records: number;
  readonly runFolders: number;
  /** Leftovers of processes that were killed, and compiled code. */
  readonly temporaries: number;
  /** Bytes of all of these. */
  readonly bytes: number;
}

/**
 * Removes what nobody used for a while, and what killed processes left. Safe while builds run: a
 * blob is set aside first, and taken back when somebody asked for it meanwhile.
 *
 * @throws UportError UPORT_STORE_UNWRITABLE, UPORT_STORE_IO
 */
export async function collectStore(store: Store, options: CollectOptions = {}): Promise<Collected> {
  const now = (options.now ?? new Date()).getTime();
  const limit = now - (options.days ?? DEFAULT_DAYS) * DAY;
  const count = new Counter(options.signal);
  try {
    await collectTemporaries(store, count, now);
    const blobs = path.join(store.root, 'blobs', 'sha256');
    const condemned = path.join(store.root, 'condemned');
    for (const hex of await names(blobs)) {
      if (!isHex(hex)) continue;
      const status = await lstat(path.join(blobs, hex)).catch(() => undefined);
      if (!status || status.mtimeMs > limit) continue;
      await rename(path.join(blobs, hex), path.join(condemned, hex)).catch(ignoreMissing);
    }
    for (const hex of await names(condemned)) {
      const aside = path.join(condemned, hex);
      const status = await lstat(aside).catch(() => undefined);
      if (!status) continue;
      if (isHex(hex) && status.mtimeMs > limit) {
        await rename(aside, path.join(blobs, hex)).catch(ignoreMissing);
      } else {
        await count.remove('blobs', aside);
        if (isHex(hex)) await store.forget(nameKey(sha256Digest(hex)));
      }
    }
    for (const file of await recordFiles(store)) {
      const status = await lstat(file).catch(() => undefined);
      if (status && status.mtimeMs <= limit) await count.remove('records', file);
    }
    for (const name of await names(path.join(store.root, 'run'))) {
      const folder = path.join(store.root, 'run', name);
      const status = await lstat(folder).catch(() => undefined);
      if (status && status.mtimeMs <= limit) await removeFolder(store, name, count);
    }
    for (const file of await compiledFiles(store)) {
      const status = await lstat(file).catch(() => undefined);
      if (status && status.mtimeMs <= limit) await count.remove('temporaries', file);
    }
  } catch (error) {
    throw storeFault(error, store.root);
  }
  return count.result();
}

/**
 * Removes everything but what running processes are writing now. A build that runs meanwhile may
 * miss a blob and fail.
 *
 * @throws UportError UPORT_STORE_UNWRITABLE, UPORT_STORE_IO
 */
export async function clearStore(
  store: Store,
  options: Pick<CollectOptions, 'signal'> = {},
): Promise<Collected> {
  const count = new Counter(options.signal);
  try {
    await collectTemporaries(store, count, Date.now());
    for (const folder of ['blobs/sha256', 'condemned']) {
      for (const name of await names(path.join(store.root, folder))) {
        await count.remove('blobs', path.join(store.root, folder, name));
      }
    }
    for (const file of await recordFiles(store)) await count.remove('records', file);
    for (const name of await names(path.join(store.root, 'run'))) {
      await removeFolder(store, name, count);
    }
    for (const file of await compiledFiles(store)) await count.remove('temporaries', file);
  } catch (error) {
    throw storeFault(error, store.root);
  }
  return count.result();
}

async function collectTemporaries(store: Store, count: Counter, now: number): Promise<void> {
  for (const file of await abandonedTemporaries(store.root, now)) {
    await count.remove('temporaries', file);
  }
}

/** Out of its place first, whole: a folder that is there must have everything. */
async function removeFolder(store: Store, name: string, count: Counter): Promise<void> {
  const aside = path.join(store.root, 'tmp', temporaryName());
  await rename(path.join(store.root, 'run', name), aside).catch(ignoreMissing);
  await count.remove('runFolders', aside);
}

class Counter {
  readonly #signal: AbortSignal | undefined;
  readonly #counts = { blobs: 0, records: 0, runFolders: 0, temporaries: 0, bytes: 0 };

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  async remove(
    kind: 'blobs' | 'records' | 'runFolders' | 'temporaries',
    file: string,
  ): Promise<void> {
    this.#signal?.throwIfAborted();
    const status = await lstat(file).catch(() => undefined);
    if (!status) return;
    const size = await sizeOf(file);
    await rm(file, { recursive: true, force: true });
    this.#counts[kind]++;
    this.#counts.bytes += size;
  }

  result(): Collected {
    return { ...this.#counts };
  }
}

function recordFiles(store: Store): Promise<readonly string[]> {
  return filesTwoDeep(path.join(store.root, 'records'));
}

/** What Node keeps of compiled code, for each version of it. The command writes it, not the store. */
function compiledFiles(store: Store): Promise<readonly string[]> {
  return filesTwoDeep(path.join(store.root, 'compiled'));
}

async function filesTwoDeep(folder: string): Promise<readonly string[]> {
  const files: string[] = [];
  for (const each of await names(folder)) {
    for (const name of await names(path.join(folder, each))) {
      files.push(path.join(folder, each, name));
    }
  }
  return files;
}

async function names(folder: string): Promise<readonly string[]> {
  return (await readdir(folder).catch(() => [])).sort();
}

function isHex(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
