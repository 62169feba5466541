import type { Scan } from '../app/scan-folder.ts';
import type { ProgressTask } from '../model/progress.ts';
import type { Store } from '../store/store.ts';

/** What reading store objects works with. */
export interface ClosureContext {
  /** Keeps what was downloaded or unpacked. */
  readonly store: Store;
  readonly task: ProgressTask;
  readonly signal: AbortSignal;
}

/** One store object, read: its files below `nix/store/…`, and what it refers to. */
export interface StoreObject {
  readonly storePath: string;
  /** Full store paths; the object itself may be among them. */
  readonly references: readonly string[];
  readonly scan: Scan;
}

/** A source of store objects: a store on disk, a binary cache, an export. */
export interface NixStore {
  /** For people. */
  readonly name: string;
  /**
   * Reads one object.
   *
   * @throws UportError UPORT_NIX_PATH_MISSING when this store has it not
   */
  read(storePath: string, context: ClosureContext): Promise<StoreObject>;
}
