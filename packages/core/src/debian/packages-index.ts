import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { UportError } from '@uport/errors';
import { type Digest, sha256Digest } from '../model/digest.ts';
import { fetchListed, fetchRelease } from './archive.ts';
import type { DebianContext } from './context.ts';
import { parseParagraph } from './deb822.ts';
import type { Mirror } from './mirror.ts';
import type { ListedFile, Release } from './release.ts';
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
  const base = `main/binary-${architecture}/Packages`;
  const compression = COMPRESSIONS.find((suffix) => release.files.has(base + suffix));
  const file = compression === undefined ? undefined : release.files.get(base + compression);
  if (compression === undefined || !file) return [];
  const note =
    typeof name === 'function' ? undefined : `debian-packages/${file.digest} ${String(name)}`;
  if (note !== undefined) {
    const known = (await context.store.lookup(note)) as readonly IndexedPackage[] | undefined;
    if (known) return known;
  }
  const folder = `${mirror.url}/dists/${suite}/`;
  const hex = file.digest.slice('sha256:'.length);
  const byHash = `${folder}main/binary-${architecture}/by-hash/SHA256/${hex}`;
  const plain = folder + base + compression;
  const kept = await fetchListed(
    file,
    release.byHash ? [byHash, plain] : [plain],
    `${suite} ${architecture} index`,
    context,
  );
  const unpacked = unpack(kept, file, compression, context.signal);
  const limit = release.files.get(base)?.size ?? 1 << 30;
  const found: IndexedPackage[] = [];
  for await (const stanza of findStanzas(unpacked, name, limit)) {
    const entry = readStanza(stanza);
    if (entry) found.push(entry);
  }
  if (note !== undefined) await context.store.record(note, found);
  return found;
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
  let rest = '';
  let size = 0;
  for await (const chunk of bytes) {
    size += chunk.length;
    if (size > limit) throw invalid(`it is longer than the ${limit} bytes it should have`);
    // Latin-1 keeps every byte one character; the fields that are read are ASCII.
    const text =
      rest + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString('latin1');
    const stanzas = text.split('\n\n');
    rest = stanzas.pop() ?? '';
    if (rest.length > MAX_STANZA) throw invalid('a stanza is too long');
    for (const stanza of stanzas) if (wanted(nameOf(stanza))) yield stanza;
  }
  if (wanted(nameOf(rest))) yield rest;
}

function nameOf(stanza: string): string {
  // It is the first field but for damaged or hand-made indexes.
  return /^Package:[ \t]*(\S+)/m.exec(stanza)?.[1] ?? '';
}

function matcher(name: PackageName): (name: string) => boolean {
  if (typeof name === 'function') return name;
  if (typeof name === 'string') return (each) => each === name;
  const pattern = new RegExp(name.source, name.flags.replace(/[gy]/g, ''));
  return (each) => pattern.test(each);
}

function readStanza(stanza: string): IndexedPackage | undefined {
  const fields = parseParagraph(stanza);
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
