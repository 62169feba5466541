import { statSync } from 'node:fs';
import { type ContentSource, placeOf } from '../model/content.ts';
import type { PayloadEntry } from '../model/payload-tree.ts';
import { followPath, type LibraryRoot, type RootFile, type Step } from './library-root.ts';

/** A payload tree as a root, which may grow. */
export class TreeRoot implements LibraryRoot {
  readonly name = 'payload';
  readonly #entries = new Map<string, PayloadEntry>();
  readonly #folders = new Map<string, Set<string>>();
  readonly #content: ContentSource;

  constructor(entries: Iterable<PayloadEntry>, content: ContentSource) {
    this.#content = content;
    for (const entry of entries) this.add(entry);
  }

  get entries(): readonly PayloadEntry[] {
    return [...this.#entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** What lies at a path of the payload, its last part not followed. */
  get(path: string): PayloadEntry | undefined {
    return this.#entries.get(path.replace(/^\/+/, ''));
  }

  /** Adds an entry, or puts it in the place of another; its folders are the caller's. */
  add(entry: PayloadEntry): void {
    this.#entries.set(entry.path, entry);
    const slash = entry.path.lastIndexOf('/');
    const folder = slash < 0 ? '' : entry.path.slice(0, slash);
    let names = this.#folders.get(folder);
    if (names === undefined) {
      names = new Set();
      this.#folders.set(folder, names);
    }
    names.add(entry.path.slice(slash + 1));
  }

  readonly #step = (path: string): Step | undefined => {
    const entry = this.#entries.get(path.slice(1));
    if (entry === undefined) return undefined;
    switch (entry.type) {
      case 'symlink':
        return { type: 'symlink', target: entry.target };
      case 'hardlink':
        return { type: 'file' };
      case 'file':
      case 'directory':
        return { type: entry.type };
      default:
        return undefined;
    }
  };

  /** The path that a path leads to, links followed, and what is there. */
  follow(path: string): { readonly path: string; readonly type: 'file' | 'directory' } | undefined {
    return followPath(path, this.#step);
  }

  find(path: string): RootFile | undefined {
    const found = this.follow(path);
    if (found?.type !== 'file') return undefined;
    let entry = this.#entries.get(found.path.slice(1));
    if (entry?.type === 'hardlink') entry = this.#entries.get(entry.target);
    if (entry?.type !== 'file') return undefined;
    const file = this.#content.locate(entry.digest);
    if (file === undefined || !statSync(placeOf(file).file, { throwIfNoEntry: false })) {
      return undefined;
    }
    return { path: found.path, file, identity: entry.path, size: entry.size };
  }

  hasFolder(path: string): boolean {
    return this.follow(path)?.type === 'directory';
  }

  has(path: string): boolean {
    return this.follow(path) !== undefined;
  }

  list(folder: string): readonly string[] {
    const found = this.follow(folder);
    if (found?.type !== 'directory') return [];
    return [...(this.#folders.get(found.path.slice(1)) ?? [])].sort();
  }
}
