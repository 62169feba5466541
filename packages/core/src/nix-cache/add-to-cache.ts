// Adding to a binary cache: nix-cache-info, a .narinfo for each store path, and compressed NARs.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { formatNixHash, type NixHash } from '../nix/hash.ts';
import type { NixSigningKey } from '../nix/signing-key.ts';
import { NIX_STORE_DIR, parseStorePath } from '../nix/store-path.ts';
import { systemError } from '../system-error.ts';
import { zstdFrame } from '../zstd-frame.ts';
import type { CacheTransport, CacheUpload } from './transport.ts';

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
  /** A file to be made for the while. */
  readonly temporary: string;
  readonly signal: AbortSignal;
}

const DEFAULT_LEVEL = 3;

/**
 * Adds an object to a cache. The .narinfo comes last, so readers find the object whole or not at
 * all.
 *
 * @returns the .narinfo's name, and the size of the compressed NAR
 * @throws UportError for faults of the file system or of the cache
 */
export async function addToBinaryCache(
  cache: CacheTransport,
  object: CachedObject,
  options: BinaryCacheOptions,
): Promise<{ readonly narinfo: string; readonly fileSize: number }> {
  const { signal, temporary } = options;
  try {
    const { hash, size } = await compress(object, options);
    const name = narName(hash);
    if (!(await cache.has(name, signal))) {
      await cache.write(
        name,
        {
          size,
          sha256: Buffer.from(hash.bytes).toString('hex'),
          contentType: 'application/x-nix-nar',
          open: () => createReadStream(temporary, { highWaterMark: 256 << 10 }),
        },
        signal,
      );
    }
    // One that is there may hold its owner's own settings.
    if (!(await cache.has('nix-cache-info', signal))) {
      const info = `StoreDir: ${NIX_STORE_DIR}\n`;
      await cache.write('nix-cache-info', text(info, 'text/x-nix-cache-info'), signal);
    }
    const narinfo = `${parseStorePath(object.storePath).hash}.narinfo`;
    const content = narinfoText(object, { hash, size }, options.key);
    await cache.write(narinfo, text(content, 'text/x-nix-narinfo'), signal);
    return { narinfo, fileSize: size };
  } finally {
    await rm(temporary, { force: true });
  }
}

function text(content: string, contentType: string): CacheUpload {
  const bytes = Buffer.from(content);
  return {
    size: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    contentType,
    async *open() {
      yield bytes;
    },
  };
}

interface CompressedNar {
  readonly hash: NixHash;
  readonly size: number;
}

async function compress(
  { nar, size }: CachedObject,
  { level = DEFAULT_LEVEL, temporary, signal }: BinaryCacheOptions,
): Promise<CompressedNar> {
  const sha256 = createHash('sha256');
  let written = 0;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      const source = createReadStream(nar, { signal });
      for await (const chunk of zstdFrame(source, { level, size })) {
        signal.throwIfAborted();
        sha256.update(chunk);
        written += chunk.length;
        await file.writeFile(chunk);
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    signal.throwIfAborted();
    throw systemError(error, temporary);
  }
  return { hash: { algorithm: 'sha256', bytes: Uint8Array.from(sha256.digest()) }, size: written };
}

function narName(hash: NixHash): string {
  return `nar/${formatNixHash(hash, 'base32')}.nar.zst`;
}

function narinfoText(
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
