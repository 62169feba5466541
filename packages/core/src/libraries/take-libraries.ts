// The libraries that a dynamic app lacks, from Debian's archive.
import { UportError } from '@uport/errors';
import type { App } from '../app/app.ts';
import type { Closure } from '../closure/closure.ts';
import { guessedFolders } from '../closure/cpu-folders.ts';
import { readStart } from '../closure/file-windows.ts';
import { filesByName } from '../closure/files-by-name.ts';
import { findClosure } from '../closure/find-closure.ts';
import { TreeRoot } from '../closure/tree-root.ts';
import type { DebianContext } from '../debian/context.ts';
import {
  downloadPackage,
  type FailedTry,
  type FoundPackage,
  unavailable,
} from '../debian/package.ts';
import { displayBytes } from '../model/byte-path.ts';
import type { ContentSource, FilePart } from '../model/content.ts';
import type { Digest } from '../model/digest.ts';
import type { BytePath } from '../model/payload-tree.ts';
import type { PinnedPackage } from '../plan/plan.ts';
import { type AppElfs, findAppElfs } from './app-programs.ts';
import { type DebFiles, filesOfDeb } from './deb-files.ts';
import { foldersForLibrary, libraryNeeds } from './library-needs.ts';
import { findInLocked, type LockedPackages, namedInLocked } from './locked-packages.ts';
import { findNamedPackages } from './named-packages.ts';
import { linkMerged, placeFiles, placeLink } from './place-files.ts';
import { packagesForScript } from './script-needs.ts';
import {
  type FoundLibrary,
  findInSuite,
  isTooOld,
  portOf,
  type WantedLibrary,
} from './suite-libraries.ts';

/** Where libraries are taken from. */
export interface LibrarySource {
  /** Debian's suites, asked in this order for each library. */
  readonly suites: readonly string[];
  /** Packages to take along besides, such as `ca-certificates` or `locales`. */
  readonly packages?: readonly string[];
  /** Also the libraries that programs open by a literal name at run time, where Debian has them. */
  readonly openedLibraries?: boolean;
  /** Taken before what the suites have now. */
  readonly locked?: LockedPackages;
}

/** What the app is given besides its own files. Paths of the payload. */
export interface AddedLibraries {
  /** Folders that LD_LIBRARY_PATH will name. */
  readonly folders: readonly BytePath[];
  /** Libraries that LD_PRELOAD will name. */
  readonly preload: readonly BytePath[];
}

export interface TakenLibraries {
  /** The app with the libraries in its payload. */
  readonly app: App;
  /** By name. */
  readonly packages: readonly PinnedPackage[];
}

/** Each round fetches what the last one's libraries lack; real closures end after a few. */
const MAX_ROUNDS = 30;
/** Of a script that is read for what it calls. */
const MAX_SCRIPT = 64 << 10;

/**
 * Puts the libraries that an app lacks into its payload: missing sonames become packages of the
 * guest's architecture, until nothing is missing. A library whose suite is too old for the symbol
 * versions that are needed is taken from the next suite that is not.
 *
 * @throws UportError UPORT_LIBRARY_NOT_FOUND, UPORT_DEBIAN_*
 */
export async function takeLibraries(
  app: App,
  source: LibrarySource,
  context: DebianContext,
  added: AddedLibraries = { folders: [], preload: [] },
): Promise<TakenLibraries> {
  return new Taker(app, source, context, added).run();
}

interface TakenPackage {
  readonly found: FoundPackage;
  /** It is in the lock; the suite may have a newer one. */
  readonly locked: boolean;
  /** Index of its suite. */
  readonly suite: number;
  readonly files: DebFiles;
}

/** A library that a suite or the lock has. */
interface Candidate extends FoundLibrary {
  readonly locked: boolean;
  /** Not older than what is needed, as far as that is known before it is fetched. */
  readonly fits: boolean;
}

/** The payload with what was taken so far. */
interface GrownTree {
  readonly root: TreeRoot;
  /** Which package a file is of, by absolute path. */
  readonly owners: ReadonlyMap<string, string>;
}

/** Why a library must be found (again). */
interface Need {
  /** The first suite that may have it. */
  readonly from: number;
  readonly versions: readonly string[];
  /** A closure without it does not run. */
  readonly required: boolean;
}

class Taker {
  readonly #app: App;
  readonly #source: LibrarySource;
  readonly #context: DebianContext;
  readonly #added: AddedLibraries;
  readonly #packages = new Map<string, TakenPackage>();
  /** The first suite to ask for a soname, where the ones before it are too old. */
  readonly #minimum = new Map<string, number>();
  /** Which package a soname was taken from. */
  readonly #takenFrom = new Map<string, string>();
  /** Links that Debian's maintainer scripts would make. */
  readonly #links = new Map<string, string>();
  readonly #parts = new Map<Digest, FilePart>();
  /** Packages that were asked for by name. */
  readonly #named: string[] = [];
  /** Those of them that are too old, with the first suite to ask again. */
  readonly #renewed = new Map<string, { readonly taken: TakenPackage; readonly from: number }>();
  /** Those that are as new as can be had. */
  readonly #newest = new Set<string>();
  /** Sonames that the lock has too old. */
  readonly #outdated = new Set<string>();
  /** Names that no suite has. */
  readonly #absent = new Set<string>();
  readonly #failed: FailedTry[] = [];
  #architecture = '';
  #elfs!: AppElfs;

  constructor(app: App, source: LibrarySource, context: DebianContext, added: AddedLibraries) {
    this.#app = app;
    this.#added = added;
    this.#source = source;
    this.#context = context;
  }

  async run(): Promise<TakenLibraries> {
    this.#elfs = await findAppElfs(this.#app);
    this.#architecture = portOf(this.#elfs.target);
    await this.#takeNamed();
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const tree = this.#tree();
      const closures = await this.#closures(tree.root);
      const needs = this.#needsOf(closures, tree);
      if (needs.size === 0 && this.#renewed.size === 0) return this.#result(tree.root, closures);
      await this.#renew();
      await this.#fetch(needs);
    }
    throw new UportError({
      code: 'UPORT_LIBRARY_NOT_FOUND',
      category: 'input',
      message: `the libraries of ${this.#app.name} need each other's newer versions without end`,
      hint: 'name other suites with --from-debian, or put the libraries into the app folder',
    });
  }

  get #content(): ContentSource {
    return {
      locate: (digest) => this.#app.content.locate(digest) ?? this.#parts.get(digest),
    };
  }

  #tree(): GrownTree {
    const root = new TreeRoot(this.#app.payload.entries, this.#content);
    const owners = new Map<string, string>();
    const sorted = [...this.#packages].sort(
      ([a, x], [b, y]) => x.suite - y.suite || (a < b ? -1 : 1),
    );
    for (const [name, { files }] of sorted) {
      for (const path of placeFiles(root, files.entries)) owners.set(`/${path}`, name);
    }
    if (sorted.length > 0) linkMerged(root);
    for (const [path, target] of [...this.#links].sort()) placeLink(root, path, target);
    this.#linkInterpreter(root);
    return { root, owners };
  }

  /** A program may name a loader at a place of its own, as those of Nix do. */
  #linkInterpreter(root: TreeRoot): void {
    const { interpreter } = this.#elfs.target;
    if (interpreter === undefined || root.follow(interpreter) !== undefined) return;
    const name = interpreter.slice(interpreter.lastIndexOf('/') + 1);
    for (const folder of ['/lib', '/lib64', '/libx32']) {
      const found = root.follow(`${folder}/${name}`);
      if (found === undefined) continue;
      placeLink(root, interpreter.slice(1), found.path.slice(1));
      return;
    }
  }

  async #closures(root: TreeRoot): Promise<readonly Closure[]> {
    const { programs, libraries } = this.#elfs;
    const closures: Closure[] = [];
    const appFiles = filesByName(root, '/app');
    const seen = new Set<string>();
    const close = async (path: BytePath, opened: readonly BytePath[]) => {
      const closure = await findClosure({
        start: { root, path: `/${path}` },
        root,
        appFiles,
        libraryPath: this.#added.folders.map((path) => ({ root, path: `/${path}` })),
        preload: this.#added.preload.map((path) => ({ root, path: `/${path}` })),
        opened: opened.map((each) => ({ root, path: `/${each}` })),
        signal: this.#context.signal,
      });
      for (const object of closure.objects) seen.add(object.realPath);
      closures.push(closure);
    };
    for (const program of programs.slice(1)) await close(program, []);
    for (const program of this.#namedPrograms(root)) await close(program, []);
    const target = programs[0] as BytePath;
    await close(target, []);
    // Whatever no program loads by itself may be opened at run time.
    const opened = libraries.filter((path) => !seen.has(`/${path}`));
    if (opened.length > 0) await close(target, opened);
    return closures;
  }

  /** The programs of packages that were asked for by name. */
  #namedPrograms(root: TreeRoot): readonly BytePath[] {
    const found: BytePath[] = [];
    for (const name of this.#named) {
      for (const entry of this.#packages.get(name)?.files.entries ?? []) {
        if (entry.type !== 'file' || (entry.mode & 0o111) === 0) continue;
        const file = root.find(`/${entry.path}`);
        if (file === undefined || readStart(file.file, 4).toString('latin1') !== '\x7fELF')
          continue;
        found.push(file.path.slice(1) as BytePath);
      }
    }
    return found;
  }

  #needsOf(closures: readonly Closure[], { root, owners }: GrownTree): ReadonlyMap<string, Need> {
    const needs = new Map<string, Need>();
    const add = (name: string, versions: readonly string[], required: boolean) => {
      if (this.#absent.has(name)) return;
      const known = needs.get(name);
      needs.set(name, {
        from: this.#minimum.get(name) ?? 0,
        versions: [...new Set([...(known?.versions ?? []), ...versions])],
        required: required || (known?.required ?? false),
      });
    };
    for (const closure of closures) {
      const opened = this.#source.openedLibraries === true;
      for (const { soname, versions, required } of libraryNeeds(closure, opened)) {
        add(soname, versions, required);
      }
      for (const fault of closure.missingVersions) {
        if (fault.weak) continue;
        const owner = owners.get(root.find(fault.path)?.path ?? '');
        if (owner !== undefined) this.#replace(owner, add);
      }
    }
    return needs;
  }

  /** Takes a package out again: the suites up to its own are too old for what it has. */
  #replace(
    name: string,
    add: (name: string, versions: readonly string[], required: boolean) => void,
  ): void {
    const taken = this.#packages.get(name);
    if (taken === undefined || this.#newest.has(name)) return;
    // Nothing else may be taken, and the build that wrote the lock had nothing better.
    if (this.#source.locked?.only) return;
    const from = taken.locked ? taken.suite : taken.suite + 1;
    if (from >= this.#source.suites.length) return;
    this.#packages.delete(name);
    if (this.#named.includes(name)) this.#renewed.set(name, { taken, from });
    for (const [soname, owner] of this.#takenFrom) {
      if (owner !== name) continue;
      this.#takenFrom.delete(soname);
      this.#minimum.set(soname, from);
      if (taken.locked) this.#outdated.add(soname);
      add(soname, [], true);
    }
  }

  /** Takes packages that were asked for by name from the suites after the one that was too old. */
  async #renew(): Promise<void> {
    const { suites } = this.#source;
    for (const [name, { taken, from }] of [...this.#renewed].sort()) {
      this.#renewed.delete(name);
      const later = suites.slice(from);
      const found = await findNamedPackages(later, this.#architecture, [name], this.#context).catch(
        (error: unknown) => {
          if (error instanceof UportError && error.code === 'UPORT_DEBIAN_PACKAGE_NOT_FOUND') {
            return [];
          }
          throw error;
        },
      );
      const [first] = found;
      if (first) {
        await this.#add(first.found, from + first.suite, false);
      } else {
        this.#packages.set(name, taken);
        this.#newest.add(name);
      }
    }
  }

  async #fetch(needs: ReadonlyMap<string, Need>): Promise<void> {
    const open = new Map(needs);
    for (const [index, suite] of this.#source.suites.entries()) {
      const wanted = [...open].filter(([, need]) => need.from <= index);
      if (wanted.length === 0) continue;
      const found = await this.#find(
        suite,
        wanted.map(([soname]) => ({
          soname,
          folders: foldersForLibrary(this.#elfs.target, soname),
        })),
        (each) => !isTooOld(each, open.get(each.soname)?.versions ?? []),
      );
      const fitting = found.filter((each) => each.fits);
      await this.#take(fitting, index);
      for (const { soname } of fitting) open.delete(soname);
    }
    for (const [soname, { required }] of open) {
      this.#absent.add(soname);
      if (required && this.#source.locked?.only) throw notLocked(soname);
      if (required && this.#failed.length > 0) {
        // What a suite that could not be asked has is not known.
        throw unavailable(`${soname} for ${this.#architecture}`, this.#failed);
      }
    }
  }

  /** In the lock first. */
  async #find(
    suite: string,
    wanted: readonly WantedLibrary[],
    fits: (library: FoundLibrary) => boolean,
  ): Promise<readonly Candidate[]> {
    const { locked } = this.#source;
    const inLock = locked ? await findInLocked(locked, suite, wanted, this.#context) : [];
    const kept = inLock.filter((each) => fits(each) && !this.#outdated.has(each.soname));
    const open = wanted.filter(({ soname }) => !kept.some((each) => each.soname === soname));
    const found = kept.map((each) => ({ ...each, locked: true, fits: true }));
    if (locked?.only || open.length === 0) return found;
    const more = await findInSuite(suite, this.#architecture, open, this.#context, this.#failed);
    return [...found, ...more.map((each) => ({ ...each, locked: false, fits: fits(each) }))];
  }

  async #take(libraries: readonly Candidate[], suite: number): Promise<void> {
    const packages = new Map(libraries.map((each) => [each.package.name, each]));
    const folders = new Set(guessedFolders(this.#elfs.target).map(withoutUsr));
    for (const [name, { package: found, locked }] of packages) {
      if (!this.#packages.has(name)) await this.#add(found, suite, locked);
    }
    const [home] = guessedFolders(this.#elfs.target);
    for (const { soname, path, package: found } of libraries) {
      this.#takenFrom.set(soname, found.name);
      const folder = `/${path.slice(0, path.lastIndexOf('/'))}`;
      const isInterpreter = this.#elfs.target.interpreter?.endsWith(`/${soname}`);
      if (isInterpreter || folders.has(withoutUsr(folder))) continue;
      // Below a folder of the loader: update-alternatives or ldconfig make it found.
      this.#links.set(`usr${withoutUsr(home as string)}/${soname}`, path);
    }
  }

  async #add(found: FoundPackage, suite: number, locked: boolean): Promise<void> {
    const deb = await downloadPackage(found, this.#context);
    const files = await filesOfDeb(deb, this.#context);
    const archive = this.#context.store.pathOf(files.archive);
    for (const entry of files.entries) {
      if (entry.type !== 'file') continue;
      const { digest, offset, size } = entry;
      this.#parts.set(digest, { file: archive, offset, size });
    }
    this.#packages.set(found.name, { found, suite, files, locked });
  }

  /** A script that starts the app needs a shell in an image; elsewhere the host's runs it. */
  #forScript(): readonly string[] {
    const { program, content } = this.#app;
    const entry = this.#app.payload.entries.find((each) => each.path === program);
    const place = entry?.type === 'file' ? content.locate(entry.digest) : undefined;
    if (place === undefined) return [];
    return packagesForScript(readStart(place, MAX_SCRIPT).toString('latin1'));
  }

  /** Packages that were asked for by name, and those of a script. */
  async #takeNamed(): Promise<void> {
    const { suites } = this.#source;
    const packages = [...new Set([...(this.#source.packages ?? []), ...this.#forScript()])];
    if (packages.length === 0) return;
    const { locked } = this.#source;
    const kept = locked ? await namedInLocked(locked, suites, packages, this.#context) : [];
    const open = packages.filter((name) => !kept.some((each) => each.found.name === name));
    if (locked?.only && open[0] !== undefined) throw notLocked(open[0]);
    const more =
      open.length === 0
        ? []
        : await findNamedPackages(suites, this.#architecture, open, this.#context);
    for (const [list, isLocked] of [[kept, true] as const, [more, false] as const]) {
      for (const { found, suite } of list) {
        await this.#add(found, suite, isLocked);
        this.#named.push(found.name);
      }
    }
  }

  #result(root: TreeRoot, closures: readonly Closure[]): TakenLibraries {
    const lacking = new Map<string, readonly string[]>();
    for (const closure of closures) {
      for (const { name, neededBy } of closure.missing) lacking.set(name, neededBy);
      const { interpreter } = closure;
      if (interpreter && !interpreter.found) lacking.set(interpreter.path, [this.#app.target]);
    }
    const main = closures.find(({ objects }) => objects[0]?.path === `/${this.#app.target}`);
    const inMain = new Set([
      ...(main?.missing.map(({ name }) => name) ?? []),
      ...(main?.interpreter?.found === false ? [main.interpreter.path] : []),
    ]);
    const shown = [...lacking].map(
      ([name, by]) => `${displayBytes(name)} (needed by ${by.map(displayBytes).join(', ')})`,
    );
    if (inMain.size > 0) {
      throw new UportError({
        code: 'UPORT_LIBRARY_NOT_FOUND',
        category: 'input',
        message: `${this.#source.suites.join(', ')} of Debian has no ${shown.join(', ')} for ${this.#architecture}`,
        hint: 'name a further suite with --from-debian, or put the library into the app folder',
      });
    }
    if (shown.length > 0) {
      this.#context.warn?.(
        `not in Debian, and not needed to start ${this.#app.name}: ${shown.join(', ')}`,
      );
    }
    for (const fault of new Map(
      closures
        .flatMap((each) => each.missingVersions)
        .map((each) => [`${each.path} ${each.version}`, each]),
    ).values()) {
      this.#context.warn?.(
        `${displayBytes(fault.path)} has no version ${displayBytes(fault.version)}, which ${displayBytes(fault.object)} needs`,
      );
    }
    const packages = [...this.#packages.values()]
      .map(({ found }) => pinOf(found))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    return {
      app: { ...this.#app, payload: { entries: root.entries }, content: this.#content },
      packages,
    };
  }
}

function notLocked(name: string): UportError {
  return new UportError({
    code: 'UPORT_LOCK_DRIFT',
    category: 'validation',
    message: `${name} is needed, and no locked package has it`,
    hint: 'run uport build without --frozen, and look at what it adds to the lock',
  });
}

const withoutUsr = (folder: string): string => folder.replace(/^\/usr\//, '/');

function pinOf(found: FoundPackage): PinnedPackage {
  return {
    name: found.name,
    version: found.version,
    architecture: found.architecture,
    suite: found.suite,
    sourcePackage: found.sourcePackage,
    sourceVersion: found.sourceVersion,
    path: found.poolPath,
    digest: found.digest,
    size: found.size,
  };
}
