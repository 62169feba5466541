// A suite's contents index, dists/SUITE/main/Contents-ARCH: which package has which file.
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { UportError } from '@uport/errors';
import { parseDigest } from '../model/digest.ts';
import { fetchListed, fetchRelease } from './archive.ts';
import type { DebianContext } from './context.ts';
import type { Mirror } from './mirror.ts';
import type { ListedFile, Release } from './release.ts';
import { inTurn } from './turn.ts';
import { unxz } from './xz.ts';

/** A shared library of a suite. */
export interface LibraryFile {
  /** Relative, such as `usr/lib/riscv64-linux-gnu/libz.so.1`. Bytes, one character each. */
  readonly path: string;
  /** The packages that have it, without their sections. */
  readonly packages: readonly string[];
}

const COMPRESSIONS = ['.gz', '.xz', ''] as const;
/** Sid's amd64 index unpacks to some 900 MB; its libraries are a few MB of that. */
const MAX_CONTENTS = 4 * 2 ** 30;
const MAX_LIBRARIES = 256 << 20;
const MAX_LINE = 1 << 20;

/**
 * The shared libraries of the named sonames that a suite has for an architecture, in its component
 * `main`. The index is verified through the signed Release file; what it says of libraries is kept
 * in the store, so that it is read through once.
 *
 * @returns by name; names that the suite does not have are absent
 * @throws UportError when the suite cannot be had: UPORT_DEBIAN_*, UPORT_CHECKSUM_MISMATCH
 */
export async function lookUpLibraries(
  mirror: Mirror,
  suite: string,
  architecture: string,
  names: ReadonlySet<string>,
  context: DebianContext,
): Promise<ReadonlyMap<string, readonly LibraryFile[]>> {
  const release = await fetchRelease(mirror, suite, context);
  let text: string;
  try {
    text = await libraryText(release, mirror, suite, architecture, context);
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof UportError) || error.category !== 'network') throw error;
    // A mirror in the middle of an update: a Release file fetched anew may fit its indexes.
    const newer = await fetchRelease(mirror, suite, context, true);
    if (newer.date.getTime() === release.date.getTime()) throw error;
    text = await libraryText(newer, mirror, suite, architecture, context);
  }
  return findIn(text, names);
}

function findIn(
  text: string,
  names: ReadonlySet<string>,
): ReadonlyMap<string, readonly LibraryFile[]> {
  const found = new Map<string, LibraryFile[]>();
  for (const name of names) {
    if (/[\n\t/]/.test(name)) continue;
    const wanted = `/${name}\t`;
    for (let at = text.indexOf(wanted); at !== -1; at = text.indexOf(wanted, at + 1)) {
      const start = text.lastIndexOf('\n', at) + 1;
      const end = text.indexOf('\n', at);
      const [path, packages] = text.slice(start, end).split('\t') as [string, string];
      const file = { path, packages: packages.split(',') };
      found.set(name, [...(found.get(name) ?? []), file]);
    }
  }
  return found;
}

/** One line a library: path, tab, packages. */
async function libraryText(
  release: Release,
  mirror: Mirror,
  suite: string,
  architecture: string,
  context: DebianContext,
): Promise<string> {
  const listed = listedContents(release, architecture);
  if (listed === undefined) return '';
  const { file, name } = listed;
  const { store, signal } = context;
  const note = `debian-libraries/${file.digest}`;
  const known = (await store.lookup(note)) as { readonly digest?: string } | undefined;
  const kept = known?.digest && (await store.read(parseDigest(known.digest), MAX_LIBRARIES));
  if (kept) return Buffer.from(kept.buffer, kept.byteOffset, kept.length).toString('latin1');

  const folder = `${mirror.url}/dists/${suite}/`;
  const slash = name.lastIndexOf('/') + 1;
  const byHash = `${folder}${name.slice(0, slash)}by-hash/SHA256/${file.digest.slice('sha256:'.length)}`;
  const label = `${suite} ${architecture} contents`;
  const urls = release.byHash ? [byHash, folder + name] : [folder + name];
  const place = await fetchListed(file, urls, label, context);
  const task = context.progress.start(`Reading ${label}`);
  const lines: string[] = [];
  let size = 0;
  await inTurn(async () => {
    for await (const line of findLibraries(unpack(place, listed, signal))) {
      size += line.length;
      if (size > MAX_LIBRARIES) throw invalid('it names too many libraries');
      lines.push(line);
    }
  });
  task.done();
  const text = lines.join('');
  const { digest } = await store.put(once(Buffer.from(text, 'latin1')), { signal, name: label });
  await store.record(note, { digest });
  return text;
}

interface ListedContents {
  readonly file: ListedFile;
  /** Below `dists/SUITE/`. */
  readonly name: string;
  readonly compression: (typeof COMPRESSIONS)[number];
}

/** Suites before 2013 have it for all components together. */
function listedContents(release: Release, architecture: string): ListedContents | undefined {
  for (const base of [`main/Contents-${architecture}`, `Contents-${architecture}`]) {
    for (const compression of COMPRESSIONS) {
      const file = release.files.get(base + compression);
      if (file) return { file, name: base + compression, compression };
    }
  }
  return undefined;
}

async function* unpack(
  place: string,
  { file, compression }: ListedContents,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (compression === '.xz') {
    yield* unxz(place, 0, file.size, signal);
    return;
  }
  const input = createReadStream(place, { highWaterMark: 1 << 20, signal });
  if (compression === '') {
    yield* input;
    return;
  }
  const gunzip = createGunzip({ chunkSize: 1 << 20 });
  input.on('error', (error) => gunzip.destroy(error));
  yield* input.pipe(gunzip);
}

const LIBRARY = /\/(?:lib|ld)[^/]*\.so[^/]*$|\/[^/]+\.so\.\d[^/]*$/;

/**
 * The lines of an index that name shared libraries, as `path TAB package,package`. Only lines in
 * which `.so` occurs are looked at: there are a hundred times as many others.
 *
 * @throws UportError UPORT_DEBIAN_INDEX_INVALID
 */
export async function* findLibraries(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0);
  let size = 0;
  for await (const chunk of bytes) {
    size += chunk.length;
    if (size > MAX_CONTENTS) throw invalid('it is too long');
    const text = Buffer.concat([rest, chunk]);
    const end = text.lastIndexOf(10) + 1;
    if (text.length - end > MAX_LINE) throw invalid('a line is too long');
    yield* librariesIn(text.subarray(0, end));
    rest = Buffer.from(text.subarray(end));
  }
  yield* librariesIn(Buffer.concat([rest, Buffer.from('\n')]));
}

function* librariesIn(lines: Buffer): Generator<string> {
  for (let at = lines.indexOf('.so'); at !== -1; ) {
    const start = lines.lastIndexOf(10, at) + 1;
    const end = lines.indexOf(10, at);
    if (end === -1) return;
    const line = readLine(lines.toString('latin1', start, end));
    if (line !== undefined) yield line;
    at = lines.indexOf('.so', end);
  }
}

/** `FILE   SECTION/PACKAGE,AREA/SECTION/PACKAGE`; a path may hold spaces. */
function readLine(line: string): string | undefined {
  const parts = /^(\S.*?)\s+(\S+)$/.exec(line);
  if (!parts) return undefined;
  const path = (parts[1] as string).replace(/^(?:\.?\/)+/, '');
  if (!LIBRARY.test(path) || path.includes('\t')) return undefined;
  const packages = (parts[2] as string)
    .split(',')
    .map((each) => each.slice(each.lastIndexOf('/') + 1))
    .filter((each) => /^[a-z0-9][a-z0-9+.-]*$/.test(each));
  return packages.length === 0 ? undefined : `${path}\t${packages.join(',')}\n`;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function invalid(what: string): UportError {
  return new UportError({
    code: 'UPORT_DEBIAN_INDEX_INVALID',
    category: 'network',
    message: `a contents index cannot be read: ${what}`,
    hint: 'name another mirror with UPORT_DEBIAN_MIRROR',
  });
}
