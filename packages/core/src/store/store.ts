import { createHash } from 'node:crypto';
import { constants, createReadStream, existsSync } from 'node:fs';
import { access, mkdir, open, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { UportError } from '@uport/errors';
import type { ContentSource } from '../model/content.ts';
import { type Digest, digestHex, sha256Digest } from '../model/digest.ts';

export interface PutOptions {
  /** Refuse other bytes than these. */
  readonly expected?: Digest;
  readonly signal?: AbortSignal;
}

/**
 * Blobs by sha256 under the user's cache folder: `blobs/sha256/<hex>`. A blob is written to a
 * temporary name and renamed, so concurrent builds can share the store.
 */
export class Store implements ContentSource {
  readonly root: string;

  private constructor(root: string) {
    this.root = root;
  }

  /** `UPORT_STORE_DIR`, else `$XDG_CACHE_HOME/uport`, else `~/.cache/uport`. */
  static defaultRoot(env: NodeJS.ProcessEnv = process.env): string {
    if (env.UPORT_STORE_DIR) return path.resolve(env.UPORT_STORE_DIR);
    return path.join(env.XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'uport');
  }

  static async open(root: string = Store.defaultRoot()): Promise<Store> {
    await mkdir(path.join(root, 'blobs', 'sha256'), { recursive: true, mode: 0o700 });
    await mkdir(path.join(root, 'tmp'), { recursive: true, mode: 0o700 });
    return new Store(root);
  }

  pathOf(digest: Digest): string {
    return path.join(this.root, 'blobs', 'sha256', digestHex(digest));
  }

  locate(digest: Digest): string | undefined {
    const file = this.pathOf(digest);
    return existsSync(file) ? file : undefined;
  }

  /** Stores a stream; answers its digest and size. */
  async put(
    bytes: AsyncIterable<Uint8Array>,
    options: PutOptions = {},
  ): Promise<{ digest: Digest; size: number }> {
    const temporary = path.join(this.root, 'tmp', `${process.pid}-${crypto.randomUUID()}`);
    const hash = createHash('sha256');
    let size = 0;
    const file = await open(temporary, 'wx', 0o600);
    try {
      for await (const chunk of bytes) {
        options.signal?.throwIfAborted();
        hash.update(chunk);
        size += chunk.length;
        await file.writeFile(chunk);
      }
      await file.close();
      const digest = sha256Digest(hash.digest('hex'));
      if (options.expected && digest !== options.expected) {
        throw new UportError({
          code: 'UPORT_CHECKSUM_MISMATCH',
          category: 'input',
          message: `expected ${options.expected}, got ${digest}`,
          hint: 'the source is damaged or was replaced; get it again',
        });
      }
      await rename(temporary, this.pathOf(digest));
      return { digest, size };
    } catch (error) {
      await file.close().catch(() => undefined);
      await rm(temporary, { force: true });
      throw error;
    }
  }

  async putFile(
    source: string,
    options: PutOptions = {},
  ): Promise<{ digest: Digest; size: number }> {
    await access(source, constants.R_OK);
    return this.put(createReadStream(source, { highWaterMark: 1 << 20 }), options);
  }
}
