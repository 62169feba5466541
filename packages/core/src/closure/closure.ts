// What a closure is: plain data.
import type { ContentPlace } from '../model/content.ts';

/** Whose rules hold. `none`: a static program, which loads nothing. */
export type Linker = 'glibc' | 'musl' | 'none';

/** By which rule a file was found. */
export type FoundBy =
  | 'given'
  | 'interpreter'
  | 'preload'
  | 'path'
  | 'rpath'
  | 'runpath'
  | 'LD_LIBRARY_PATH'
  | 'ld.so.conf'
  | 'ld-musl path'
  | 'default folder'
  | 'app folder';

/** A name in DT_NEEDED and what it led to. */
export interface NeededLibrary {
  readonly name: string;
  /** The object's path; undefined when it is missing. */
  readonly path: string | undefined;
}

/** One file of the closure. Paths are bytes, one character each (Latin-1), inside their root. */
export interface ClosureObject {
  /** As the loader spells it: folder and name. */
  readonly path: string;
  /** Links followed. */
  readonly realPath: string;
  /** The root it lies in; empty for this machine's own. */
  readonly root: string;
  /** Where its bytes lie on this machine. */
  readonly file: ContentPlace;
  readonly soname: string | undefined;
  readonly foundBy: FoundBy;
  /** Paths of the objects that need it, in load order. */
  readonly neededBy: readonly string[];
  readonly needed: readonly NeededLibrary[];
  /** The same library for newer CPUs, in subfolders of glibc-hwcaps. */
  readonly variants: readonly string[];
}

/** A library that was not found. */
export interface MissingLibrary {
  readonly name: string;
  readonly neededBy: readonly string[];
  /** The folders that were looked in, in order. */
  readonly searched: readonly string[];
  /** Files of that name that the loader does not take, and why. */
  readonly passedOver: readonly PassedOver[];
  /** The symbol versions that are needed of it. */
  readonly versions: readonly string[];
}

export interface PassedOver {
  readonly path: string;
  readonly reason: string;
}

/** A symbol version that the library which was found does not have. */
export interface MissingVersion {
  /** Path of the object that needs it. */
  readonly object: string;
  /** As DT_NEEDED names it. */
  readonly library: string;
  /** Path of the library that was found. */
  readonly path: string;
  readonly version: string;
  /** The linker only warns. */
  readonly weak: boolean;
  /** The newest of the same series that the library has, such as GLIBC_2.36. */
  readonly newest: string | undefined;
  /** Other files of that name, further down in the search, that have the version. */
  readonly alternatives: readonly string[];
}

/** Files that a program opens by itself, so that no ELF header tells. */
export interface RuntimeLoad {
  readonly kind:
    | 'nss'
    | 'gconv'
    | 'locale'
    | 'plug-in'
    | 'dlopen'
    | 'dlopen note'
    | 'thread cancellation'
    | 'data';
  /** A library's name, or what the files are for. */
  readonly name: string;
  /** Paths of the objects that ask for it. */
  readonly askedBy: readonly string[];
  /** Files and folders that are there. */
  readonly found: readonly string[];
  /** Names and patterns that led to nothing. */
  readonly missing: readonly string[];
  /** From package metadata: `required`, `recommended`, `suggested`. */
  readonly priority?: string;
  readonly description?: string;
}

export interface Closure {
  readonly linker: Linker;
  /** The dynamic linker that the program names. */
  readonly interpreter: { readonly path: string; readonly found: boolean } | undefined;
  /** In load order; the program first. */
  readonly objects: readonly ClosureObject[];
  readonly missing: readonly MissingLibrary[];
  readonly missingVersions: readonly MissingVersion[];
  readonly runtimeLoads: readonly RuntimeLoad[];
}
