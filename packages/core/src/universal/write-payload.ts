import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import type { EmitContext } from '../emitters/emitter.ts';
import { collectAfter, collectAll, freeing } from '../memory.ts';
import { parseArch } from '../model/arch.ts';
import { displayBytes } from '../model/byte-path.ts';
import { placeOf, rangeOf } from '../model/content.ts';
import { type Digest, sha256Digest } from '../model/digest.ts';
import type { BytePath, PayloadEntry, SymlinkEntry } from '../model/payload-tree.ts';
import { resolveEntry } from '../model/resolve-entry.ts';
import { payloadSurroundings } from '../plan/guest-settings.ts';
import type { PinnedFile, Plan } from '../plan/plan.ts';
import { temporaryName } from '../store/temporary.ts';
import { zstdFrame } from '../zstd-frame.ts';
import { applyBranchFilter, type BranchFilter, branchFilterFor } from './branch-filter.ts';
import { libraryLinks } from './library-links.ts';
import { type NoticeNode, noticeNodes } from './notice-nodes.ts';
import {
  encodeFooter,
  encodeIndex,
  FOOTER_SIZE,
  indexDigest,
  type PayloadBlob,
  type PayloadHost,
  type PayloadIndex,
  type PayloadNode,
  payloadId,
} from './payload-index.ts';
import { STAGE0_BLOCK } from './stage0.ts';

/** zstd's level, when nothing else is said. */
export const DEFAULT_LEVEL = 19;
/** The app's files repeat each other over long distances; the most that a launcher holds is 32 MiB. */
const TREE_WINDOW_LOG = 25;
/**
 * A program repeats itself nearby: a window of 1 MiB costs 0.7 % of size, and it stays in the
 * processor's cache, where a first start unpacks it in half the time.
 */
const PROGRAM_WINDOW_LOG = 20;
/** A large tree at level 19 would take minutes. */
const LARGE_TREE = 64 << 20;
const LARGE_TREE_LEVEL = 9;

/** The most that a launcher reads for a host. */
const MAX_SLICES = 64;

export interface PayloadOptions {
  /** The first is the default. */
  readonly programs: readonly ProgramName[];
  /** zstd's, 1 to 19. Default: 19, and 9 for the files of an app of more than 64 MiB. */
  readonly level?: number;
}

/** A program that the file can start: `name` is what argv[0] must end with. */
export interface ProgramName {
  readonly name: string;
  readonly path: BytePath;
  /** Come before the caller's arguments. */
  readonly args?: readonly string[];
  /** Come when the caller gives no arguments. */
  readonly defaults?: readonly string[];
}

/** A payload that lies in the store. */
export interface WrittenPayload {
  readonly file: string;
  readonly digest: Digest;
  readonly size: number;
  readonly id: string;
  readonly index: PayloadIndex;
}

/**
 * Writes the payload of a plan into the store, or finds it there. Same plan, same bytes.
 *
 * @throws UportError UPORT_CONTENT_MISSING, UPORT_INPUT_CHANGED, UPORT_LEVEL_INVALID,
 *   UPORT_TOO_MANY_SLICES
 */
export function writePayload(
  plan: Plan,
  options: PayloadOptions,
  context: EmitContext,
): Promise<WrittenPayload> {
  // Universal file, FatELF file and Nix package of one build share one payload.
  const known = payloads.get(plan) ?? new Map<string, Promise<WrittenPayload>>();
  payloads.set(plan, known);
  const key = JSON.stringify([context.store.root, options]);
  let work = known.get(key);
  if (work === undefined) {
    work = packPayload(plan, options, context);
    known.set(key, work);
    // The store may be cleared between two builds of one plan.
    const forget = () => known.delete(key);
    work.then(forget, forget);
  }
  return work;
}

/** A file whose bytes go into the tree's blob. */
type TreeFile = PinnedFile & { readonly path: BytePath };

/** Those being written. */
const payloads = new WeakMap<Plan, Map<string, Promise<WrittenPayload>>>();

async function packPayload(
  plan: Plan,
  { programs, level }: PayloadOptions,
  context: EmitContext,
): Promise<WrittenPayload> {
  if (level !== undefined && !(Number.isInteger(level) && level >= 1 && level <= 19)) {
    throw new UportError({
      code: 'UPORT_LEVEL_INVALID',
      category: 'usage',
      message: `zstd has no level ${level}`,
      hint: 'use 1 (fast) to 19 (small)',
    });
  }
  const temporary = path.join(context.store.root, 'tmp', temporaryName());
  const file = await open(temporary, 'wx', 0o600);
  try {
    const writer = new PayloadWriter(file, level, context);
    const index = await writer.write(plan, programs);
    const { digest, size, id } = await writer.finish(index);
    await file.close();
    const place = context.store.pathOf(digest);
    await rename(temporary, place);
    return { file: place, digest, size, id, index };
  } finally {
    await file.close().catch(() => undefined);
    await rm(temporary, { force: true });
  }
}

class PayloadWriter {
  readonly #file: FileHandle;
  readonly #level: number | undefined;
  readonly #context: EmitContext;
  readonly #hash = createHash('sha256');
  #offset = 0;

  constructor(file: FileHandle, level: number | undefined, context: EmitContext) {
    this.#file = file;
    this.#level = level;
    this.#context = context;
  }

  async write(plan: Plan, programs: readonly ProgramName[]): Promise<PayloadIndex> {
    const blobs: PayloadBlob[] = [];
    const numbers = new Map<Digest, number>();
    const blobOf = async (pin: PinnedFile, host: string, label: string): Promise<number> => {
      const known = numbers.get(pin.digest);
      if (known !== undefined) return known;
      const number = blobs.push(await this.#packedFile(pin, branchFilterFor(host), label)) - 1;
      numbers.set(pin.digest, number);
      return number;
    };
    const hosts: PayloadHost[] = [];
    for (const host of plan.hosts) {
      const launcher = this.#launcherOf(host.launcher, host.host);
      const emulators = [];
      if (host.way !== 'native') {
        const { emulator } = host;
        const { elf } = parseArch(emulator.guest);
        const label = `Packing qemu-${emulator.guest} for ${host.host}`;
        emulators.push({
          guest: emulator.guest,
          elf,
          blob: await blobOf(emulator, host.host, label),
          // The guest's loader and libraries are looked for in the unpacked tree first. A whole root
          // is the app's root when it runs.
          args: [
            ...(host.cpu === undefined ? [] : ['-cpu', host.cpu]),
            ...(plan.app.loader === undefined || plan.app.wholeRoot ? [] : ['-L', '$FOLDER/root']),
          ],
        });
      }
      const pinned = host.way === 'native' ? undefined : host.translator;
      const parts: { blob: number; name: string }[] = [];
      for (const file of pinned?.files ?? []) {
        const label = `Packing ${pinned?.kind} for ${host.host}: ${file.name}`;
        parts.push({ blob: await blobOf(file, host.host, label), name: file.name });
      }
      const slices: { blob: number; path: BytePath }[] = [];
      const builds = host.way === 'native' ? host.slices : [];
      if (builds.length > MAX_SLICES) throw tooManySlices(host.host, builds.length);
      for (const { path: place, file } of builds) {
        const blob = await blobOf(file, host.host, `Packing the slice for ${host.host}`);
        slices.push({ blob, path: place });
      }
      hosts.push({
        name: host.host,
        launcher: { size: launcher.size, digest: launcher.digest },
        emulators,
        ...(pinned && {
          translator: {
            guest: pinned.guest,
            name: pinned.kind,
            loader: latin1(pinned.loader),
            parts: parts.map(({ blob, name }) => ({ blob, name: latin1(name) })),
          },
        }),
        slices,
      });
    }
    const notices = noticeNodes(plan);
    const tree = blobs.push(await this.#tree(plan, notices)) - 1;
    const surroundings = payloadSurroundings(plan);
    return {
      app: Buffer.from(plan.app.name, 'utf8').toString('latin1'),
      blobs,
      hosts,
      tree,
      ...(surroundings && { surroundings }),
      programs,
      nodes: [...payloadNodes(plan), ...notices.map(({ node }) => node)],
    };
  }

  async finish(index: PayloadIndex): Promise<{ digest: Digest; size: number; id: string }> {
    const text = encodeIndex(index);
    const digest = indexDigest(text);
    // The script copies a launcher in whole blocks; the last one must not reach to the footer.
    if (this.#offset < STAGE0_BLOCK)
      await this.#append([Buffer.alloc(STAGE0_BLOCK - this.#offset)]);
    const indexOffset = this.#offset;
    const bytes = Buffer.from(text, 'latin1');
    await this.#append(compressed([bytes], DEFAULT_LEVEL, bytes.length, TREE_WINDOW_LOG));
    await this.#append([
      encodeFooter({
        size: this.#offset + FOOTER_SIZE,
        indexOffset,
        indexStored: this.#offset - indexOffset,
        indexRaw: bytes.length,
        indexDigest: digest,
      }),
    ]);
    return {
      digest: sha256Digest(this.#hash.digest('hex')),
      size: this.#offset,
      id: payloadId(digest),
    };
  }

  #launcherOf(launcher: PinnedFile | undefined, host: string): PinnedFile {
    if (launcher !== undefined) return launcher;
    throw new UportError({
      code: 'UPORT_NO_LAUNCHER',
      category: 'input',
      message: `there is no launcher for ${host}, which a universal file needs`,
      hint: 'leave this host out with --host',
    });
  }

  /** A file as a frame of its own; the frame is kept in the store, since emulators come again and again. */
  async #packedFile(
    pin: PinnedFile,
    filter: BranchFilter | undefined,
    label: string,
  ): Promise<PayloadBlob> {
    const { store, progress, signal } = this.#context;
    const level = this.#level ?? DEFAULT_LEVEL;
    const key = `payload-blobs/${pin.digest} level ${level} window ${PROGRAM_WINDOW_LOG} branches ${filter ?? 'none'} zstd ${process.versions.zstd}`;
    const kept = (await store.lookup(key)) as { digest: Digest } | undefined;
    let frame = kept && store.locate(kept.digest);
    if (frame === undefined) {
      const task = progress.start(label, pin.size, 'bytes');
      const source = this.#verified(pin, label, (n) => task.advance(n));
      const code = filter === undefined ? source : freeing(applyBranchFilter(source, filter));
      const put = await store.put(compressed(code, level, pin.size, PROGRAM_WINDOW_LOG), {
        signal,
      });
      task.done();
      // A compressor's tables are as large as the limit allows for; the next one brings its own.
      collectAfter(pin.size);
      collectAll();
      await store.record(key, { digest: put.digest });
      frame = store.pathOf(put.digest);
    }
    const offset = this.#offset;
    await this.#append(freeing(createReadStream(frame, { highWaterMark: 1 << 20 })));
    return {
      offset,
      stored: this.#offset - offset,
      raw: pin.size,
      digest: pin.digest,
      ...(filter !== undefined && { filter }),
    };
  }

  async #tree(plan: Plan, notices: readonly NoticeNode[]): Promise<PayloadBlob> {
    const files: TreeFile[] = [
      ...plan.payload.entries.filter((entry) => entry.type === 'file'),
      ...notices.flatMap(({ node, file }) => (file ? [{ ...file, path: node.path }] : [])),
    ];
    const raw = files.reduce((sum, entry) => sum + entry.size, 0);
    const hash = createHash('sha256');
    const task = this.#context.progress.start(`Packing ${plan.app.name}`, raw, 'bytes');
    const offset = this.#offset;
    const level = this.#level ?? (raw > LARGE_TREE ? LARGE_TREE_LEVEL : DEFAULT_LEVEL);
    await this.#append(
      compressed(this.#contents(files, hash, task.advance), level, raw, TREE_WINDOW_LOG),
    );
    task.done();
    return {
      offset,
      stored: this.#offset - offset,
      raw,
      digest: sha256Digest(hash.digest('hex')),
    };
  }

  async *#contents(
    files: readonly TreeFile[],
    hash: ReturnType<typeof createHash>,
    advance: (bytes: number) => void,
  ): AsyncGenerator<Buffer> {
    for (const entry of files) {
      for await (const chunk of this.#verified(entry, displayBytes(entry.path), advance)) {
        hash.update(chunk);
        yield chunk;
      }
    }
  }

  /** The bytes of a pinned file; fails when they are others by now. */
  async *#verified(
    pin: PinnedFile,
    name: string,
    advance: (bytes: number) => void,
  ): AsyncGenerator<Buffer> {
    const { content, signal } = this.#context;
    const located = content.locate(pin.digest);
    if (located === undefined) {
      throw new UportError({
        code: 'UPORT_CONTENT_MISSING',
        category: 'input',
        message: `no file with the digest ${pin.digest} is at hand (${name})`,
        hint: 'build again: the store may have been cleared meanwhile',
      });
    }
    if (pin.size === 0) return;
    const place = placeOf(located);
    const hash = createHash('sha256');
    const range = { ...rangeOf(place), highWaterMark: 1 << 18, signal };
    for await (const chunk of freeing(createReadStream(place.file, range))) {
      hash.update(chunk);
      advance(chunk.length);
      yield chunk;
    }
    if (sha256Digest(hash.digest('hex')) !== pin.digest) {
      throw new UportError({
        code: 'UPORT_INPUT_CHANGED',
        category: 'input',
        message: `${name} changed while it was packed`,
        hint: 'build again when nothing writes to it',
        file: String(place.file),
      });
    }
  }

  async #append(chunks: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<void> {
    for await (const chunk of chunks) {
      this.#context.signal.throwIfAborted();
      this.#hash.update(chunk);
      await this.#file.writeFile(chunk);
      this.#offset += chunk.length;
    }
  }
}

function latin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

function tooManySlices(host: string, count: number): UportError {
  return new UportError({
    code: 'UPORT_TOO_MANY_SLICES',
    category: 'input',
    message: `${host} has ${count} native builds, a universal file can have ${MAX_SLICES}`,
    hint: 'put ELF files in the place of FatELF libraries, or emit an image',
  });
}

/** Devices and FIFOs are left out: who unpacks the file may not make them. */
function payloadNodes({ app, payload: { entries } }: Plan): readonly PayloadNode[] {
  const byPath = new Map<string, PayloadEntry>(entries.map((entry) => [entry.path, entry]));
  const links = libraryLinks(app, byPath).map((link) => ({ ...link, type: 'symlink' as const }));
  return [...entries.flatMap((entry) => nodeOf(entry, byPath)), ...links];
}

function nodeOf(
  entry: PayloadEntry,
  byPath: ReadonlyMap<string, PayloadEntry>,
): PayloadNode | readonly PayloadNode[] {
  switch (entry.type) {
    case 'directory':
      return { type: 'directory', path: entry.path, mode: entry.mode };
    case 'file':
      return { type: 'file', path: entry.path, mode: entry.mode, size: entry.size };
    case 'symlink':
      return { type: 'symlink', path: entry.path, target: linkTarget(entry, byPath) };
    case 'hardlink':
      return { type: 'hardlink', path: entry.path, target: entry.target };
    default:
      return [];
  }
}

/** The tree is unpacked anywhere: an absolute link into it becomes a relative one. */
function linkTarget(
  { path: place, target }: SymlinkEntry,
  byPath: ReadonlyMap<string, PayloadEntry>,
): string {
  const inside = path.posix.normalize(target).replace(/^\/|\/$/g, '');
  if (!target.startsWith('/') || resolveEntry(byPath, inside as BytePath) === undefined) {
    return target;
  }
  return path.posix.relative(path.posix.dirname(`/${place}`), `/${inside}`) || '.';
}

/** What a blob is: one frame whose window every launcher can hold. */
function compressed(
  source: AsyncIterable<Buffer> | Iterable<Buffer>,
  level: number,
  size: number,
  windowLog: number,
): AsyncIterable<Buffer> {
  return zstdFrame(source, { level, size, windowLog });
}
