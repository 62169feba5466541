// A binary cache in a folder: nix-cache-info, a .narinfo for each store path, and compressed NARs.
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { chmod, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { makeFolder } from '../make-folder.ts';
import { temporaryName } from '../store/temporary.ts';
import { systemError } from '../system-error.ts';
import { zstdFrame } from '../zstd-frame.ts';
import { formatNixHash, type NixHash } from './hash.ts';
import type { NixSigningKey } from './signing-key.ts';
import { NIX_STORE_DIR, parseStorePath } from './store-path.ts';

/** A store object that refers to no other and whose path follows from its NAR's hash. */
export interface CachedObject {
  readonly storePath: string;
  /** The NAR's file. */
  readonly nar: string;
  /** Of the NAR; sha256. */
  readonly hash: NixHash;
  /** Of the NAR, in bytes. */
  readonly size: number;
}

export interface BinaryCacheOptions {
  readonly key?: NixSigningKey;
  /** zstd's, 1 to 19. Default: 3. */
  readonly level?: number;
  readonly signal: AbortSignal;
}

const DEFAULT_LEVEL = 3;

/**
 * Adds an object to the cache in a folder, which is made when it does not exist. The .narinfo comes
 * last, so readers find the object whole or not at all.
 *
 * @returns the .narinfo's path, and the size of the compressed NAR
 * @throws UportError for faults of the file system
 */
export async function addToBinaryCache(
  folder: string,
  object: CachedObject,
  options: BinaryCacheOptions,
): Promise<{ readonly narinfo: string; readonly fileSize: number }> {
  try {
    await makeFolder(path.join(folder, 'nar'));
    const { hash, size } = await compress(folder, object, options);
    const text = narinfo(object, { hash, size }, options.key);
    const file = path.join(folder, `${parseStorePath(object.storePath).hash}.narinfo`);
    // One that is there may hold its owner's own settings.
    if (!existsSync(path.join(folder, 'nix-cache-info'))) {
      await writeWhole(folder, 'nix-cache-info', `StoreDir: ${NIX_STORE_DIR}\n`);
    }
    await writeWhole(folder, path.basename(file), text);
    return { narinfo: file, fileSize: size };
  } catch (error) {
    throw systemError(error, folder);
  }
}

interface CompressedNar {
  readonly hash: NixHash;
  readonly size: number;
}

async function compress(
  folder: string,
  { nar, size }: CachedObject,
  { level = DEFAULT_LEVEL, signal }: BinaryCacheOptions,
): Promise<CompressedNar> {
  const temporary = path.join(folder, 'nar', `.${temporaryName()}`);
  const sha256 = createHash('sha256');
  let written = 0;
  try {
    const file = await open(temporary, 'wx', 0o644);
    try {
      await pipeline(
        createReadStream(nar),
        (chunks: AsyncIterable<Buffer>) => zstdFrame(chunks, { level, size }),
        async (chunks: AsyncIterable<Buffer>) => {
          for await (const chunk of chunks) {
            sha256.update(chunk);
            written += chunk.length;
            await file.writeFile(chunk);
          }
        },
        { signal },
      );
    } finally {
      await file.close();
    }
    await chmod(temporary, 0o644);
    const hash: NixHash = { algorithm: 'sha256', bytes: Uint8Array.from(sha256.digest()) };
    await rename(temporary, path.join(folder, narName(hash)));
    return { hash, size: written };
  } finally {
    await rm(temporary, { force: true });
  }
}

function narName(hash: NixHash): string {
  return `nar/${formatNixHash(hash, 'base32')}.nar.zst`;
}

function narinfo(
  { storePath, hash, size }: CachedObject,
  file: CompressedNar,
  key: NixSigningKey | undefined,
): string {
  const narHash = `sha256:${formatNixHash(hash, 'base32')}`;
  return [
    `StorePath: ${storePath}`,
    `URL: ${narName(file.hash)}`,
    'Compression: zstd',
    `FileHash: sha256:${formatNixHash(file.hash, 'base32')}`,
    `FileSize: ${file.size}`,
    `NarHash: ${narHash}`,
    `NarSize: ${size}`,
    'References: ',
    // The path follows from the hash: Nix takes it without a signature too.
    `CA: fixed:r:${narHash}`,
    ...(key ? [`Sig: ${key.sign(`1;${storePath};${narHash};${size};`)}`] : []),
    '',
  ].join('\n');
}

async function writeWhole(folder: string, name: string, text: string): Promise<void> {
  const temporary = path.join(folder, `.${temporaryName()}`);
  try {
    const file = await open(temporary, 'wx', 0o644);
    try {
      await file.writeFile(text);
      await file.chmod(0o644);
    } finally {
      await file.close();
    }
    await rename(temporary, path.join(folder, name));
  } finally {
    await rm(temporary, { force: true });
  }
}
