// Libraries that take the place of others in a payload, are added to it, or are preloaded.
import { open, stat } from 'node:fs/promises';
import path from 'node:path';
import { type Elf, partOf, readElf } from '@uport/elf';
import { UportError } from '@uport/errors';
import { type Arch, archOfElf } from '../model/arch.ts';
import { bytePath, displayBytes, pathBytes } from '../model/byte-path.ts';
import { type ContentPlace, type ContentSource, placeOf } from '../model/content.ts';
import type { Digest } from '../model/digest.ts';
import type { BytePath, FileEntry, PayloadEntry } from '../model/payload-tree.ts';
import { silentProgress } from '../model/progress.ts';
import { systemError } from '../system-error.ts';
import type { App } from './app.ts';
import { fileSource } from './file-source.ts';
import { readProgram } from './read-program.ts';
import { scanFile } from './scan-folder.ts';

export interface LibraryPatches {
  /** Files that take the place of what has their soname; where nothing has, they are added. */
  readonly libraries: readonly string[];
  /** Files that are added and loaded before all others. */
  readonly preload: readonly string[];
}

export interface PatchedApp {
  readonly app: App;
  /** The preloaded ones, in order. */
  readonly preload: readonly BytePath[];
  /** Where libraries were added. */
  readonly libraryFolders: readonly BytePath[];
}

/** Where added libraries lie in a payload. */
const LIBRARY_FOLDER = 'usr/lib/uport/lib';
const PRELOAD_FOLDER = 'usr/lib/uport/preload';

interface Library {
  readonly file: string;
  readonly soname: string;
  readonly entry: FileEntry;
}

/**
 * Puts libraries into an app's payload.
 *
 * @throws UportError UPORT_LIBRARY_WRONG_CPU, UPORT_LIBRARY_NOT_SHARED, UPORT_LIBRARY_TWICE,
 *   UPORT_LIBRARY_PLACE_TAKEN, UPORT_NOT_FOUND, UPORT_ELF_*
 */
export async function patchLibraries(
  app: App,
  patches: LibraryPatches,
  signal: AbortSignal,
): Promise<PatchedApp> {
  if (patches.libraries.length + patches.preload.length === 0) {
    return { app, preload: [], libraryFolders: [] };
  }
  const files = new Map<Digest, string>();
  const load = async (file: string): Promise<Library> => {
    const library = await readLibrary(file, app.guest, signal);
    files.set(library.entry.digest, path.resolve(file));
    return library;
  };
  const tree = new Map<string, PayloadEntry>(app.payload.entries.map((each) => [each.path, each]));
  const sonames = patches.libraries.length > 0 ? await sonamesOf(app, signal) : new Map();

  const given = new Set<string>();
  let added = false;
  for (const file of patches.libraries) {
    const library = await load(file);
    if (given.has(library.soname)) throw twice(file, library.soname);
    given.add(library.soname);
    const places = sonames.get(library.soname) ?? namesakes(tree, library.soname);
    for (const place of places) replace(tree, place, library.entry);
    if (places.length === 0) {
      add(tree, LIBRARY_FOLDER, library.soname, library);
      added = true;
    }
  }
  const preload: BytePath[] = [];
  for (const file of patches.preload) {
    const library = await load(file);
    preload.push(add(tree, PRELOAD_FOLDER, path.basename(file), library));
  }
  const entries = [...tree.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  return {
    app: { ...app, payload: { entries }, content: withFiles(app.content, files) },
    preload,
    libraryFolders: added ? [bytePath(Buffer.from(LIBRARY_FOLDER))] : [],
  };
}

async function readLibrary(file: string, guest: Arch, signal: AbortSignal): Promise<Library> {
  const status = await stat(file).catch((error: unknown) => {
    throw systemError(error, file);
  });
  if (!status.isFile()) throw notShared(file, 'it is no file');
  const elf = await readProgram(file, file);
  const cpu = archOfElf(elf.identity);
  if (cpu !== guest) {
    throw new UportError({
      code: 'UPORT_LIBRARY_WRONG_CPU',
      category: 'input',
      message: `the library is for ${cpu?.name ?? `machine ${elf.identity.machine}`}, the app is for ${guest.name}`,
      hint: `give a build for ${guest.name}`,
      file,
      offset: 18,
    });
  }
  if (elf.dynamic === undefined || elf.linkage === 'static-pie') {
    throw notShared(file, 'it is no shared library');
  }
  const soname = elf.dynamic.soname ?? Buffer.from(path.basename(file)).toString('latin1');
  const task = silentProgress.start(file);
  const scan = await scanFile(file, bytePath(Buffer.from('library')), 0o644, { task, signal });
  return { file, soname, entry: scan.entries[0] as FileEntry };
}

/** The shared libraries of the payload by their sonames. */
async function sonamesOf(
  app: App,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly BytePath[]>> {
  const found = new Map<string, BytePath[]>();
  for (const entry of app.payload.entries) {
    if (entry.type !== 'file' || !/\.so(?:\.|$)/.test(entry.path)) continue;
    signal.throwIfAborted();
    const place = app.content.locate(entry.digest);
    const shown = displayBytes(entry.path);
    const elf = place === undefined ? undefined : await readPart(place, shown).catch(ifNoElf);
    if (elf === undefined || archOfElf(elf.identity) !== app.guest) continue;
    const soname = elf.dynamic?.soname;
    if (soname === undefined) continue;
    found.set(soname, [...(found.get(soname) ?? []), entry.path]);
  }
  return found;
}

async function readPart(place: ContentPlace, shown: string): Promise<Elf | undefined> {
  const { file, offset, size } = placeOf(place);
  const handle = await open(file, 'r').catch((error: unknown) => {
    throw systemError(error, shown);
  });
  try {
    const source = fileSource(handle, (await handle.stat()).size);
    return await readElf(size === undefined ? source : partOf(source, offset, size));
  } finally {
    await handle.close();
  }
}

function ifNoElf(error: unknown): undefined {
  if (error instanceof UportError && error.code.startsWith('UPORT_ELF_')) return undefined;
  throw error;
}

/** Entries of this very name: libraries without a soname, and links. */
function namesakes(tree: ReadonlyMap<string, PayloadEntry>, soname: string): readonly BytePath[] {
  const entries = [...tree.values()].filter(({ type }) => type !== 'directory');
  return entries.filter((each) => nameOf(each.path) === soname).map((each) => each.path);
}

function nameOf(file: string): string {
  return file.slice(file.lastIndexOf('/') + 1);
}

function replace(tree: Map<string, PayloadEntry>, place: BytePath, library: FileEntry): void {
  const before = tree.get(place) as PayloadEntry;
  const mode = before.type === 'file' ? before.mode : library.mode;
  tree.set(place, { ...library, path: place, mode });
}

function add(
  tree: Map<string, PayloadEntry>,
  folder: string,
  name: string,
  library: Library,
): BytePath {
  const latin1 = name === library.soname ? name : Buffer.from(name).toString('latin1');
  const place = bytePath(pathBytes(`${folder}/${latin1}`));
  let parent = '';
  for (const part of folder.split('/')) {
    parent = parent === '' ? part : `${parent}/${part}`;
    const there = tree.get(parent);
    if (there === undefined) {
      tree.set(parent, { type: 'directory', path: parent as BytePath, mode: 0o755 });
    } else if (there.type !== 'directory') throw taken(parent);
  }
  if (tree.has(place)) throw taken(place);
  tree.set(place, { ...library.entry, path: place });
  return place;
}

function withFiles(content: ContentSource, files: ReadonlyMap<Digest, string>): ContentSource {
  return { locate: (digest) => files.get(digest) ?? content.locate(digest) };
}

function notShared(file: string, what: string): UportError {
  return new UportError({
    code: 'UPORT_LIBRARY_NOT_SHARED',
    category: 'input',
    message: what,
    hint: 'give a shared library (ELF, .so)',
    file,
  });
}

function twice(file: string, soname: string): UportError {
  return new UportError({
    code: 'UPORT_LIBRARY_TWICE',
    category: 'usage',
    message: `two libraries are called ${displayBytes(soname)}`,
    hint: 'give each once',
    file,
  });
}

function taken(place: string): UportError {
  return new UportError({
    code: 'UPORT_LIBRARY_PLACE_TAKEN',
    category: 'input',
    message: `the payload has ${displayBytes(place)} already`,
    hint: 'rename the library file, or take the other out of the app',
  });
}
