// The files of a Debian package as parts of its unpacked archive, which lies in the store.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { UportError } from '@uport/errors';
import type { DebianContext } from '../debian/context.ts';
import { findData, unpackMember } from '../debian/deb.ts';
import type { DebianPackage } from '../debian/package.ts';
import { inTurn } from '../debian/turn.ts';
import { untar } from '../debian/untar.ts';
import { parseBytePath } from '../model/byte-path.ts';
import { type Digest, parseDigest, sha256Digest } from '../model/digest.ts';
import type { BytePath } from '../model/payload-tree.ts';

/** One entry of a package. Paths and targets are bytes, one character each. */
export type DebEntry =
  | { readonly type: 'directory'; readonly path: BytePath; readonly mode: number }
  | {
      readonly type: 'file';
      readonly path: BytePath;
      readonly mode: number;
      readonly size: number;
      readonly digest: Digest;
      /** Of its first byte in the archive. */
      readonly offset: number;
    }
  | { readonly type: 'symlink' | 'hardlink'; readonly path: BytePath; readonly target: string };

export interface DebFiles {
  /** The unpacked archive. */
  readonly archive: Digest;
  readonly entries: readonly DebEntry[];
}

const MAX_ARCHIVE = 4 * 2 ** 30;
const MAX_ENTRIES = 200_000;

/** What a library is good for without: manuals, and all but the licence of its documentation. */
const LEFT_OUT =
  /^usr\/(?:share\/(?:man|info|lintian|bug|doc-base|doc\/(?:.*\/)?(?!copyright$)[^/]*$)|include)(?:\/|$)|^usr\/share\/doc\/[^/]*$/;

/**
 * Unpacks a package into the store, once.
 *
 * @throws UportError UPORT_DEB_INVALID, UPORT_TAR_INVALID, UPORT_PATH_INVALID, UPORT_STORE_*
 */
export async function filesOfDeb(deb: DebianPackage, context: DebianContext): Promise<DebFiles> {
  const { store } = context;
  const note = `debian-files/${deb.digest} 2`;
  const known = await recall(note, context);
  if (known) return known;
  const files = await inTurn(() => unpack(deb, context));
  // Too long for a note where a package has tens of thousands of files.
  const list = Buffer.from(JSON.stringify(files.entries));
  const { digest } = await store.put(Readable.from([list]), {
    signal: context.signal,
    name: `${deb.name}'s list`,
  });
  await store.record(note, { archive: files.archive, list: digest });
  return files;
}

/** What was noted, if all of it is still in the store. */
async function recall(note: string, { store }: DebianContext): Promise<DebFiles | undefined> {
  const known = (await store.lookup(note)) as { archive: string; list: string } | undefined;
  if (known === undefined) return undefined;
  const archive = parseDigest(known.archive);
  const list = store.locate(parseDigest(known.list));
  if (list === undefined || store.locate(archive) === undefined) return undefined;
  return { archive, entries: JSON.parse(await readFile(list, 'utf8')) as DebEntry[] };
}

async function unpack(deb: DebianPackage, context: DebianContext): Promise<DebFiles> {
  const { store, signal } = context;
  const member = await findData(deb.file);
  const name = `${deb.name} ${deb.version} ${deb.architecture}, unpacked`;
  const { digest: archive } = await store.put(unpackMember(deb.file, member, signal), {
    maxSize: MAX_ARCHIVE,
    signal,
    name,
  });
  const entries: DebEntry[] = [];
  const bytes = createReadStream(store.pathOf(archive), { highWaterMark: 1 << 20, signal });
  for await (const entry of untar(bytes)) {
    signal.throwIfAborted();
    // untar decodes names as UTF-8.
    const raw = Buffer.from(entry.path, 'utf8').toString('latin1');
    if (raw === '.' || LEFT_OUT.test(raw)) continue;
    if (entries.length >= MAX_ENTRIES) throw tooMany(deb);
    const path = parseBytePath(raw);
    switch (entry.type) {
      case 'directory':
        entries.push({ type: 'directory', path, mode: entry.mode });
        break;
      case 'file': {
        const hash = createHash('sha256');
        for await (const chunk of entry.content()) hash.update(chunk);
        const digest = sha256Digest(hash.digest('hex'));
        const { mode, size, offset } = entry;
        // What a package installs with set-user-id has no use beside a library.
        entries.push({ type: 'file', path, mode: mode & 0o777, size, digest, offset });
        break;
      }
      case 'symlink':
      case 'hardlink': {
        const target = Buffer.from(entry.linkTarget ?? '', 'utf8').toString('latin1');
        if (target === '') continue;
        const clean =
          entry.type === 'hardlink' ? parseBytePath(target.replace(/^(?:\.?\/+)+/, '')) : target;
        entries.push({ type: entry.type, path, target: clean });
        break;
      }
      case 'other':
        break;
    }
  }
  return { archive, entries };
}

function tooMany(deb: DebianPackage): UportError {
  return new UportError({
    code: 'UPORT_DEB_INVALID',
    category: 'input',
    message: `${deb.name} holds more than ${MAX_ENTRIES} files`,
    hint: 'leave this package out',
    file: deb.poolPath,
  });
}
