import type { FoundBy, NeededLibrary } from './closure.ts';
import type { FileFacts } from './file-facts.ts';
import type { LibraryRoot, RootFile } from './library-root.ts';

/** A file that the imagined loader has mapped. */
export interface Loaded extends FileFacts {
  readonly path: string;
  readonly root: LibraryRoot;
  readonly found: RootFile;
  readonly foundBy: FoundBy;
  /** Who had it loaded first; undefined for the program. */
  readonly loader: Loaded | undefined;
  /** The folder that `$ORIGIN` stands for. */
  readonly origin: string;
  /** Names that later lookups match. */
  readonly names: Set<string>;
  readonly neededBy: string[];
  readonly needed: NeededLibrary[];
  readonly variants: readonly string[];
}

/** A folder to look in. */
export interface SearchFolder {
  readonly root: LibraryRoot;
  readonly folder: string;
  readonly by: FoundBy;
}
