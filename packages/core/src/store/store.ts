import { createHash } from 'node:crypto';
import { constants, createReadStream, existsSync, renameSync, statSync, utimesSync } from 'node:fs';
import { access, chmod, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { makeFolder } from '../make-folder.ts';
import type { ContentSource } from '../model/content.ts';
import { type Digest, digestHex, sha256Digest } from '../model/digest.ts';
import { checkRoot, storeFault } from './faults.ts';
import { nameKey } from './names.ts';
import { lookupRecord, removeRecord, writeRecord } from './records.ts';
import { abandonedTemporaries, temporaryName } from './temporary.ts';

export interface PutOptions {
  /** Refuse other bytes than these. */
  readonly expected?: Digest;
  /** Refuse more bytes than this. */
  readonly maxSize?: number;
  readonly signal?: AbortSignal;
  /** What it is, for people who list the store. */
  readonly name?: string;
}

/** A blob counts as used when somebody asked for it; the time is kept to about this many milliseconds. */
const USE_GRAIN = 60 * 60 * 1000;

/**
 * Blobs by sha256 under the user's cache folder: `blobs/sha256/<hex>`, and named records beside
 * them. Everything is written to a temporary name, flushed and renamed, so concurrent builds can
 * share the store and a killed one leaves nothing that is taken for a blob.
 *
 * Every method may throw UPORT_STORE_FULL, UPORT_STORE_UNWRITABLE or UPORT_STORE_IO.
 */
export class Store implements ContentSource {
  readonly root: string;

  private constructor(root: string) {
    this.root = root;
  }

  /** `UPORT_STORE_DIR`, else `$XDG_CACHE_HOME/uport`, else `~/.cache/uport`. */
  static defaultRoot(env: NodeJS.ProcessEnv = process.env): string {
    if (env.UPORT_STORE_DIR) return path.resolve(env.UPORT_STORE_DIR);
    const cache = env.XDG_CACHE_HOME;
    // The XDG specification has relative paths ignored.
    return path.join(
      cache && path.isAbsolute(cache) ? cache : path.join(homedir(), '.cache'),
      'uport',
    );
  }

  /**
   * Makes the folders that are missing, and removes what killed processes left half-written.
   *
   * @throws UportError UPORT_STORE_UNSAFE when the root belongs to somebody else, or others may write to it
   */
  static async open(root: string = Store.defaultRoot()): Promise<Store> {
    try {
      await makeStoreFolder(path.dirname(root));
      await makePrivateFolder(root);
      await checkRoot(root);
      for (const folder of ['blobs', 'blobs/sha256', 'records', 'tmp', 'condemned']) {
        await makePrivateFolder(path.join(root, folder));
      }
      for (const file of await abandonedTemporaries(root, Date.now())) {
        await rm(file, { recursive: true, force: true }).catch(() => undefined);
      }
    } catch (error) {
      throw storeFault(error, root);
    }
    return new Store(root);
  }

  /** Where the blob lies, or would lie. */
  pathOf(digest: Digest): string {
    return path.join(this.root, 'blobs', 'sha256', digestHex(digest));
  }

  /** The blob's file, or undefined. Counts as a use: `gc` spares it. */
  locate(digest: Digest): string | undefined {
    const file = this.pathOf(digest);
    const used = statSync(file, { throwIfNoEntry: false });
    if (used && Date.now() - used.mtimeMs < USE_GRAIN) return file;
    try {
      const now = new Date();
      if (!used) {
        // A collection that runs now may have set it aside: take it back.
        const condemned = path.join(this.root, 'condemned', digestHex(digest));
        if (!existsSync(condemned)) return undefined;
        utimesSync(condemned, now, now);
        renameSync(condemned, file);
        return file;
      }
      utimesSync(file, now, now);
      return file;
    } catch {
      // Gone meanwhile, or a store that can only be read.
      return existsSync(file) ? file : undefined;
    }
  }

  /**
   * Stores a stream; answers its digest and size.
   *
   * @throws UportError UPORT_CHECKSUM_MISMATCH for other bytes than expected, UPORT_STORE_TOO_LARGE
   */
  async put(
    bytes: AsyncIterable<Uint8Array>,
    options: PutOptions = {},
  ): Promise<{ digest: Digest; size: number }> {
    const temporary = path.join(this.root, 'tmp', temporaryName());
    const hash = createHash('sha256');
    let size = 0;
    options.signal?.throwIfAborted();
    const guard = <T>(work: Promise<T>): Promise<T> =>
      work.catch((error: unknown) => {
        throw storeFault(error, this.root);
      });
    const file = await guard(open(temporary, 'wx', 0o600));
    try {
      for await (const chunk of bytes) {
        options.signal?.throwIfAborted();
        size += chunk.length;
        if (options.maxSize !== undefined && size > options.maxSize) {
          throw new UportError({
            code: 'UPORT_STORE_TOO_LARGE',
            category: 'input',
            message: `more than the expected ${options.maxSize} bytes came`,
            hint: 'the source is damaged or was replaced; get it again',
          });
        }
        hash.update(chunk);
        await guard(file.writeFile(chunk));
      }
      const digest = sha256Digest(hash.digest('hex'));
      if (options.expected && digest !== options.expected) {
        throw new UportError({
          code: 'UPORT_CHECKSUM_MISMATCH',
          category: 'input',
          message: `expected ${options.expected}, got ${digest}`,
          hint: 'the source is damaged or was replaced; get it again',
        });
      }
      const place = this.pathOf(digest);
      // Without the flush a power cut may leave the name without the bytes.
      await guard(file.datasync());
      await file.close();
      await guard(rename(temporary, place));
      if (options.name !== undefined) await this.record(nameKey(digest), options.name);
      return { digest, size };
    } catch (error) {
      await file.close().catch(() => undefined);
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  /** Stores a copy of a file. */
  async putFile(
    source: string,
    options: PutOptions = {},
  ): Promise<{ digest: Digest; size: number }> {
    await access(source, constants.R_OK);
    return this.put(createReadStream(source, { highWaterMark: 256 << 10 }), options);
  }

  /** A small blob's bytes; undefined when the store has none, or a larger one. */
  async read(digest: Digest, maxSize: number): Promise<Uint8Array | undefined> {
    const file = this.locate(digest);
    if (file === undefined) return undefined;
    try {
      return (await stat(file)).size > maxSize ? undefined : await readFile(file);
    } catch {
      return undefined;
    }
  }

  /**
   * Remembers a JSON value under a name. The part of the name before the first `/` is its
   * namespace: `[a-z0-9-]+`. An earlier value is replaced at once, whole.
   *
   * @throws UportError UPORT_STORE_RECORD_INVALID for a name or value that cannot be a record
   */
  async record(key: string, value: unknown): Promise<void> {
    await writeRecord(this.root, key, value);
  }

  /** The value last recorded under that name; undefined when there is none, or it cannot be read. */
  async lookup(key: string): Promise<unknown> {
    return lookupRecord(this.root, key);
  }

  /** Takes a record away, if there is one. */
  async forget(key: string): Promise<void> {
    await removeRecord(this.root, key);
  }
}

/** Throws the system's own errors: `storeFault` says what they mean for a store. */
function makeStoreFolder(folder: string): Promise<string | undefined> {
  return makeFolder(folder).catch((error: unknown) => {
    throw (error instanceof UportError && error.cause) || error;
  });
}

async function makePrivateFolder(folder: string): Promise<void> {
  // A umask may have given bits to others, or taken some away that the owner needs.
  if ((await makeStoreFolder(folder)) !== undefined) await chmod(folder, 0o700);
}
