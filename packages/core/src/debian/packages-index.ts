import { createReadStream } from 'node:fs';
import path from 'node:path';
import { createGunzip, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { UportError } from '@uport/errors';
import { type Digest, parseDigest, sha256Digest } from '../model/digest.ts';
import { fetchListed, fetchRelease } from './archive.ts';
import type { DebianContext } from './context.ts';
import { type Paragraph, parseParagraph } from './deb822.ts';
import type { Mirror } from './mirror.ts';
import type { ListedFile, Release } from './release.ts';
import { inTurn } from './turn.ts';
import { unxz } from './xz.ts';

/** One package as an index lists it. */
export interface IndexedPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly sourcePackage: string;
  readonly sourceVersion: string;
  /** The .deb, relative to the mirror. */
  readonly poolPath: string;
  readonly size: number;
  readonly digest: Digest;
  readonly depends: string;
}

/** Which packages are looked for: a name, a pattern of names, or a test of them. */
export type PackageName = string | RegExp | ((name: string) => boolean);

/** The largest real stanzas are a few ten KB. */
const MAX_STANZA = 1 << 20;

/** The compressions to ask for, best first. */
const COMPRESSIONS = ['.xz', '.gz', ''] as const;

/**
 * The packages of that name that a suite has for an architecture, from its component `main`.
 *
 * @throws UportError when the suite cannot be had: UPORT_DEBIAN_*, UPORT_CHECKSUM_MISMATCH
 */
export async function lookUpPackages(
  mirror: Mirror,
  suite: string,
  architecture: string,
  name: PackageName,
  context: DebianContext,
): Promise<readonly IndexedPackage[]> {
  const release = await fetchRelease(mirror, suite, context);
  if (!release.architectures.includes(architecture)) return [];
  try {
    return await lookUpIn(release, mirror, suite, architecture, name, context);
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof UportError) || error.category !== 'network') throw error;
    // A mirror in the middle of an update: a Release file fetched anew may fit its indexes.
    const newer = await fetchRelease(mirror, suite, context, true);
    if (newer.date.getTime() === release.date.getTime()) throw error;
    return lookUpIn(newer, mirror, suite, architecture, name, context);
  }
}

async function lookUpIn(
  release: Release,
  mirror: Mirror,
  suite: string,
  architecture: string,
  name: PackageName,
  context: DebianContext,
): Promise<readonly IndexedPackage[]> {
  const listed = listedIndex(release, 'main', architecture);
  if (!listed) return [];
  const { file, compression, base } = listed;
  const note =
    typeof name === 'function' ? undefined : `debian-packages/${file.digest} ${String(name)}`;
  if (note !== undefined) {
    const known = (await context.store.lookup(note)) as readonly IndexedPackage[] | undefined;
    if (known) return known;
  }
  const kept = await fetchIndex(listed, release, mirror, suite, architecture, context);
  const limit = release.files.get(base)?.size ?? MAX_INDEX;
  const found: IndexedPackage[] = [];
  await inTurn(async () => {
    const unpacked = unpack(kept, file, compression, context.signal);
    for await (const stanza of findStanzas(unpacked, name, limit)) {
      const entry = readStanza(stanza);
      if (entry) found.push(entry);
    }
  });
  if (note !== undefined) await context.store.record(note, found);
  return found;
}

interface ListedIndex {
  readonly file: ListedFile;
  readonly compression: (typeof COMPRESSIONS)[number];
  /** Below `dists/SUITE/`, not compressed. */
  readonly base: string;
}

function listedIndex(
  release: Release,
  component: string,
  architecture: string,
): ListedIndex | undefined {
  const base = `${component}/binary-${architecture}/Packages`;
  const compression = COMPRESSIONS.find((suffix) => release.files.has(base + suffix));
  const file = compression === undefined ? undefined : release.files.get(base + compression);
  return compression === undefined || !file ? undefined : { file, compression, base };
}

function fetchIndex(
  { file, base, compression }: ListedIndex,
  release: Release,
  mirror: Mirror,
  suite: string,
  architecture: string,
  context: DebianContext,
): Promise<string> {
  const folder = `${mirror.url}/dists/${suite}/`;
  const hex = file.digest.slice('sha256:'.length);
  const byHash = `${folder}${path.posix.dirname(base)}/by-hash/SHA256/${hex}`;
  const plain = folder + base + compression;
  return fetchListed(
    file,
    release.byHash ? [byHash, plain] : [plain],
    `${suite} ${architecture} index`,
    context,
  );
}

/** Sid's has 60 MB. */
const MAX_INDEX = 1 << 30;

/**
 * A whole index as Latin-1 text; undefined when the suite has no such component. The store keeps it
 * in a form that unpacks ten times as fast as xz.
 *
 * @throws UportError when the suite cannot be had: UPORT_DEBIAN_*, UPORT_CHECKSUM_MISMATCH
 */
export async function wholeIndexText(
  mirror: Mirror,
  suite: string,
  component: string,
  architecture: string,
  context: DebianContext,
): Promise<string | undefined> {
  let release = await fetchRelease(mirror, suite, context);
  const load = async (): Promise<string | undefined> => {
    const listed = listedIndex(release, component, architecture);
    if (!listed) return undefined;
    const { store, signal } = context;
    const note = `debian-index/${listed.file.digest}`;
    const known = (await store.lookup(note)) as { readonly digest?: string } | undefined;
    const kept = known?.digest && (await store.read(parseDigest(known.digest), MAX_INDEX));
    if (kept) return zstdDecompressSync(kept, { maxOutputLength: MAX_INDEX }).toString('latin1');
    const file = await fetchIndex(listed, release, mirror, suite, architecture, context);
    const limit = release.files.get(listed.base)?.size ?? MAX_INDEX;
    const chunks: Buffer[] = [];
    let size = 0;
    await inTurn(async () => {
      for await (const chunk of unpack(file, listed.file, listed.compression, signal)) {
        size += chunk.length;
        if (size > limit) throw invalid(`it is longer than the ${limit} bytes it should have`);
        chunks.push(Buffer.from(chunk));
      }
    });
    const bytes = Buffer.concat(chunks);
    const packed = zstdCompressSync(bytes);
    const { digest } = await store.put(once(packed), {
      signal,
      name: `${suite} ${architecture} index`,
    });
    await store.record(note, { digest });
    return bytes.toString('latin1');
  };
  try {
    return await load();
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof UportError) || error.category !== 'network') throw error;
    // As in `lookUpPackages`.
    const newer = await fetchRelease(mirror, suite, context, true);
    if (newer.date.getTime() === release.date.getTime()) throw error;
    release = newer;
    return load();
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function* unpack(
  kept: string,
  file: ListedFile,
  compression: (typeof COMPRESSIONS)[number],
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (compression === '.xz') {
    yield* unxz(kept, 0, file.size, signal);
    return;
  }
  const input = createReadStream(kept, { highWaterMark: 1 << 20, signal });
  if (compression === '') {
    yield* input;
    return;
  }
  const gunzip = createGunzip();
  input.on('error', (error) => gunzip.destroy(error));
  yield* input.pipe(gunzip);
}

/**
 * The stanzas of an index whose package has that name.
 *
 * @throws UportError UPORT_DEBIAN_INDEX_INVALID
 */
export async function* findStanzas(
  bytes: AsyncIterable<Uint8Array>,
  name: PackageName,
  limit: number,
): AsyncGenerator<string> {
  const wanted = matcher(name);
  // The rest of a stanza and the next chunk, in memory that is used over and over.
  let room: Buffer = Buffer.alloc(0);
  let filled = 0;
  let size = 0;
  for await (const chunk of bytes) {
    size += chunk.length;
    if (size > limit) throw invalid(`it is longer than the ${limit} bytes it should have`);
    if (filled + chunk.length > room.length) {
      const larger = Buffer.alloc(2 * (filled + chunk.length));
      room.copy(larger, 0, 0, filled);
      room = larger;
    }
    room.set(chunk, filled);
    const text = room.subarray(0, filled + chunk.length);
    // A gap may begin with the last byte of what was there before.
    let from = Math.max(0, filled - 1);
    let start = 0;
    for (let end = text.indexOf(GAP, from); end !== -1; end = text.indexOf(GAP, from)) {
      if (wanted(nameOf(text, start, end))) yield text.toString('latin1', start, end);
      start = end + GAP.length;
      from = start;
    }
    filled = text.length - start;
    if (filled > MAX_STANZA) throw invalid('a stanza is too long');
    room.copyWithin(0, start, text.length);
  }
  if (wanted(nameOf(room, 0, filled))) yield room.toString('latin1', 0, filled);
}

const GAP = Buffer.from('\n\n');

/** Latin-1 keeps every byte one character; the fields that are read are ASCII. */
function nameOf(text: Buffer, start: number, end: number): string {
  const newline = text.indexOf('\n', start);
  const first = text.toString('latin1', start, newline === -1 ? end : Math.min(newline, end));
  // It is the first field but for damaged or hand-made indexes.
  return (NAME.exec(first) ?? NAME.exec(text.toString('latin1', start, end)))?.[1] ?? '';
}

const NAME = /^Package:[ \t]*(\S+)/m;

function matcher(name: PackageName): (name: string) => boolean {
  if (typeof name === 'function') return name;
  if (typeof name === 'string') return (each) => each === name;
  const pattern = new RegExp(name.source, name.flags.replace(/[gy]/g, ''));
  return (each) => pattern.test(each);
}

function readStanza(stanza: string): IndexedPackage | undefined {
  return readIndexed(parseParagraph(stanza));
}

/** What an index says of a package; undefined where it lacks what is needed. */
export function readIndexed(fields: Paragraph): IndexedPackage | undefined {
  const name = fields.get('package');
  const version = fields.get('version');
  const poolPath = fields.get('filename');
  const size = fields.get('size') ?? '';
  const sha256 = fields.get('sha256') ?? '';
  if (!name || !version || !poolPath || !/^\d{1,12}$/.test(size)) return undefined;
  if (!/^[0-9a-f]{64}$/.test(sha256)) return undefined;
  // A signed index is believed, but a path stays below the mirror.
  if (!/^[\w.+~:%/-]+$/.test(poolPath) || /(^|\/)\.\.?(\/|$)|^\//.test(poolPath)) return undefined;
  const source = /^(\S+)(?:\s+\((\S+)\))?$/.exec(fields.get('source') ?? '');
  return {
    name,
    version,
    architecture: fields.get('architecture') ?? '',
    // Left out where they are the binary package's own; a rebuild has another version than its source.
    sourcePackage: source?.[1] ?? name,
    sourceVersion: source?.[2] ?? version,
    poolPath,
    size: Number(size),
    digest: sha256Digest(sha256),
    depends: fields.get('depends') ?? '',
  };
}

function invalid(what: string): UportError {
  return new UportError({
    code: 'UPORT_DEBIAN_INDEX_INVALID',
    category: 'network',
    message: `a package index cannot be read: ${what}`,
    hint: 'name another mirror with UPORT_DEBIAN_MIRROR',
  });
}
