// A root file system of Debian packages, made without root and without running anything.
import { createHash } from 'node:crypto';
import { appendFileSync, closeSync, openSync, readSync } from 'node:fs';
import { chmod, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { UportError } from '@uport/errors';
import type { DebianContext } from '../debian/context.ts';
import { type DebianPackage, debianName, downloadPackage } from '../debian/package.ts';
import { resolvePackages } from '../debian/resolve.ts';
import {
  type PackageUniverse,
  type ResolvablePackage,
  readUniverse,
} from '../debian/whole-index.ts';
import { makeFolder, removeMadeFolders } from '../make-folder.ts';
import type { Arch } from '../model/arch.ts';
import { type ContentSource, type FilePart, placeOf } from '../model/content.ts';
import { type Digest, sha256Digest } from '../model/digest.ts';
import type { PayloadEntry } from '../model/payload-tree.ts';
import { temporaryName } from '../store/temporary.ts';
import { systemError } from '../system-error.ts';
import { FileTree } from '../tar/file-tree.ts';
import { payloadTarEntry } from '../tar/payload-entry.ts';
import type { SpooledMember } from '../tar/spool.ts';
import { type LeftOut, writeFolder } from '../tar/write-folder.ts';
import { compressorFor, writeTarFile } from '../tar/write-tar-file.ts';
import { deviceNodes } from './device-nodes.ts';
import { controlField, type DatabasePackage, DPKG_FOLDERS, dpkgDatabase } from './dpkg-database.ts';
import { mergedFolders } from './merged-usr.ts';
import { type UnpackedDeb, unpackDeb } from './unpack-deb.ts';

/** Which packages are in besides those that are named, as mmdebstrap's variants. */
export const ROOTFS_VARIANTS = [
  'extract',
  'essential',
  'apt',
  'minbase',
  'important',
  'standard',
] as const;
export type RootfsVariant = (typeof ROOTFS_VARIANTS)[number];

export interface RootfsOptions {
  readonly arch: Arch;
  /** Such as `trixie`; of several, the newest version of a package wins. */
  readonly suites: readonly string[];
  /** Default: `essential`. */
  readonly variant?: RootfsVariant;
  /** Further packages, as `resolvePackages` takes them. */
  readonly include?: readonly string[];
  /** Default: `main`. */
  readonly components?: readonly string[];
  /** Also what packages recommend. */
  readonly recommends?: boolean;
  /** Seconds since 1970: files of the database have this time, no file has a later one. */
  readonly sourceDateEpoch?: number;
  readonly context: DebianContext;
}

/** A root file system that is not written yet. */
export interface Rootfs {
  readonly entries: readonly PayloadEntry[];
  readonly content: ContentSource;
  /** The packages in it, sorted by name. */
  readonly packages: readonly DebianPackage[];
  /** Of its files, in bytes. */
  readonly size: number;
  readonly mtime: number;
  /** Frees what lies in the store's temporary folder. */
  dispose(): Promise<void>;
}

/** Downloads at a time. */
const DOWNLOADS = 6;

/**
 * Chooses packages, fetches and unpacks them, and writes dpkg's database for them. They are
 * "unpacked": no script has run.
 *
 * @throws UportError UPORT_DEBIAN_*, UPORT_DEB_INVALID, UPORT_TAR_*, UPORT_ROOTFS_EMPTY
 */
export async function assembleRootfs(options: RootfsOptions): Promise<Rootfs> {
  const { arch, suites, context, variant = 'essential', include = [] } = options;
  const { store, signal, progress } = context;
  const architecture = debianName(arch);
  const components = options.components ?? ['main'];
  const universe = await readUniverse(suites, architecture, components, context);
  const chosen = resolvePackages(universe, {
    wanted: include,
    seeds: seedsOf(universe, variant),
    ...(options.recommends && { recommends: true }),
  });
  if (chosen.length === 0) {
    throw new UportError({
      code: 'UPORT_ROOTFS_EMPTY',
      category: 'usage',
      message: 'no package is named',
      hint: 'name some with --include, or another --variant',
    });
  }
  const temporary = path.join(store.root, 'tmp', temporaryName());
  const dispose = (): Promise<void> => rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { mode: 0o700 });
  try {
    const places = new Map<Digest, FilePart>();
    const downloads = limited(DOWNLOADS);
    const unpacking = limited(Math.min(Math.max(availableParallelism(), 1), 4));
    const task = progress.start('Unpacking packages', chosen.length, 'items');
    const stop = new AbortController();
    const joined = AbortSignal.any([signal, stop.signal]);
    const packages: DebianPackage[] = [];
    const debs: UnpackedDeb[] = [];
    const work = chosen.map(async (each, i) => {
      const fetched = await downloads(() => {
        joined.throwIfAborted();
        return downloadPackage(each, context);
      });
      packages[i] = fetched;
      debs[i] = await unpacking(() => {
        joined.throwIfAborted();
        return unpackDeb(fetched.file, path.join(temporary, String(i)), places, joined);
      });
      task.advance(1);
    });
    try {
      await Promise.all(work);
    } catch (error) {
      stop.abort(error);
      await Promise.allSettled(work);
      throw error;
    } finally {
      task.done();
    }
    const mtime = options.sourceDateEpoch ?? 0;
    const files = new FileSource(places, path.join(temporary, 'made'));
    const parts = chosen.map((each, i): PackageParts => ({ ...each, ...(debs[i] as UnpackedDeb) }));
    // Suites that have this package expect the merged layout: bookworm and later.
    const merged = universe.named('usr-is-merged').length > 0;
    const clamp = options.sourceDateEpoch;
    const entries = layOut(parts, architecture, { mtime, clamp, files, merged });
    return {
      entries,
      content: files,
      packages,
      size: entries.reduce((sum, each) => sum + (each.type === 'file' ? each.size : 0), 0),
      mtime,
      dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

type PackageParts = ResolvablePackage & UnpackedDeb;

/** Runs at most so many works at a time. */
function limited(most: number): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    while (running >= most) await new Promise<void>((resolve) => waiting.push(resolve));
    running++;
    try {
      return await work();
    } finally {
      running--;
      waiting.shift()?.();
    }
  };
}

function seedsOf(universe: PackageUniverse, variant: RootfsVariant): readonly ResolvablePackage[] {
  if (variant === 'extract') return [];
  const priorities: Readonly<Record<Exclude<RootfsVariant, 'extract'>, readonly string[]>> = {
    essential: [],
    apt: [],
    minbase: ['required'],
    important: ['required', 'important'],
    standard: ['required', 'important', 'standard'],
  };
  const wanted = priorities[variant];
  return universe
    .marked()
    .concat(variant === 'essential' ? [] : universe.named('apt').slice(0, 1))
    .filter(
      (each, i, all) =>
        (each.essential || wanted.includes(each.priority) || each.name === 'apt') &&
        all.findIndex(({ name }) => name === each.name) === i &&
        (each.name !== 'apt' || variant !== 'essential'),
    );
}

interface LayOutOptions {
  readonly mtime: number;
  /** No file is newer. */
  readonly clamp: number | undefined;
  readonly files: FileSource;
  /** The suite is one where folders of / are links into usr. */
  readonly merged: boolean;
}

export interface CreateRootfsOptions extends RootfsOptions {
  /** A new or empty folder, or a file that ends with .tar, .tar.gz or .tar.zst. */
  readonly out: string;
}

export interface CreatedRootfs {
  /** Absolute. */
  readonly path: string;
  readonly kind: 'tar' | 'folder';
  readonly packages: readonly DebianPackage[];
  /** `unpacked`: `dpkg --configure -a` inside it would run the packages' scripts. */
  readonly state: 'unpacked';
  /** Bytes of all files. */
  readonly size: number;
  /** Of a tar file. */
  readonly digest: Digest | undefined;
  /** What a folder of an ordinary user cannot keep; all empty for a tar. */
  readonly leftOut: LeftOut;
}

/**
 * Makes a root file system of Debian packages. A tar holds owners, devices and all modes, whoever
 * makes it; a folder has them when root makes it.
 *
 * @throws UportError as `assembleRootfs`, UPORT_OUTPUT_IN_THE_WAY, UPORT_TAR_COMPRESSION
 */
export async function createRootfs(options: CreateRootfsOptions): Promise<CreatedRootfs> {
  const { context } = options;
  const { signal, progress } = context;
  const out = path.resolve(options.out);
  const kind = /\.(?:tar(?:\.[a-z0-9]+)?|tgz|tzst)$/.test(out) ? 'tar' : 'folder';
  if (kind === 'tar') compressorFor(out);
  await checkPlace(out, kind);
  const made = await makeFolder(path.dirname(out));
  let rootfs: Rootfs | undefined;
  try {
    rootfs = await assembleRootfs(options);
    const { entries, content, mtime, size, packages } = rootfs;
    const task = progress.start(`Writing ${path.basename(out)}`, size, 'bytes');
    const common = { mtime, signal, advance: (bytes: number) => task.advance(bytes) };
    try {
      const result = { path: out, kind, packages, state: 'unpacked', size } as const;
      if (kind === 'tar') {
        const members = entries.map((entry) => payloadTarEntry(entry, content));
        const { digest } = await writeTarFile(out, members, common);
        return { ...result, digest, leftOut: NOTHING };
      }
      const leftOut = await makeRoot(out, entries, content, common);
      return { ...result, digest: undefined, leftOut };
    } finally {
      task.done();
    }
  } catch (error) {
    if (made !== undefined) await removeMadeFolders(made, path.dirname(out));
    throw systemError(error, out);
  } finally {
    await rootfs?.dispose();
  }
}

const NOTHING: LeftOut = { devices: [], owners: [], setIds: [], xattrs: [] };

/** Under a temporary name, then renamed. */
async function makeRoot(
  out: string,
  entries: readonly PayloadEntry[],
  content: ContentSource,
  options: {
    readonly mtime: number;
    readonly signal: AbortSignal;
    readonly advance: (bytes: number) => void;
  },
): Promise<LeftOut> {
  const temporary = path.join(path.dirname(out), `.${path.basename(out)}-${temporaryName()}`);
  try {
    await mkdir(temporary, { mode: 0o700 });
    const owners = process.getuid?.() === 0;
    const leftOut = await writeFolder(temporary, entries, content, { ...options, owners });
    await chmod(temporary, 0o755);
    // Replaces an empty folder.
    await rename(temporary, out);
    return leftOut;
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

async function checkPlace(out: string, kind: 'tar' | 'folder'): Promise<void> {
  const there = await stat(out).catch(() => undefined);
  if (there === undefined) return;
  if (kind === 'tar' && there.isFile()) return;
  if (kind === 'folder' && there.isDirectory() && (await readdir(out)).length === 0) return;
  throw new UportError({
    code: 'UPORT_OUTPUT_IN_THE_WAY',
    category: 'environment',
    message: `something stands where the ${kind} goes`,
    hint: 'remove it or choose another -o',
    file: out,
  });
}

/** All files in their places: those of the packages, dpkg's database, device nodes. */
function layOut(
  packages: readonly PackageParts[],
  architecture: string,
  { mtime, clamp, files, merged }: LayOutOptions,
): readonly PayloadEntry[] {
  const tree = new FileTree({ keepFolderLinks: true });
  const clamped = (time: number): number => (clamp === undefined ? time : Math.min(time, clamp));
  // base-files brings the links from / into usr.
  const order = [...packages].sort(
    (a, b) => Number(b.name === 'base-files') - Number(a.name === 'base-files'),
  );
  const attributes = {
    uid: 0,
    gid: 0,
    mtime,
    device: { major: 0, minor: 0 },
    xattrs: {},
    target: '',
  };
  const folder = (inside: string, mode = 0o755): void =>
    void tree.place({ ...attributes, type: 'directory', path: inside, mode });
  if (merged && !hasRootLinks(order[0])) {
    for (const name of mergedFolders(architecture)) {
      folder(`usr/${name}`);
      tree.place({
        ...attributes,
        type: 'symlink',
        path: name,
        mode: 0o777,
        target: `usr/${name}`,
      });
    }
  }
  const owners = new Map<string, PackageParts>();
  for (const one of order) {
    for (const member of one.members) {
      const known = member.type === 'directory' ? undefined : tree.resolve(member.path);
      const owner = known === undefined ? undefined : owners.get(known);
      if (owner && owner !== one && replaces(owner, one)) continue;
      const placed = tree.place({ ...member, mtime: clamped(member.mtime) }, member.content);
      if (placed !== undefined && member.type !== 'directory') owners.set(placed, one);
    }
  }
  const database = dpkgDatabase(
    packages.map(
      (each): DatabasePackage => ({
        name: each.name,
        architecture: controlField(each, 'architecture') ?? architecture,
        multiArch: controlField(each, 'multi-arch') ?? 'no',
        control: each.control,
        members: each.members,
      }),
    ),
    [],
    (member) => files.read(member),
  );
  const place = (inside: string, bytes: Buffer, mode: number, time = mtime): void => {
    const content = files.add(bytes);
    tree.place({ ...attributes, type: 'file', path: inside, mode, mtime: clamped(time) }, content);
  };
  for (const each of DPKG_FOLDERS) folder(`var/lib/dpkg${each === '' ? '' : `/${each}`}`);
  for (const each of database) {
    place(`var/lib/dpkg/${each.path}`, each.bytes, each.mode, each.mtime);
  }
  // What update-passwd makes of them first; without, not even root has a name.
  for (const name of ['passwd', 'group']) {
    const master = packages
      .flatMap(({ members }) => members)
      .find((member) => member.path.endsWith(`/usr/share/base-passwd/${name}.master`));
    if (master && !tree.has(`etc/${name}`)) place(`etc/${name}`, files.read(master), 0o644);
  }
  folder('dev');
  for (const node of deviceNodes(mtime)) {
    tree.place({
      ...attributes,
      ...('device' in node && { device: node.device }),
      ...('target' in node && { target: node.target }),
      type: node.type,
      path: node.path,
      mode: node.mode,
    });
  }
  return tree.entries();
}

function hasRootLinks(baseFiles: PackageParts | undefined): boolean {
  return (baseFiles?.members ?? []).some(
    ({ type, path: inside }) => type === 'symlink' && /^(?:\.?\/)*bin$/.test(inside),
  );
}

/** Whether the first may have files of the other's. */
function replaces(one: UnpackedDeb, other: ResolvablePackage): boolean {
  const field = controlField(one, 'replaces') ?? '';
  return field.split(',').some((each) => each.trim().split(/[\s(:]/)[0] === other.name);
}

/** The packages' files, and some made here. */
class FileSource implements ContentSource {
  readonly #places: Map<Digest, FilePart>;
  readonly #made: string;
  #size = 0;

  /** @param made a file for those made here; nothing may be there */
  constructor(places: Map<Digest, FilePart>, made: string) {
    this.#places = places;
    this.#made = made;
  }

  locate(digest: Digest): FilePart | undefined {
    return this.#places.get(digest);
  }

  add(bytes: Buffer): { readonly digest: Digest; readonly size: number } {
    const digest = sha256Digest(createHash('sha256').update(bytes).digest('hex'));
    if (!this.#places.has(digest)) {
      appendFileSync(this.#made, bytes, { mode: 0o600 });
      this.#places.set(digest, { file: this.#made, offset: this.#size, size: bytes.length });
      this.#size += bytes.length;
    }
    return { digest, size: bytes.length };
  }

  read({ content }: SpooledMember): Buffer {
    const place = content && this.#places.get(content.digest);
    if (!content || !place) return Buffer.alloc(0);
    const { file, offset } = placeOf(place);
    const bytes = Buffer.alloc(content.size);
    const fd = openSync(file, 'r');
    try {
      for (let done = 0; done < bytes.length; ) {
        const got = readSync(fd, bytes, done, bytes.length - done, offset + done);
        if (got === 0) break;
        done += got;
      }
    } finally {
      closeSync(fd);
    }
    return bytes;
  }
}
