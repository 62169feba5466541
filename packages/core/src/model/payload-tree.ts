import type { Digest } from './digest.ts';

/**
 * A path inside the payload: relative, `/`-separated, no `.`, `..`, empty parts or NUL. Each
 * character stands for one byte (Latin-1), since file names are bytes: comparing the strings
 * compares the bytes. `displayPath` makes it readable.
 */
export type BytePath = string & { readonly __bytePath: never };

interface EntryBase {
  readonly path: BytePath;
  /** Permission bits, 0 to 0o7777. */
  readonly mode: number;
  /** Default: 0, and so for `gid`. */
  readonly uid?: number;
  readonly gid?: number;
  /** Whole seconds since 1970. Default: the plan's `sourceDateEpoch`. */
  readonly mtime?: number;
  /** Extended attributes, such as `security.capability`: bytes as Latin-1. */
  readonly xattrs?: Readonly<Record<string, string>>;
}

export interface FileEntry extends EntryBase {
  readonly type: 'file';
  readonly size: number;
  readonly digest: Digest;
}

export interface DirectoryEntry extends EntryBase {
  readonly type: 'directory';
}

export interface SymlinkEntry extends EntryBase {
  readonly type: 'symlink';
  /** Bytes as Latin-1, as they stand in the link. */
  readonly target: string;
}

/** A further name of a file that comes earlier in the tree. */
export interface HardLinkEntry extends EntryBase {
  readonly type: 'hardlink';
  readonly target: BytePath;
}

/** Only images and tars hold these; what is unpacked by an ordinary user does without them. */
export interface DeviceEntry extends EntryBase {
  readonly type: 'characterDevice' | 'blockDevice';
  readonly device: { readonly major: number; readonly minor: number };
}

export interface FifoEntry extends EntryBase {
  readonly type: 'fifo';
}

export type PayloadEntry =
  | FileEntry
  | DirectoryEntry
  | SymlinkEntry
  | HardLinkEntry
  | DeviceEntry
  | FifoEntry;

/** The files that travel, sorted bytewise by path; every parent folder comes before what it holds. */
export interface PayloadTree {
  readonly entries: readonly PayloadEntry[];
}
