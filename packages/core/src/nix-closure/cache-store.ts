// Store objects out of a binary cache, each checked against its .narinfo and that against a key.
import { createHash } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { textPath } from '../model/byte-path.ts';
import { type Digest, parseDigest } from '../model/digest.ts';
import { formatNixHash, type NixHash } from '../nix/hash.ts';
import { readNar } from '../nix/nar-reader.ts';
import { isTrusted, MAX_NARINFO, type NarInfo, parseNarInfo } from '../nix/narinfo.ts';
import { type NixPublicKey, parseNixPublicKey } from '../nix/public-key.ts';
import { parseStorePath } from '../nix/store-path.ts';
import type { OpenCache } from '../nix-cache/open-cache.ts';
import type { CacheTransport } from '../nix-cache/transport.ts';
import { storeFault } from '../store/faults.ts';
import { temporaryName } from '../store/temporary.ts';
import { systemError } from '../system-error.ts';
import { scanOfEntries } from './canonical-scan.ts';
import { pathMissing } from './faults.ts';
import { decodeNar } from './nar-decoder.ts';
import type { ClosureContext, NixStore } from './nix-store.ts';
import { type NarFiles, placeEntries, type RelativeEntry, storeNarFiles } from './store-nar.ts';

/** A compressed NAR is hardly larger than the NAR and a sixteenth of it and this. */
const SLACK = 1 << 20;
const MAX_LIST = 256 << 20;

/**
 * @param keys whose signatures count; an object whose path follows from its content needs none
 */
export function cacheStore(
  { transport, trusted, trustedKeys }: OpenCache,
  keys: readonly NixPublicKey[],
): NixStore {
  const all = [...keys, ...trustedKeys.map(parseNixPublicKey)];
  return {
    name: transport.url,
    async read(storePath, context) {
      const info = await readInfo(transport, storePath, context.signal);
      if (!trusted && !isTrusted(info, all)) throw untrusted(info, transport.url);
      const kept = await lookUp(info.narHash, context);
      const { entries, files } = kept ?? (await fetchObject(transport, info, context));
      const scan = scanOfEntries(placeEntries(textPath(storePath.slice(1)), entries), files);
      return { storePath, references: info.references.toSorted(), scan };
    },
  };
}

async function readInfo(
  transport: CacheTransport,
  storePath: string,
  signal: AbortSignal,
): Promise<NarInfo> {
  const { hash } = parseStorePath(storePath);
  const name = `${hash}.narinfo`;
  const file = await transport.read(name, signal);
  if (file === undefined) throw pathMissing(storePath, transport.url);
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of file.chunks) {
    size += chunk.length;
    if (size > MAX_NARINFO) break;
    parts.push(chunk);
  }
  try {
    const info = parseNarInfo(Buffer.concat(parts).toString('latin1'));
    if (info.storePath === storePath) return info;
  } catch (error) {
    throw error instanceof UportError ? error.inFile(`${transport.url}/${name}`) : error;
  }
  throw new UportError({
    code: 'UPORT_NIX_NARINFO_INVALID',
    category: 'input',
    message: `${transport.url}/${name} is not about ${storePath}`,
    hint: 'the cache is damaged; look at the file',
  });
}

async function fetchObject(
  transport: CacheTransport,
  info: NarInfo,
  context: ClosureContext,
): Promise<NarFiles> {
  const { store, signal } = context;
  const name = narName(info, transport);
  const temporary = path.join(store.root, 'tmp', temporaryName());
  try {
    // Before the cache is asked, so that no answer is left unread.
    const handle = await open(temporary, 'wx', 0o600).catch((error: unknown) => {
      throw storeFault(error, store.root);
    });
    const { size, sha256 } = await download(
      { handle, root: store.root },
      name,
      transport,
      info,
      signal,
    );
    if (info.fileHash?.algorithm === 'sha256' && !sameHash(info.fileHash, sha256)) {
      throw damaged(info, transport, 'is not the file that its .narinfo promises');
    }
    return await unpack(temporary, size, transport, info, context);
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof UportError ? error : systemError(error, temporary);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Into a file that is not kept: its content will be. */
async function download(
  { handle, root }: { readonly handle: FileHandle; readonly root: string },
  name: string,
  transport: CacheTransport,
  info: NarInfo,
  signal: AbortSignal,
): Promise<{ size: number; sha256: Buffer }> {
  const sha256 = createHash('sha256');
  let size = 0;
  const most = info.narSize + Math.ceil(info.narSize / 16) + SLACK;
  const maxSize = Math.min(info.fileSize ?? Infinity, most);
  try {
    const source = await transport.read(name, signal);
    if (source === undefined) throw damaged(info, transport, 'has no NAR at the address it names');
    for await (const chunk of source.chunks) {
      signal.throwIfAborted();
      size += chunk.length;
      if (size > maxSize) {
        throw new UportError({
          code: 'UPORT_NIX_NAR_DAMAGED',
          category: 'input',
          message: `a NAR is larger than the ${maxSize} bytes that its .narinfo allows`,
          hint: 'the cache is damaged or was made to mislead; fill it again',
        });
      }
      sha256.update(chunk);
      await handle.writeFile(chunk).catch((error: unknown) => {
        throw storeFault(error, root);
      });
    }
  } finally {
    await handle.close();
  }
  return { size, sha256: sha256.digest() };
}

async function unpack(
  file: string,
  size: number,
  transport: CacheTransport,
  info: NarInfo,
  context: ClosureContext,
): Promise<NarFiles> {
  const { signal } = context;
  const plain = createHash('sha256');
  const chunks = observe(decodeNar(file, size, info.compression, signal), plain, info);
  const found = await storeNarFiles(readNar(chunks, { signal, size: info.narSize }), context);
  if (!sameHash(info.narHash, plain.digest())) {
    throw damaged(info, transport, 'has other bytes than its .narinfo promises');
  }
  await keep(info.narHash, found, context);
  return found;
}

/** The name below the cache; an address elsewhere is refused, since nobody named it. */
function narName(info: NarInfo, transport: CacheTransport): string {
  const { url } = info;
  const inside = /^[A-Za-z0-9][\w.+=-]*(?:\/[A-Za-z0-9][\w.+=-]*)*(?:\?[\w.+=&%-]*)?$/.test(url);
  if (inside) return url;
  throw damaged(info, transport, `names ${JSON.stringify(url.slice(0, 200))} as its NAR's place`);
}

async function* observe(
  chunks: AsyncIterable<Uint8Array>,
  hash: ReturnType<typeof createHash>,
  info?: NarInfo,
): AsyncGenerator<Uint8Array, void, undefined> {
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    // A small file may unpack to any size; it must not fill the disk before it is refused.
    if (info && size > info.narSize) return;
    hash.update(chunk);
    yield chunk;
  }
}

function sameHash(hash: NixHash, bytes: Buffer): boolean {
  return bytes.equals(hash.bytes);
}

const recordOf = (hash: NixHash) => `nix-objects/${formatNixHash(hash, 'base16')}`;

/** An object that was unpacked before, while the store has all its files. */
async function lookUp(hash: NixHash, { store }: ClosureContext): Promise<NarFiles | undefined> {
  const kept = (await store.lookup(recordOf(hash))) as { list?: unknown } | undefined;
  if (typeof kept?.list !== 'string') return undefined;
  const bytes = await store.read(parseDigest(kept.list), MAX_LIST);
  if (bytes === undefined) return undefined;
  const entries = JSON.parse(Buffer.from(bytes).toString('latin1')) as RelativeEntry[];
  const files = new Map<Digest, string>();
  for (const entry of entries) {
    if (entry.type !== 'file') continue;
    const { digest } = entry as unknown as { digest: Digest };
    const file = store.locate(digest);
    if (file === undefined) return undefined;
    files.set(digest, file);
  }
  return { entries, files };
}

async function keep(
  hash: NixHash,
  { entries }: NarFiles,
  { store, signal }: ClosureContext,
): Promise<void> {
  const text = Buffer.from(JSON.stringify(entries), 'latin1');
  const { digest } = await store.put(
    (async function* () {
      yield text;
    })(),
    { signal },
  );
  await store.record(recordOf(hash), { list: digest });
}

function untrusted(info: NarInfo, cache: string): UportError {
  const signers = info.signatures.map((each) => each.split(':')[0]).join(', ');
  return new UportError({
    code: 'UPORT_NIX_UNTRUSTED',
    category: 'input',
    message: `${info.storePath} of ${cache} lacks a signature by a trusted key (${
      signers === '' ? 'it has none' : `signed by ${signers.slice(0, 200)}`
    })`,
    hint: 'name the cache’s public key with --nix-trusted-key NAME:BASE64 or ?trusted-public-keys= in its address, or add ?trusted=true',
  });
}

function damaged(info: NarInfo, transport: CacheTransport, what: string): UportError {
  return new UportError({
    code: 'UPORT_NIX_NAR_DAMAGED',
    category: 'input',
    message: `${info.storePath} of ${transport.url} ${what}`,
    hint: 'the cache is damaged or was made to mislead; fill it again',
  });
}
