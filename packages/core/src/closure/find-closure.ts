import path from 'node:path';
import type { Elf, ElfAbi } from '@uport/elf';
import { UportError } from '@uport/errors';
import { archOfElf } from '../model/arch.ts';
import { displayBytes } from '../model/byte-path.ts';
import type {
  Closure,
  ClosureObject,
  FoundBy,
  Linker,
  MissingLibrary,
  PassedOver,
} from './closure.ts';
import { foldersInLinker, guessedFolders } from './cpu-folders.ts';
import { type FileFacts, readFileFacts } from './file-facts.ts';
import { readStart } from './file-windows.ts';
import { diskRoot, type LibraryRoot, type RootFile } from './library-root.ts';
import type { Loaded, SearchFolder } from './loaded.ts';
import { findMissingVersions } from './missing-versions.ts';
import { findRuntimeLoads } from './runtime-loads.ts';
import { SearchOrder } from './search-order.ts';
import { expandTokens } from './tokens.ts';

/** A file and the root it lies in. */
export interface RootPath {
  readonly root: LibraryRoot;
  /** Absolute, inside the root. */
  readonly path: string;
}

export interface ClosureOptions {
  /** A dynamic program or library. */
  readonly start: RootPath;
  /** Where the loader, the configuration and absolute folders lie. Default: this machine's root. */
  readonly root?: LibraryRoot;
  /** Folders that are searched as LD_LIBRARY_PATH's are. */
  readonly libraryPath?: readonly RootPath[];
  /** Libraries loaded before all others (LD_PRELOAD): files, or names to be looked up. */
  readonly preload?: readonly (RootPath | string)[];
  /** Libraries that the program opens at run time: they and what they need are looked up last. */
  readonly opened?: readonly RootPath[];
  /** Files of the app by name: taken where the loader finds none, since apps set the search path by themselves. */
  readonly appFiles?: ReadonlyMap<string, RootPath>;
  /** Names below glibc-hwcaps that the CPU has, best first. Default: none, which every CPU has. */
  readonly hwcaps?: readonly string[];
  /** Leave out what is loaded at run time; it takes reading more of the files. */
  readonly withoutRuntimeLoads?: boolean;
  readonly signal?: AbortSignal;
}

/** Far more than any program has; ends endless chains in hostile trees. */
const MAX_OBJECTS = 10_000;
const MAX_LINKER = 4 << 20;

/**
 * Finds what the dynamic linker would load for a program of any CPU, without running anything.
 *
 * @throws UportError UPORT_NOT_FOUND, UPORT_ELF_* when the program itself cannot be read
 */
export async function findClosure(options: ClosureOptions): Promise<Closure> {
  return new Finder(options).run();
}

interface Unfound {
  readonly neededBy: Set<string>;
  readonly searched: Set<string>;
  readonly passedOver: PassedOver[];
}

class Finder {
  readonly #options: ClosureOptions;
  readonly #root: LibraryRoot;
  readonly #objects: Loaded[] = [];
  readonly #byIdentity = new Map<string, Loaded>();
  /** Who answers to a name, without the linker itself: the first that was loaded. */
  readonly #byName = new Map<string, Loaded>();
  readonly #missing = new Map<string, Unfound>();
  #linker: Linker = 'none';
  // Both are set before anything is looked up.
  #order: SearchOrder | undefined;
  #program!: Loaded;
  #interpreter: Loaded | undefined;
  #lib = 'lib';

  constructor(options: ClosureOptions) {
    this.#options = options;
    this.#root = options.root ?? diskRoot();
  }

  async run(): Promise<Closure> {
    const { start, opened = [], preload = [] } = this.#options;
    const found = start.root.find(start.path);
    if (found === undefined) throw notFound(start);
    const read = await this.#read(found);
    this.#program = this.#add(start.root, found.path, found, read, 'given', undefined);
    const { elf } = this.#program;
    this.#linker = linkerOf(elf);
    if (this.#linker === 'none') return this.#result();

    await this.#prepare(elf);
    for (const each of preload) {
      if (typeof each === 'string') await this.#need(each, this.#program, 'preload');
      else await this.#load(each, this.#program, 'preload');
    }
    await this.#loadNeeded(0);
    for (const each of opened) {
      const from = this.#objects.length;
      await this.#load(each, this.#program, 'given');
      await this.#loadNeeded(from);
    }
    return this.#result();
  }

  /** Breadth first, as both linkers do. */
  async #loadNeeded(from: number): Promise<void> {
    for (let index = from; index < this.#objects.length; index++) {
      this.#options.signal?.throwIfAborted();
      const object = this.#objects[index] as Loaded;
      if (object === this.#interpreter && this.#linker === 'glibc') continue;
      for (const name of object.elf.dynamic?.needed ?? []) {
        const library = await this.#need(name, object);
        object.needed.push({ name, path: library?.path });
      }
      if (this.#objects.length > MAX_OBJECTS) {
        throw new UportError({
          code: 'UPORT_CLOSURE_TOO_LARGE',
          category: 'input',
          message: `more than ${MAX_OBJECTS} libraries would be loaded`,
          hint: 'check the folders that are searched',
        });
      }
    }
  }

  /** Reads the linker and settles the search order. */
  async #prepare(elf: Elf): Promise<void> {
    const interpreter = elf.interpreter;
    const found = interpreter === undefined ? undefined : this.#root.find(interpreter);
    let systemFolders: readonly string[] = [];
    if (interpreter !== undefined && found !== undefined) {
      const read = await this.#read(found).catch(ignoreBadFile);
      if (read !== undefined) {
        this.#interpreter = this.#add(
          this.#root,
          interpreter,
          found,
          read,
          'interpreter',
          this.#program,
        );
        // It is mapped by the kernel and comes last in the linker's own list.
        this.#objects.pop();
        if (this.#linker === 'glibc' && found.size <= MAX_LINKER) {
          systemFolders = foldersInLinker(readStart(found.file, MAX_LINKER));
        }
      }
    }
    if (this.#linker === 'musl') systemFolders = ['/lib', '/usr/local/lib', '/usr/lib'];
    const lead = systemFolders[0];
    if (systemFolders.length === 0) systemFolders = guessedFolders(elf);
    this.#lib = (lead ?? guessLib(this.#root, systemFolders)).slice(1);
    this.#order = new SearchOrder({
      linker: this.#linker,
      cpu: archOfElf(elf.identity)?.name ?? '',
      root: this.#root,
      libraryPath: (this.#options.libraryPath ?? []).map(
        ({ root, path: folder }): SearchFolder => ({ root, folder, by: 'LD_LIBRARY_PATH' }),
      ),
      systemFolders,
      lib: this.#lib,
      hwcaps: (this.#options.hwcaps ?? []).map((name) => `glibc-hwcaps/${name}`),
      workdir: undefined,
      interpreter,
    });
  }

  /** One name of DT_NEEDED or LD_PRELOAD. */
  async #need(name: string, requester: Loaded, by?: FoundBy): Promise<Loaded | undefined> {
    const known = this.#known(name);
    if (known) {
      if (!known.neededBy.includes(requester.path)) known.neededBy.push(requester.path);
      return known;
    }
    if (name.includes('/')) return this.#needPath(name, requester, by);
    const passedOver: PassedOver[] = [];
    const searched: string[] = [];
    for (const each of this.#folders(requester)) {
      const shown = `${each.root === this.#root ? '' : each.root.name}${each.folder}`;
      if (!searched.includes(shown)) searched.push(shown);
      if (!each.root.hasFolder(each.folder)) continue;
      const place = `${each.folder}/${name}`;
      const outcome = await this.#take(each.root, place, name, requester, by ?? each.by);
      if (outcome === undefined) continue;
      if ('elf' in outcome) return outcome;
      passedOver.push({ path: place, reason: outcome.reason });
      if (outcome.final) break;
    }
    const own = this.#options.appFiles?.get(name);
    if (own !== undefined) {
      const outcome = await this.#take(own.root, own.path, name, requester, 'app folder');
      if (outcome !== undefined && 'elf' in outcome) return outcome;
    }
    this.#miss(name, requester, searched, passedOver);
    return undefined;
  }

  /** A name with a slash is a path. */
  async #needPath(name: string, requester: Loaded, by?: FoundBy): Promise<Loaded | undefined> {
    const platform = undefined;
    const expanded = expandTokens(name, { origin: requester.origin, lib: this.#lib, platform });
    const root = /^\$(?:ORIGIN|\{ORIGIN\})/.test(name) ? requester.root : this.#root;
    if (expanded?.startsWith('/')) {
      const outcome = await this.#take(root, expanded, name, requester, by ?? 'path');
      if (outcome !== undefined && 'elf' in outcome) return outcome;
      const passedOver = outcome ? [{ path: expanded, reason: outcome.reason }] : [];
      this.#miss(name, requester, [], passedOver);
      return undefined;
    }
    this.#miss(name, requester, [], []);
    return undefined;
  }

  #folders(requester: Loaded): Iterable<SearchFolder> {
    return this.#order?.foldersFor(requester, this.#program) ?? [];
  }

  async #load(file: RootPath, requester: Loaded, by: FoundBy): Promise<void> {
    const name = path.posix.basename(file.path);
    const outcome = await this.#take(file.root, file.path, file.path, requester, by);
    if (outcome === undefined || !('elf' in outcome)) {
      this.#miss(name, requester, [], outcome ? [{ path: file.path, reason: outcome.reason }] : []);
    }
  }

  #known(name: string): Loaded | undefined {
    if (this.#linker === 'musl' && isMuslItself(name)) return this.#interpreter;
    const known = this.#byName.get(name);
    if (known) return known;
    return this.#interpreter?.names.has(name) ? this.#interpreter : undefined;
  }

  /** Undefined when nothing is there; a refusal when the loader does not take what is. */
  async #take(
    root: LibraryRoot,
    place: string,
    name: string,
    requester: Loaded,
    by: FoundBy,
  ): Promise<Loaded | Refusal | undefined> {
    const found = root.find(place);
    if (found === undefined) return undefined;
    const same = this.#byIdentity.get(keyOf(root, found));
    if (same) {
      this.#name(same, name);
      if (!same.neededBy.includes(requester.path)) same.neededBy.push(requester.path);
      return same;
    }
    const read = await this.#read(found).catch((error: unknown) => refusalOf(error));
    if ('reason' in read) return read;
    const mismatch = mismatchOf(this.#program.elf, read.elf);
    // musl takes the first file of the name and fails if it is of another CPU.
    if (mismatch !== undefined) return { reason: mismatch, final: this.#linker === 'musl' };
    const object = this.#add(root, place, found, read, by, requester);
    this.#name(object, name);
    object.neededBy.push(requester.path);
    return object;
  }

  #read(found: RootFile): Promise<FileFacts> {
    return readFileFacts(found.file, !this.#options.withoutRuntimeLoads);
  }

  #add(
    root: LibraryRoot,
    place: string,
    found: RootFile,
    read: FileFacts,
    foundBy: FoundBy,
    loader: Loaded | undefined,
  ): Loaded {
    const { soname } = read.elf.dynamic ?? {};
    const folder = place.slice(0, place.lastIndexOf('/'));
    const base = place.slice(folder.length + 1);
    const object: Loaded = {
      path: place,
      root,
      found,
      ...read,
      foundBy,
      loader,
      origin: folder === '' ? '/' : folder,
      // musl goes by the name that was asked for, glibc by the soname too.
      names: new Set([
        place,
        ...(soname !== undefined && (this.#linker !== 'musl' || loader === undefined)
          ? [soname]
          : []),
      ]),
      neededBy: [],
      needed: [],
      variants:
        this.#linker === 'glibc'
          ? (this.#order?.variantFolders() ?? [])
              .map((name) => `${folder}/${name}`)
              .filter((each) => root.hasFolder(each))
              .map((each) => `${each}/${base}`)
              .filter((each) => root.find(each) !== undefined)
          : [],
    };
    this.#objects.push(object);
    this.#byIdentity.set(keyOf(root, found), object);
    if (foundBy !== 'interpreter') for (const name of object.names) this.#name(object, name);
    return object;
  }

  #name(object: Loaded, name: string): void {
    object.names.add(name);
    if (object !== this.#interpreter && !this.#byName.has(name)) this.#byName.set(name, object);
  }

  #miss(
    name: string,
    requester: Loaded,
    searched: readonly string[],
    passedOver: readonly PassedOver[],
  ): void {
    let entry = this.#missing.get(name);
    if (entry === undefined) {
      entry = { neededBy: new Set(), searched: new Set(), passedOver: [] };
      this.#missing.set(name, entry);
    }
    entry.neededBy.add(requester.path);
    for (const folder of searched) entry.searched.add(folder);
    for (const each of passedOver) {
      if (!entry.passedOver.some((known) => known.path === each.path)) entry.passedOver.push(each);
    }
  }

  async #result(): Promise<Closure> {
    const loaded = [...this.#objects, ...(this.#interpreter ? [this.#interpreter] : [])];
    const { interpreter } = this.#program.elf;
    const missing = [...this.#missing].map(
      ([name, each]): MissingLibrary => ({
        name,
        neededBy: [...each.neededBy],
        searched: [...each.searched],
        passedOver: each.passedOver,
        versions: versionsNeededOf(name, loaded),
      }),
    );
    const skipRuntime = this.#options.withoutRuntimeLoads || this.#linker === 'none';
    return {
      linker: this.#linker,
      interpreter:
        this.#linker === 'none' || interpreter === undefined
          ? undefined
          : { path: interpreter, found: this.#interpreter !== undefined },
      objects: loaded.map(asObject),
      missing,
      missingVersions:
        this.#linker === 'glibc'
          ? await findMissingVersions(loaded, (name, object) => this.#alternatives(name, object))
          : [],
      runtimeLoads: skipRuntime
        ? []
        : findRuntimeLoads({
            loaded,
            root: this.#root,
            linker: this.#linker,
            lookUp: (name) => this.#lookUp(name),
          }),
    };
  }

  /** Every file of that name that the search would come to, first to last. */
  *#alternatives(name: string, object: Loaded): Generator<{ path: string; found: RootFile }> {
    for (const each of this.#folders(object)) {
      const place = `${each.folder}/${name}`;
      const found = each.root.hasFolder(each.folder) ? each.root.find(place) : undefined;
      if (found) yield { path: place, found };
    }
  }

  /** Where the program would find a library that it opens by name. */
  #lookUp(name: string): string | undefined {
    const known = this.#known(name);
    if (known) return known.path;
    for (const { path: place } of this.#alternatives(name, this.#program)) return place;
    return this.#options.appFiles?.get(name)?.path;
  }
}

/** A file that the loader does not take. */
interface Refusal {
  readonly reason: string;
  /** The search ends there. */
  readonly final: boolean;
}

/** glibc passes over no damaged file: it stops with an error. */
function refusalOf(error: unknown): Refusal {
  if (error instanceof UportError) return { reason: error.message, final: true };
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) throw error;
  return { reason: `it cannot be read (${code})`, final: code !== 'EACCES' && code !== 'ENOENT' };
}

function ignoreBadFile(error: unknown): undefined {
  if (error instanceof UportError || (error as NodeJS.ErrnoException).code !== undefined) return;
  throw error;
}

function keyOf(root: LibraryRoot, found: RootFile): string {
  return `${root.name}\0${found.identity}`;
}

function linkerOf({ interpreter, linkage, dynamic }: Elf): Linker {
  if (linkage === 'static' || linkage === 'static-pie' || dynamic === undefined) return 'none';
  const needed = dynamic.needed;
  if (interpreter !== undefined) return /\/ld-musl-[^/]*$/.test(interpreter) ? 'musl' : 'glibc';
  return needed.some((name) => name === 'libc.so' || name.startsWith('libc.musl-'))
    ? 'musl'
    : 'glibc';
}

/** The names that musl's linker takes for itself: its libc holds them all. */
function isMuslItself(name: string): boolean {
  return /^lib(?:c|pthread|rt|m|dl|util|xnet)\./.test(name);
}

/** Facts of the calling convention that must agree, where both files tell them. */
const SAME_ABI = [
  'mips',
  'mipsNan',
  'armFloat',
  'ppc64',
  'riscvFloat',
  'loongarchFloat',
  'x32',
] as const satisfies readonly (keyof ElfAbi)[];

/** Why a library cannot be of the program's process; undefined when it can. */
function mismatchOf(program: Elf, library: Elf): string | undefined {
  const [a, b] = [program.identity, library.identity];
  if (a.bits !== b.bits) return `it is of ${b.bits} bits, the program of ${a.bits}`;
  if (a.machine !== b.machine || a.order !== b.order) {
    const cpu = archOfElf(b)?.name ?? `machine ${b.machine}, ${b.order}`;
    return `it is of another CPU: ${cpu}`;
  }
  for (const fact of SAME_ABI) {
    const [mine, other] = [program.abi[fact], library.abi[fact]];
    if (mine !== undefined && other !== undefined && mine !== other) {
      return `its calling convention differs: ${fact} is ${other}, not ${mine}`;
    }
  }
  if (library.linkage === 'relocatable' || library.linkage === 'core') {
    return `it is a ${library.linkage} file`;
  }
  return library.dynamic === undefined ? 'it has no dynamic section' : undefined;
}

/** `$LIB` of a root whose linker is not there: the first built-in folder that has a C library. */
function guessLib(root: LibraryRoot, folders: readonly string[]): string {
  const holder = folders.find(
    (folder) => !folder.startsWith('/usr/') && root.find(`${folder}/libc.so.6`) !== undefined,
  );
  return holder ?? folders[0] ?? '/lib';
}

function versionsNeededOf(name: string, loaded: readonly Loaded[]): readonly string[] {
  const found = new Set<string>();
  for (const { versions } of loaded) {
    for (const { library, versions: needed } of versions.needed) {
      if (library !== name) continue;
      for (const { name: version, weak } of needed) if (!weak) found.add(version);
    }
  }
  return [...found].sort();
}

function asObject(object: Loaded): ClosureObject {
  const { path: place, found, root, elf, foundBy, neededBy, needed, variants } = object;
  return {
    path: place,
    realPath: found.path,
    root: root.name,
    file: found.file,
    soname: elf.dynamic?.soname,
    foundBy,
    neededBy,
    needed,
    variants,
  };
}

function notFound({ path: file }: RootPath): UportError {
  return new UportError({
    code: 'UPORT_NOT_FOUND',
    category: 'input',
    message: 'there is no such file',
    hint: 'check the path',
    file: displayBytes(file),
  });
}
