// Packed layers kept in the store, by what went into them.
import { createHash } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { UportError } from '@uport/errors';
import { parseDigest } from '../model/digest.ts';
import type { Store } from '../store/store.ts';
import type { TarEntry } from '../tar/tar-blocks.ts';
import { openOrdinary, type ReadTally, readPieces } from './blob-file.ts';
import type { Compression } from './compress.ts';
import type { Layer } from './layer-writer.ts';

export interface LayerInputs {
  readonly compression: Compression;
  readonly level: number;
  readonly mtime: number;
  readonly entries: readonly TarEntry[];
}

/** Raised when the bytes written for the same inputs change. */
const WRITER = 1;

/**
 * The record's name. Everything that decides the bytes is in it, the compressor's version too: what
 * comes out of the cache is what would be packed anew.
 */
export function layerKey({ compression, level, mtime, entries }: LayerInputs): string {
  const contents = entries.map((entry) => {
    if (entry.type !== 'file') return entry;
    const { content, ...facts } = entry;
    const digest =
      'bytes' in content
        ? `sha256:${createHash('sha256').update(content.bytes).digest('hex')}`
        : content.digest;
    return { ...facts, digest };
  });
  const compressor = process.versions[compression === 'gzip' ? 'zlib' : 'zstd'];
  const inputs = JSON.stringify([WRITER, compression, compressor, level, mtime, contents]);
  return `oci-layer/${createHash('sha256').update(inputs).digest('hex')}`;
}

/** The kept layer and its file; undefined when there is none. The bytes are checked by who reads them. */
export async function lookupCached(
  store: Store,
  key: string,
): Promise<(Layer & { readonly file: string }) | undefined> {
  const layer = asLayer(await store.lookup(key));
  const file = layer && store.locate(layer.digest);
  return layer && file !== undefined ? { ...layer, file } : undefined;
}

/** Copies the layer into a new file; undefined when it is not kept, or is damaged. */
export async function fetchCached(
  store: Store,
  key: string,
  file: string,
  signal: AbortSignal,
): Promise<Layer | undefined> {
  const layer = asLayer(await store.lookup(key));
  const kept = layer && store.locate(layer.digest);
  const opened = kept === undefined ? undefined : await openOrdinary(kept);
  if (!layer || !opened) return undefined;
  const tally: ReadTally = { size: 0, digest: '' };
  let whole = false;
  try {
    const copy = await open(file, 'wx', 0o644);
    try {
      for await (const piece of readPieces(opened.handle, tally, signal)) {
        await copy.writeFile(piece);
      }
    } finally {
      await copy.close();
    }
    whole = tally.digest === layer.digest && tally.size === layer.size;
  } finally {
    await opened.handle.close();
    if (!whole) await rm(file, { force: true });
  }
  return whole ? layer : undefined;
}

/** Keeps a layer for later builds. A store that cannot take it does not fail the build. */
export async function keepCached(
  store: Store,
  key: string,
  file: string,
  layer: Layer,
  signal: AbortSignal,
): Promise<void> {
  try {
    await store.putFile(file, { expected: layer.digest, signal });
    await store.record(key, layer);
  } catch (error) {
    if (!(error instanceof UportError && error.code.startsWith('UPORT_STORE_'))) throw error;
  }
}

function asLayer(value: unknown): Layer | undefined {
  const { mediaType, digest, size, diffId } = (value ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof mediaType !== 'string' || typeof digest !== 'string') return undefined;
  if (typeof size !== 'number' || typeof diffId !== 'string') return undefined;
  try {
    return { mediaType, digest: parseDigest(digest), size, diffId: parseDigest(diffId) };
  } catch {
    return undefined;
  }
}
