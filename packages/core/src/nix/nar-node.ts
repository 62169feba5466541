/**
 * What a NAR holds. Strings are bytes as Latin-1. Nothing is read before the writer asks for it, so
 * a tree of any size needs little memory.
 */
export type NarNode = NarFile | NarSymlink | NarDirectory;

export interface NarFile {
  readonly type: 'file';
  readonly executable: boolean;
  /** In bytes. */
  readonly size: number;
  /** Exactly `size` bytes. */
  open(): AsyncIterable<Uint8Array>;
}

export interface NarSymlink {
  readonly type: 'symlink';
  readonly target: string;
}

export interface NarDirectory {
  readonly type: 'directory';
  /** In any order. */
  list(): readonly NarChild[] | Promise<readonly NarChild[]>;
}

export interface NarChild {
  readonly name: string;
  node(): NarNode | Promise<NarNode>;
}
