import { UportError } from '@uport/errors';
import { type Digest, parseDigest } from '../model/digest.ts';
import type { DebianContext } from './context.ts';
import { get, getBytes, isPassing, retrying } from './http.ts';
import { archiveKeys, keyringFile } from './keyring.ts';
import { findMirrors, type Mirror } from './mirror.ts';
import { checkRelease, type ListedFile, type Release, readInRelease } from './release.ts';

/** Sid's is 0.2 MB. */
const MAX_RELEASE = 16 << 20;

/** Requests of one build: every Release file is fetched once, and a dead mirror is tried once. */
interface Session {
  readonly releases: Map<string, Promise<Release>>;
  readonly dead: Map<string, UportError>;
  readonly files: Map<string, Promise<string>>;
  mirrors: Promise<readonly Mirror[]> | undefined;
}

const sessions = new WeakMap<DebianContext, Session>();

function sessionOf(context: DebianContext): Session {
  let session = sessions.get(context);
  if (!session) {
    session = { releases: new Map(), dead: new Map(), files: new Map(), mirrors: undefined };
    sessions.set(context, session);
  }
  return session;
}

/** The mirrors of this build, in the order to ask them. */
export function mirrorsOf(context: DebianContext): Promise<readonly Mirror[]> {
  const session = sessionOf(context);
  session.mirrors ??= findMirrors(context);
  return session.mirrors;
}

function nowOf(context: DebianContext): Date {
  return context.now?.() ?? new Date();
}

/**
 * A suite's Release file, its signature checked. It is kept in the store and asked for again only
 * if it changed; when the mirror cannot be reached, the kept one serves, with a warning.
 *
 * @param fresh fetch it anew, past any cache on the way: its index was not there
 */
export function fetchRelease(
  mirror: Mirror,
  suite: string,
  context: DebianContext,
  fresh = false,
): Promise<Release> {
  const { releases, dead } = sessionOf(context);
  const key = `${mirror.url} ${suite} ${fresh}`;
  const earlier = releases.get(key);
  if (earlier) return earlier;
  const work = loadRelease(mirror, suite, context, fresh, dead);
  releases.set(key, work);
  return work;
}

interface ReleaseNote {
  readonly digest: Digest;
  readonly etag?: string;
  readonly lastModified?: string;
  /** When it was last seen on the mirror, ISO 8601. */
  readonly seen: string;
}

async function loadRelease(
  mirror: Mirror,
  suite: string,
  context: DebianContext,
  fresh: boolean,
  dead: Map<string, UportError>,
): Promise<Release> {
  const url = `${mirror.url}/dists/${suite}/InRelease`;
  const name = `debian-release/${keyringFile(context) ?? ''} ${mirror.key} ${suite}`;
  const keys = await archiveKeys(context);
  const kept = await readKept(name, context);
  const now = nowOf(context);

  const verify = async (bytes: Uint8Array): Promise<Release> => {
    const archived = context.debian?.archived ?? false;
    const release = await readInRelease(bytes, keys, now, url, archived);
    const stale = checkRelease(release, suite, now, url);
    if (stale && !archived) context.warn?.(stale);
    return release;
  };

  try {
    const lost = dead.get(mirror.url);
    if (lost) throw lost;
    const answer = await retrying(
      context,
      () =>
        getBytes(url, context, {
          maxSize: MAX_RELEASE,
          headers: fresh ? { 'cache-control': 'no-cache' } : conditions(kept?.note),
        }),
      kept ? 2 : undefined,
    );
    if (answer.status === 304 && kept) return await verify(kept.bytes);
    const release = await verify(answer.bytes);
    if (kept && release.date.getTime() < kept.date.getTime()) {
      context.warn?.(`${url} went back in time: it is older than what was seen before`);
    }
    const { digest } = await context.store.put(once(answer.bytes));
    const etag = answer.headers.get('etag');
    const lastModified = answer.headers.get('last-modified');
    const note: ReleaseNote = {
      digest,
      ...(etag && etag.length < 1000 && { etag }),
      ...(lastModified && lastModified.length < 100 && { lastModified }),
      seen: now.toISOString(),
    };
    await context.store.record(name, note);
    return release;
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof UportError)) throw error;
    if (error.code === 'UPORT_DEBIAN_NOT_FOUND') throw suiteMissing(mirror, suite, error);
    if (!isPassing(error)) throw error;
    if (error.code === 'UPORT_DEBIAN_UNREACHABLE') dead.set(mirror.url, error);
    if (!kept || fresh) throw error;
    context.warn?.(
      `${error.message}; using what it held on ${kept.note.seen.slice(0, 10)}, which the store kept`,
    );
    return readInRelease(kept.bytes, keys, now, url, context.debian?.archived);
  }
}

function suiteMissing(mirror: Mirror, suite: string, cause: UportError): UportError {
  return new UportError({
    code: 'UPORT_DEBIAN_SUITE_MISSING',
    category: 'network',
    message: `${mirror.url} has no suite ${suite}`,
    hint: 'name a complete Debian mirror with UPORT_DEBIAN_MIRROR',
    cause,
  });
}

interface Kept {
  readonly note: ReleaseNote;
  readonly bytes: Uint8Array;
  readonly date: Date;
}

async function readKept(name: string, context: DebianContext): Promise<Kept | undefined> {
  const note = (await context.store.lookup(name)) as ReleaseNote | undefined;
  if (typeof note?.digest !== 'string' || typeof note.seen !== 'string') return undefined;
  const bytes = await context.store.read(parseDigest(note.digest), MAX_RELEASE);
  if (!bytes) return undefined;
  const date = /^Date: (.*)$/m.exec(Buffer.from(bytes).toString('latin1'))?.[1];
  return { note, bytes, date: new Date(date ?? 0) };
}

function conditions(note: ReleaseNote | undefined): Record<string, string> {
  return {
    ...(note?.etag && { 'if-none-match': note.etag }),
    ...(note?.lastModified && { 'if-modified-since': note.lastModified }),
  };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/**
 * Brings a file whose size and digest are known into the store; answers where it lies. Each place
 * is tried in turn, each again after passing faults.
 */
export function fetchListed(
  file: ListedFile,
  urls: readonly string[],
  label: string,
  context: DebianContext,
): Promise<string> {
  const { files } = sessionOf(context);
  const earlier = files.get(file.digest);
  if (earlier) return earlier;
  const work = loadListed(file, urls, label, context).catch((error: unknown) => {
    // Another suite or mirror may have the same file.
    files.delete(file.digest);
    throw error;
  });
  files.set(file.digest, work);
  return work;
}

async function loadListed(
  file: ListedFile,
  urls: readonly string[],
  label: string,
  context: DebianContext,
): Promise<string> {
  const { store, signal } = context;
  const present = store.locate(file.digest);
  if (present) return present;
  const task = context.progress.start(label, file.size, 'bytes');
  let told = 0;
  try {
    return await retrying(context, async () => {
      let last: unknown;
      for (const url of urls) {
        try {
          const answer = await get(url, context, { maxSize: file.size, size: file.size });
          let size = 0;
          const counted = async function* (): AsyncGenerator<Uint8Array> {
            for await (const chunk of answer.body) {
              size += chunk.length;
              // A further try begins again, but the bar does not go back.
              if (size > told) {
                task.advance(size - told);
                told = size;
              }
              yield chunk;
            }
          };
          const put = await store.put(counted(), {
            expected: file.digest,
            maxSize: file.size,
            signal,
            name: label,
          });
          return store.pathOf(put.digest);
        } catch (error) {
          signal.throwIfAborted();
          const named = nameUrl(error, url);
          if (last === undefined || weight(named) > weight(last)) last = named;
          if (!(named instanceof UportError) || named.category === 'environment') throw named;
        }
      }
      throw last;
    });
  } finally {
    task.done();
  }
}

/** Of several places' faults, the one to tell: one worth another try, then one that says why. */
function weight(error: unknown): number {
  if (isPassing(error)) return 2;
  return error instanceof UportError && error.code === 'UPORT_DEBIAN_NOT_FOUND' ? 0 : 1;
}

/** Says which download had the wrong bytes. */
function nameUrl(error: unknown, url: string): unknown {
  if (!(error instanceof UportError) || error.code !== 'UPORT_CHECKSUM_MISMATCH') return error;
  return new UportError({
    code: error.code,
    category: 'network',
    message: `${url}: ${error.message}`,
    hint: 'the mirror may be in the middle of an update: try again later, or name another with UPORT_DEBIAN_MIRROR',
    cause: error,
  });
}
