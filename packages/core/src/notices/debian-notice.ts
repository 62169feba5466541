// What a Debian package says of its licence, and of the sources that are linked into it.
import type { DebianContext } from '../debian/context.ts';
import { findMembers, unpackMember } from '../debian/deb.ts';
import { parseParagraph } from '../debian/deb822.ts';
import { type Landmarks, useFileOfDeb } from '../debian/find-in-deb.ts';
import { downloadPackage, unavailable } from '../debian/package.ts';
import { type DebianOrigin, usePinnedPackage } from '../debian/pinned-package.ts';
import { inTurn } from '../debian/turn.ts';
import { type TarEntry, untar } from '../debian/untar.ts';
import { type Digest, parseDigest } from '../model/digest.ts';
import type { SourcePackage } from '../plan/plan.ts';

export interface DebianNotice {
  /** Its `copyright` file; undefined when it has none of its own. */
  readonly copyright: string | undefined;
  /** Its field Built-Using: source packages whose code is in its programs. */
  readonly builtUsing: readonly SourcePackage[];
}

/** What is remembered of a package. */
interface Note {
  readonly copyright: Digest | null;
  readonly builtUsing: readonly SourcePackage[];
}

/** Real ones have up to some hundred kilobytes. */
const MAX_TEXT = 4 << 20;

/**
 * Reads the notice of a package; downloads the package when the store has it no more.
 *
 * @param architecture Debian's name of it
 * @throws UportError UPORT_DEBIAN_*, UPORT_DEB_INVALID, UPORT_STORE_*
 */
export async function debianNotice(
  origin: DebianOrigin,
  architecture: string,
  context: DebianContext,
): Promise<DebianNotice> {
  const { store } = context;
  const key = `debian-notices/${origin.packageDigest} 1`;
  let note = (await store.lookup(key)) as Note | undefined;
  if (!note || (note.copyright !== null && !store.locate(parseDigest(note.copyright)))) {
    const { file } = await usePinnedPackage(
      origin,
      architecture,
      context,
      (found) => downloadPackage(found, context),
      (failed) =>
        unavailable(`${origin.package} ${origin.packageVersion}, for its licence`, failed),
    );
    note = await inTurn(() => readNotice(file, origin, context));
    await store.record(key, note);
  }
  const { copyright, builtUsing } = note;
  const bytes = copyright === null ? undefined : await store.read(copyright, MAX_TEXT);
  return { copyright: bytes && Buffer.from(bytes).toString('utf8'), builtUsing };
}

async function readNotice(
  file: string,
  { package: name, packageDigest }: DebianOrigin,
  { store, signal }: DebianContext,
): Promise<Note> {
  const landmarksKey = `debian-landmarks/${packageDigest}`;
  const landmarks: Landmarks = {
    ...((await store.lookup(landmarksKey)) as Landmarks | undefined),
  };
  const copyright = await useFileOfDeb(
    file,
    [`usr/share/doc/${name}/copyright`],
    landmarks,
    async (entry) => {
      const options = { maxSize: MAX_TEXT, signal, name: `${name}'s copyright file` };
      return (await store.put(entry.content(), options)).digest;
    },
    signal,
  );
  await store.record(landmarksKey, landmarks);
  return { copyright: copyright ?? null, builtUsing: await readBuiltUsing(file, signal) };
}

async function readBuiltUsing(
  file: string,
  signal: AbortSignal,
): Promise<readonly SourcePackage[]> {
  const { control } = await findMembers(file);
  if (control === undefined) return [];
  for await (const entry of untar(unpackMember(file, control, signal))) {
    if (entry.type !== 'file' || entry.path !== 'control') continue;
    const fields = parseParagraph(await readText(entry));
    return parseBuiltUsing([fields.get('built-using'), fields.get('static-built-using')].join(','));
  }
  return [];
}

async function readText(entry: TarEntry): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of entry.content()) {
    size += piece.length;
    if (size > MAX_TEXT) break;
    // A copy: the piece's memory is used again.
    pieces.push(Buffer.from(piece));
  }
  return Buffer.concat(pieces).toString('utf8');
}

/** Parses `glibc (= 2.36-9), zlib (= 1:1.2.13)` (Debian policy 7.8); what does not fit is left out. */
export function parseBuiltUsing(text: string): readonly SourcePackage[] {
  const found = new Map<string, SourcePackage>();
  for (const part of text.split(',').slice(0, 1000)) {
    const match =
      /^\s*([a-z0-9][a-z0-9+.-]{1,127})\s*\(=\s*([A-Za-z0-9.+~:-]{1,128})\s*\)\s*$/.exec(part);
    const [, name, version] = match ?? [];
    if (name !== undefined && version !== undefined) {
      found.set(`${name} ${version}`, { name, version });
    }
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}
