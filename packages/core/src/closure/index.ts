export type {
  Closure,
  ClosureObject,
  FoundBy,
  Linker,
  MissingLibrary,
  MissingVersion,
  NeededLibrary,
  PassedOver,
  RuntimeLoad,
} from './closure.ts';
export { closureOfFile, type FileClosureOptions } from './closure-of-file.ts';
export { type ClosureOptions, findClosure, type RootPath } from './find-closure.ts';
export { diskRoot, type LibraryRoot, type RootFile } from './library-root.ts';
export { TreeRoot } from './tree-root.ts';
