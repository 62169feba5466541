// The order in which a dynamic linker looks for a library: glibc's elf/dl-load.c as ld.so(8) tells
// it, and musl's ldso/dynlink.c.
import type { Linker } from './closure.ts';
import { HWCAPS, PLATFORMS } from './cpu-folders.ts';
import { readLdSoConf } from './ld-so-conf.ts';
import { type LibraryRoot, readRootText } from './library-root.ts';
import type { Loaded, SearchFolder } from './loaded.ts';
import { expandMuslTokens, expandTokens } from './tokens.ts';

/** What holds for the whole process. */
export interface SearchSettings {
  readonly linker: Linker;
  /** uport's name of the CPU. */
  readonly cpu: string;
  /** Where absolute folders lie. */
  readonly root: LibraryRoot;
  /** Folders searched as LD_LIBRARY_PATH's are. */
  readonly libraryPath: readonly SearchFolder[];
  /** The folders that the linker has built in. */
  readonly systemFolders: readonly string[];
  /** What `$LIB` stands for. */
  readonly lib: string;
  /** Subfolders to prefer in every folder, such as `glibc-hwcaps/x86-64-v3`. */
  readonly hwcaps: readonly string[];
  /** The working folder, for relative folders; undefined when it cannot be known. */
  readonly workdir: string | undefined;
  /** The path of the linker itself, for musl's configuration. */
  readonly interpreter: string | undefined;
}

const DF_1_NODEFLIB = 0x800;

/** Lists of the whole root, read once. */
export class SearchOrder {
  readonly #settings: SearchSettings;
  #configured: readonly SearchFolder[] | undefined;

  constructor(settings: SearchSettings) {
    this.#settings = settings;
  }

  /** The folders for a library that `requester` asks for, in order. */
  foldersFor(requester: Loaded, program: Loaded): Iterable<SearchFolder> {
    return this.#settings.linker === 'musl'
      ? this.#musl(requester)
      : this.#glibc(requester, program);
  }

  /** Subfolders of glibc-hwcaps that hold the same library for newer CPUs. */
  variantFolders(): readonly string[] {
    return (HWCAPS[this.#settings.cpu] ?? []).map((name) => `glibc-hwcaps/${name}`);
  }

  *#glibc(requester: Loaded, program: Loaded): Generator<SearchFolder> {
    // Whoever has a RUNPATH does without all RPATHs, its loaders' too.
    if (!requester.elf.dynamic?.runpath.length) {
      let sawProgram = false;
      for (let each: Loaded | undefined = requester; each; each = each.loader) {
        sawProgram ||= each === program;
        yield* this.#rpath(each, program);
      }
      if (!sawProgram) yield* this.#rpath(program, program);
    }
    yield* this.#withHwcaps(this.#settings.libraryPath);
    yield* this.#embedded(requester, requester.elf.dynamic?.runpath ?? [], 'runpath');
    if (((requester.elf.dynamic?.flags1 ?? 0) & DF_1_NODEFLIB) === 0) yield* this.#system();
  }

  /** The program's RPATH is not read at all when it has a RUNPATH; a library's is, for what it loads. */
  *#rpath(object: Loaded, program: Loaded): Generator<SearchFolder> {
    const dynamic = object.elf.dynamic;
    if (!dynamic || (object === program && dynamic.runpath.length > 0)) return;
    yield* this.#embedded(object, dynamic.rpath, 'rpath');
  }

  *#embedded(
    object: Loaded,
    folders: readonly string[],
    by: 'rpath' | 'runpath',
  ): Generator<SearchFolder> {
    const { lib, cpu } = this.#settings;
    for (const each of folders) {
      const folder = expandTokens(each, { origin: object.origin, lib, platform: PLATFORMS[cpu] });
      if (folder === undefined) continue;
      yield* this.#withHwcaps(this.#absolute(object, each, folder, by));
    }
  }

  /** `$ORIGIN` lies where the object lies; any other absolute folder in the root. */
  #absolute(
    object: Loaded,
    written: string,
    folder: string,
    by: SearchFolder['by'],
  ): readonly SearchFolder[] {
    if (/^\$(?:ORIGIN|\{ORIGIN\})/.test(written)) return [{ root: object.root, folder, by }];
    if (folder.startsWith('/')) return [{ root: this.#settings.root, folder, by }];
    const { workdir } = this.#settings;
    if (workdir === undefined) return [];
    return [{ root: object.root, folder: `${workdir}/${folder}`, by }];
  }

  *#system(): Generator<SearchFolder> {
    const { root, systemFolders } = this.#settings;
    this.#configured ??= readLdSoConf(root).map((folder) => ({ root, folder, by: 'ld.so.conf' }));
    yield* this.#withHwcaps(this.#configured);
    const builtIn = systemFolders.map(
      (folder): SearchFolder => ({ root, folder, by: 'default folder' }),
    );
    yield* this.#withHwcaps(builtIn);
  }

  *#withHwcaps(folders: readonly SearchFolder[]): Generator<SearchFolder> {
    for (const each of folders) {
      for (const name of this.#settings.hwcaps) yield { ...each, folder: `${each.folder}/${name}` };
      yield each;
    }
  }

  *#musl(requester: Loaded): Generator<SearchFolder> {
    yield* this.#settings.libraryPath;
    for (let each: Loaded | undefined = requester; each; each = each.loader) {
      const { dynamic } = each.elf;
      // One path: DT_RUNPATH where there is one, inherited all the same.
      const written = dynamic?.runpath.length ? dynamic.runpath : (dynamic?.rpath ?? []);
      const by = dynamic?.runpath.length ? 'runpath' : 'rpath';
      const expanded = expandMuslTokens(written, each.origin);
      for (const [index, folder] of expanded.entries()) {
        yield* this.#absolute(each, written[index] as string, folder, by);
      }
    }
    this.#configured ??= this.#muslFolders();
    yield* this.#configured;
  }

  #muslFolders(): readonly SearchFolder[] {
    const { root, interpreter = '', systemFolders } = this.#settings;
    // /lib/ld-musl-ARCH.so.1 has /etc/ld-musl-ARCH.path.
    const parts = /^(.*?)\/?[^/]*\/ld-musl-([^/]+)\.so\.1$/.exec(interpreter);
    const text = parts && readRootText(root, `${parts[1]}/etc/ld-musl-${parts[2]}.path`);
    if (text === undefined || text === null) {
      return systemFolders.map((folder) => ({ root, folder, by: 'default folder' }));
    }
    return text
      .split(/[\n:]/)
      .filter((folder) => folder.startsWith('/'))
      .map((folder) => ({ root, folder, by: 'ld-musl path' }));
  }
}
