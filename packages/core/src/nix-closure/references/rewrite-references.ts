// Moves a closure out of /nix/store and makes its files name the new place.
import { closeSync, openSync, readSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ByteSource } from '@uport/elf';
import type { Scan } from '../../app/scan-folder.ts';
import { displayBytes, parseBytePath, textPath } from '../../model/byte-path.ts';
import { type ContentPlace, placeOf } from '../../model/content.ts';
import type { Digest } from '../../model/digest.ts';
import type { BytePath, FileEntry, PayloadEntry } from '../../model/payload-tree.ts';
import { ReferenceScanner } from '../../nix/reference-scanner.ts';
import { NIX_STORE_DIR } from '../../nix/store-path.ts';
import type { ClosureContext } from '../nix-store.ts';
import type { NixClosure } from '../read-closure.ts';
import { programSearchPaths } from './program-search-paths.ts';
import { SEAL_HEAD, sealedFormat } from './sealed-formats.ts';
import { REPLACED_LENGTH, type StorePlaces } from './store-prefix.ts';

/** What became of the references of a closure. Counts are of places in files. */
export interface ReferenceReport {
  /** Where the closure lies. */
  readonly prefix: string;
  /** Folders that loaders search (RUNPATH, RPATH), now relative to the program that names them. */
  readonly relative: number;
  /** Symbolic links, now relative. */
  readonly links: number;
  /** Others, which now name the prefix: good where the closure lies there. */
  readonly absolute: number;
  /** Hash parts without `/nix/store` before them. They stay. */
  readonly bare: number;
  /** Files whose references stay, since compression or check sums seal their bytes. */
  readonly sealed: readonly SealedFile[];
}

export interface SealedFile {
  /** In the payload. */
  readonly path: BytePath;
  /** Such as `gzip`. */
  readonly format: string;
  /** References that can be seen; compressed ones cannot. */
  readonly references: number;
}

export interface RewrittenClosure {
  readonly scan: Scan;
  readonly report: ReferenceReport;
  /** The new path of what had this one. */
  moved(path: BytePath): BytePath;
}

const READ_SIZE = 1 << 20;
const STORE = textPath(NIX_STORE_DIR.slice(1));
const STORE_BYTES = Buffer.from(`${NIX_STORE_DIR}/`);
const HASH_LENGTH = 32;

/**
 * Gives each object of a closure its new place. In files `/nix/store/HASH-` becomes as many other
 * bytes; folders that loaders search become relative to a program (`$ORIGIN`) where that fits, links
 * become relative. Changed files go to the store.
 */
export async function rewriteReferences(
  closure: NixClosure,
  places: StorePlaces,
  context: ClosureContext,
): Promise<RewrittenClosure> {
  const rewriter = new Rewriter(closure, places, context);
  return rewriter.run();
}

interface Hit {
  /** Of `/nix/store/`. */
  readonly offset: number;
  readonly hash: string;
}

interface Found {
  readonly hits: readonly Hit[];
  readonly bare: number;
  /** Where the folders of a program begin that a loader searches. */
  readonly searchPaths: ReadonlySet<number>;
  readonly format: string | undefined;
}

interface Changed {
  readonly digest: Digest;
  readonly relative: number;
  readonly absolute: number;
}

class Rewriter {
  readonly #closure: NixClosure;
  readonly #places: StorePlaces;
  readonly #context: ClosureContext;
  readonly #buffer = Buffer.allocUnsafe(READ_SIZE);
  readonly #found = new Map<Digest, Found>();
  readonly #changed = new Map<string, Changed>();
  readonly #files: Map<Digest, ContentPlace>;
  readonly #count = { relative: 0, links: 0, absolute: 0, bare: 0 };
  readonly #sealed: SealedFile[] = [];

  constructor(closure: NixClosure, places: StorePlaces, context: ClosureContext) {
    this.#closure = closure;
    this.#places = places;
    this.#context = context;
    this.#files = new Map(closure.scan.files);
  }

  async run(): Promise<RewrittenClosure> {
    const { scan } = this.#closure;
    const entries: PayloadEntry[] = [...foldersOf(this.#places.prefix)];
    const programs = new Map<BytePath, Buffer>();
    const fatElfs = new Set(scan.fatElfs);
    for (const entry of scan.entries) {
      if (entry.path === STORE || !entry.path.startsWith(`${STORE}/`)) continue;
      this.#context.signal.throwIfAborted();
      const moved = await this.#entry(entry);
      entries.push(moved);
      if (entry.type === 'file' && moved.type === 'file' && scan.fatElfs.has(entry.digest)) {
        fatElfs.add(moved.digest);
      }
      if (moved.type === 'file' && scan.programs.has(entry.path)) {
        const head = scan.programs.get(entry.path) as Buffer;
        const changed = moved.digest !== (entry as FileEntry).digest;
        programs.set(moved.path, changed ? this.#headOf(moved.digest, head.length) : head);
      }
    }
    entries.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
    return {
      scan: { entries, files: this.#files, programs, fatElfs },
      report: { prefix: this.#places.prefix, ...this.#count, sealed: this.#sealed },
      moved: (path) => this.#move(path),
    };
  }

  async #entry(entry: PayloadEntry): Promise<PayloadEntry> {
    const path = this.#move(entry.path);
    if (entry.type === 'symlink') return { ...entry, path, target: this.#link(path, entry.target) };
    if (entry.type !== 'file') return { ...entry, path };
    return { ...entry, path, digest: await this.#file(entry, path) };
  }

  /** `nix/store/HASH-NAME/…` at its new place. */
  #move(path: BytePath): BytePath {
    const hash = path.slice(STORE.length + 1, STORE.length + 1 + HASH_LENGTH);
    const rest = path.slice(STORE.length + 1 + HASH_LENGTH);
    return parseBytePath(`${this.#places.absolute(hash).slice(1)}${rest}`);
  }

  /** From a file's folder up to the prefix (whose slash at the front a payload's path lacks): `../` as often as it takes. */
  #upFrom(path: BytePath): string {
    const inside = path.slice(this.#places.prefix.length);
    return '../'.repeat(inside.split('/').length - 1);
  }

  /** @param path of the link, at its new place */
  #link(path: BytePath, target: string): string {
    const [, hash, rest] = /^\/+nix\/+store\/+([0-9a-z]{32})(-.*)$/s.exec(target) ?? [];
    if (hash !== undefined && this.#places.has(hash)) {
      this.#count.links++;
      return `${this.#upFrom(path)}${this.#places.digitsOf(hash)}${rest}`;
    }
    // A relative one may go through the store's folder to another object.
    const parts = target.split('/').map((part) => {
      const [, digits, name] = /^([0-9a-z]{32})(-.+)$/s.exec(part) ?? [];
      if (digits === undefined || !this.#places.has(digits)) return part;
      return `${this.#places.digitsOf(digits)}${name}`;
    });
    const changed = target.startsWith('/') ? target : parts.join('/');
    if (changed !== target) this.#count.links++;
    return changed;
  }

  async #file(entry: FileEntry, path: BytePath): Promise<Digest> {
    const place = this.#closure.scan.files.get(entry.digest) as ContentPlace;
    const found = this.#found.get(entry.digest) ?? (await this.#search(place));
    this.#found.set(entry.digest, found);
    const { hits, bare, searchPaths, format } = found;
    this.#count.bare += bare;
    if (format !== undefined) {
      this.#sealed.push({ path, format, references: hits.length });
      return entry.digest;
    }
    if (hits.length === 0) return entry.digest;
    // What is relative depends on how deep the file lies.
    const up = searchPaths.size > 0 ? this.#upFrom(path) : '';
    const key = `${entry.digest} ${up}`;
    const changed = this.#changed.get(key) ?? (await this.#change(place, found, up));
    this.#changed.set(key, changed);
    this.#count.relative += changed.relative;
    this.#count.absolute += changed.absolute;
    return changed.digest;
  }

  async #search(place: ContentPlace): Promise<Found> {
    const fd = openSync(placeOf(place).file, 'r');
    try {
      const seen: Hit[] = [];
      const scanner = new ReferenceScanner(this.#places, (hash, offset) => {
        seen.push({ hash, offset: offset - STORE_BYTES.length });
      });
      let head = Buffer.alloc(0);
      let size = 0;
      for (;;) {
        const got = readSync(fd, this.#buffer, 0, READ_SIZE, size);
        if (got === 0) break;
        const piece = this.#buffer.subarray(0, got);
        if (size === 0) head = Buffer.from(piece.subarray(0, SEAL_HEAD));
        scanner.add(piece);
        size += got;
        await this.#turn(got);
      }
      const hits = seen.filter((hit) => isPath(fd, hit));
      const isElf = hits.length > 0 && head.toString('latin1', 0, 4) === '\x7fELF';
      return {
        hits,
        bare: seen.length - hits.length,
        searchPaths: isElf ? await programSearchPaths(descriptorSource(fd, size)) : new Set(),
        format: sealedFormat(head),
      };
    } finally {
      closeSync(fd);
    }
  }

  #sinceTurn = 0;

  async #turn(size: number): Promise<void> {
    this.#context.task.advance(size);
    this.#sinceTurn += size + (16 << 10);
    if (this.#sinceTurn < 8 * READ_SIZE) return;
    this.#sinceTurn = 0;
    await nextTurn();
    this.#context.signal.throwIfAborted();
  }

  async #change(place: ContentPlace, { hits, searchPaths }: Found, up: string): Promise<Changed> {
    let relative = 0;
    const edits = hits.map(({ offset, hash }): Edit => {
      const near = searchPaths.has(offset)
        ? originPath(up, this.#places.digitsOf(hash))
        : undefined;
      if (near !== undefined) relative++;
      return { offset, bytes: Buffer.from(near ?? this.#places.absolute(hash)) };
    });
    const { store, signal } = this.#context;
    const { digest } = await store.put(edited(placeOf(place).file, edits), { signal });
    this.#files.set(digest, store.pathOf(digest));
    return { digest, relative, absolute: hits.length - relative };
  }

  #headOf(digest: Digest, length: number): Buffer {
    const fd = openSync(placeOf(this.#files.get(digest) as ContentPlace).file, 'r');
    try {
      const head = Buffer.alloc(length);
      return head.subarray(0, readSync(fd, head, 0, length, 0));
    } finally {
      closeSync(fd);
    }
  }
}

interface Edit {
  readonly offset: number;
  readonly bytes: Buffer;
}

/** A searched folder relative to the file, as long as what it replaces; undefined when it does not fit. */
function originPath(up: string, digits: string): string | undefined {
  const slashes = REPLACED_LENGTH - '$ORIGIN/'.length - up.length - digits.length;
  return slashes < 0 ? undefined : `$ORIGIN/${'/'.repeat(slashes)}${up}${digits}`;
}

/** Whether the hash part stands in a full store path. */
function isPath(fd: number, { offset }: Hit): boolean {
  if (offset < 0) return false;
  const around = Buffer.alloc(REPLACED_LENGTH + 1);
  const got = readSync(fd, around, 0, around.length, offset);
  return (
    got === around.length &&
    around.subarray(0, STORE_BYTES.length).equals(STORE_BYTES) &&
    around.at(-1) === 0x2d
  );
}

/** The bytes of a file with others written over them. */
async function* edited(
  file: string | Buffer,
  edits: readonly Edit[],
): AsyncGenerator<Uint8Array, void, undefined> {
  const fd = openSync(file, 'r');
  try {
    let next = 0;
    for (let at = 0; ; ) {
      const piece = Buffer.allocUnsafe(READ_SIZE);
      const got = readSync(fd, piece, 0, READ_SIZE, at);
      if (got === 0) return;
      // One may go on in the next piece.
      for (let index = next; index < edits.length; index++) {
        const { offset, bytes } = edits[index] as Edit;
        if (offset >= at + got) break;
        const from = Math.max(0, at - offset);
        bytes.copy(piece, offset + from - at, from, Math.min(bytes.length, at + got - offset));
        if (offset + bytes.length <= at + got) next = index + 1;
      }
      at += got;
      yield piece.subarray(0, got);
    }
  } finally {
    closeSync(fd);
  }
}

function descriptorSource(fd: number, size: number): ByteSource {
  return {
    size,
    async read(offset, length) {
      const bytes = new Uint8Array(length);
      return bytes.subarray(0, readSync(fd, bytes, 0, length, offset));
    },
  };
}

/** The folders of the prefix. */
function foldersOf(prefix: string): readonly PayloadEntry[] {
  const parts = prefix.slice(1).split('/');
  return parts.map((_, index) => ({
    type: 'directory',
    path: textPath(parts.slice(0, index + 1).join('/')),
    mode: 0o755,
  }));
}

/** What people should know of a rewritten closure, in sentences. */
export function describeReferences(report: ReferenceReport): readonly string[] {
  const seen = report.sealed.filter(({ references }) => references > 0);
  const unseen = report.sealed.filter(({ references }) => references === 0);
  return [
    ...(seen.length > 0
      ? [`references in sealed files still name ${NIX_STORE_DIR}: ${someOf(seen)}`]
      : []),
    ...(unseen.length > 0
      ? [`compressed files are not looked into, and may name ${NIX_STORE_DIR}: ${someOf(unseen)}`]
      : []),
    ...(report.bare > 0
      ? [
          `${report.bare} hash parts stand without ${NIX_STORE_DIR} before them and stay: a program that puts paths together from them will not find them`,
        ]
      : []),
  ];
}

function someOf(files: readonly SealedFile[]): string {
  const some = files.slice(0, 3).map(({ path, format }) => `/${displayBytes(path)} (${format})`);
  return `${some.join(', ')}${files.length > 3 ? ` and ${files.length - 3} more` : ''}`;
}
