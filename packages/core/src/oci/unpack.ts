// Applies the layers of one image to a folder, as an ordinary user (image-spec 1.1, layer.md).
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import {
  chmod,
  link,
  lstat,
  lutimes,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  rmdir,
  symlink,
  unlink,
  utimes,
} from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { type OciPlatform, platformName } from '../model/arch.ts';
import { displayBytes } from '../model/byte-path.ts';
import { type Progress, silentProgress } from '../model/progress.ts';
import { temporaryName } from '../store/temporary.ts';
import { byteReader } from '../tar/byte-reader.ts';
import { readTar, type TarMember } from '../tar/tar-reader.ts';
import { blobPath, openOrdinary, type ReadTally, readPieces } from './blob-file.ts';
import { layerDecoder } from './decompress.ts';
import type { Descriptor } from './documents.ts';
import { blobName, imageRoots, type Layout, type LayoutImage, readLayout } from './layout.ts';

export interface UnpackOptions {
  /** Which image of the layout; needed when it holds several. */
  readonly tag?: string;
  readonly signal?: AbortSignal;
  readonly progress?: Progress;
}

export interface Unpacked {
  readonly image: LayoutImage;
  /** Entries that an ordinary user cannot make: devices and FIFOs. Readable text. */
  readonly skipped: readonly string[];
}

/**
 * Makes `folder` the root file system of the image for a platform. Files belong to the caller, so
 * setuid and setgid bits are left out. Nothing is written outside the folder, whatever the layers
 * say, and the folder appears only when all layers have their right digests.
 *
 * @throws UportError UPORT_OCI_PLATFORM_MISSING, UPORT_OCI_TAG_MISSING, UPORT_OCI_PATH,
 * UPORT_OCI_…, UPORT_TAR_INVALID, UPORT_LAYER_DAMAGED, UPORT_OUTPUT_IN_THE_WAY
 */
export async function unpackPlatform(
  layoutFolder: string,
  platform: OciPlatform,
  folder: string,
  options: UnpackOptions = {},
): Promise<Unpacked> {
  const signal = options.signal ?? new AbortController().signal;
  const layout = await readLayout(layoutFolder, { signal });
  const image = findImage(layout, platform, options.tag);
  const target = path.resolve(folder);
  const fresh = path.join(path.dirname(target), `.${path.basename(target)}-${temporaryName()}`);
  const total = image.manifest.layers.reduce((sum, layer) => sum + layer.size, 0);
  const task = (options.progress ?? silentProgress).start(
    `unpack ${platformName(platform)}`,
    total,
    'bytes',
  );
  try {
    await mkdir(fresh, { mode: 0o700 });
    const tree = createTree(Buffer.from(fresh));
    for (const [i, layer] of image.manifest.layers.entries()) {
      const diffId = image.config?.diffIds[i];
      if (diffId === undefined) {
        throw faulty(layoutFolder, 'UPORT_OCI_LAYERS', 'the config has fewer diff_ids than layers');
      }
      await applyLayer(layoutFolder, layer, diffId, tree, signal, (size) => task.advance(size));
    }
    await tree.finish();
    // Replaces an empty folder; anything else is somebody's.
    await rename(fresh, target).catch((error: NodeJS.ErrnoException) => {
      if (!['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(error.code ?? '')) throw error;
      throw new UportError({
        code: 'UPORT_OUTPUT_IN_THE_WAY',
        category: 'environment',
        message: 'something stands where the image goes',
        hint: 'remove it or choose another folder',
        file: target,
        cause: error,
      });
    });
    return { image, skipped: tree.skipped };
  } catch (error) {
    await removeTree(fresh);
    throw error;
  } finally {
    task.done();
  }
}

export function findImage(
  layout: Layout,
  platform: OciPlatform,
  tag: string | undefined,
): LayoutImage {
  const roots = imageRoots(layout).filter((root) => tag === undefined || root.tag === tag);
  const different = new Set(roots.map((root) => root.descriptor.digest));
  if (different.size !== 1) {
    const names = imageRoots(layout)
      .map((root) => root.tag ?? '(none)')
      .join(', ');
    throw new UportError({
      code: 'UPORT_OCI_TAG_MISSING',
      category: 'usage',
      message:
        tag === undefined
          ? `the layout holds ${different.size} images`
          : `the layout has ${different.size === 0 ? 'no' : 'more than one'} image ${JSON.stringify(tag)}`,
      hint: `name one of its tags: ${names}`,
      file: layout.folder,
    });
  }
  const images = roots[0]?.images.filter((image) => image.config) ?? [];
  const found = images.find(
    ({ platform: its }) =>
      its?.os === platform.os &&
      its.architecture === platform.architecture &&
      (!its.variant || !platform.variant || its.variant === platform.variant),
  );
  if (found) return found;
  const has = images.map(({ platform: its }) => (its ? platformName(its as OciPlatform) : '?'));
  throw new UportError({
    code: 'UPORT_OCI_PLATFORM_MISSING',
    category: 'usage',
    message: `the image is not made for ${platformName(platform)}`,
    hint: `it has: ${has.join(', ') || 'none'}`,
    file: layout.folder,
  });
}

async function applyLayer(
  layoutFolder: string,
  layer: Descriptor,
  diffId: string,
  tree: Tree,
  signal: AbortSignal,
  advance: (size: number) => void,
): Promise<void> {
  const decode = layerDecoder(layer.mediaType);
  if (!decode) {
    throw faulty(
      layoutFolder,
      'UPORT_OCI_MEDIA_TYPE',
      `${blobName(layer.digest)} is of type ${layer.mediaType}, which is no layer`,
    );
  }
  const opened = await openOrdinary(blobPath(layoutFolder, layer.digest));
  if (!opened)
    throw faulty(layoutFolder, 'UPORT_OCI_MISSING', `${blobName(layer.digest)} is not there`);
  try {
    const tally: ReadTally = { size: 0, digest: '' };
    const pieces = readPieces(opened.handle, tally, signal);
    const shared: AsyncIterable<Buffer> = {
      [Symbol.asyncIterator]: () => ({
        async next() {
          const piece = await pieces.next();
          if (!piece.done) advance(piece.value.length);
          return piece;
        },
      }),
    };
    const diff = createHash('sha256');
    const hashed = async function* () {
      for await (const chunk of decode(shared)) {
        diff.update(chunk);
        yield chunk;
      }
    };
    await tree.apply(readTar(byteReader(hashed())), signal);
    for await (const _ of shared) {
      // The blob's digest is over all of it.
    }
    if (tally.size !== layer.size || tally.digest !== layer.digest) {
      throw faulty(
        layoutFolder,
        'UPORT_OCI_DIGEST',
        `${blobName(layer.digest)} does not have the bytes that its name says`,
      );
    }
    if (`sha256:${diff.digest('hex')}` !== diffId) {
      throw faulty(
        layoutFolder,
        'UPORT_OCI_DIFF_ID',
        `${blobName(layer.digest)} does not hold the tar that the config says`,
      );
    }
  } finally {
    await opened.handle.close();
  }
}

function faulty(folder: string, code: `UPORT_${string}`, message: string): UportError {
  return new UportError({
    code,
    category: 'validation',
    message,
    hint: 'build the image again; `uport validate` lists all faults of a layout',
    file: folder,
  });
}

interface Tree {
  readonly skipped: string[];
  apply(members: AsyncIterable<TarMember>, signal: AbortSignal): Promise<void>;
  /** Gives folders their modes and times, which writing into them would have undone. */
  finish(): Promise<void>;
}

const SYMLINKS_MAX = 40;
const PATH_MAX = 4096;
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

/**
 * Paths inside are Latin-1 strings relative to the root. Every folder on the way to an entry is
 * looked at before it is used, and symbolic links are resolved as a process with this root would
 * see them; the kernel never follows one for us.
 */
function createTree(root: Buffer): Tree {
  const folders = new Map<string, { mode: number; mtime: number }>();
  const skipped: string[] = [];
  let fromThisLayer = new Set<string>();

  const onDisk = (inside: string): Buffer =>
    inside === '' ? root : Buffer.concat([root, Buffer.from(`/${inside}`, 'latin1')]);

  const look = (inside: string) =>
    lstat(onDisk(inside)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });

  /** The real folder that a path names, made where it is missing. */
  const enter = async (parts: readonly string[], make: boolean): Promise<string | undefined> => {
    let links = 0;
    let at: string[] = [];
    const todo = [...parts].reverse();
    while (todo.length > 0) {
      const part = todo.pop() as string;
      if (part === '' || part === '.') continue;
      if (part === '..') {
        at.pop();
        continue;
      }
      const next = [...at, part].join('/');
      const there = await look(next);
      if (there?.isSymbolicLink()) {
        if (++links > SYMLINKS_MAX) throw badPath(parts.join('/'), 'goes through a loop of links');
        const target = (await readlink(onDisk(next), 'buffer')).toString('latin1');
        if (target.startsWith('/')) at = [];
        todo.push(...target.split('/').reverse());
        continue;
      }
      if (!there) {
        if (!make) return undefined;
        await mkdir(onDisk(next), { mode: 0o700 });
        folders.set(next, { mode: 0o755, mtime: 0 });
        fromThisLayer.add(next);
      } else if (!there.isDirectory()) {
        if (!make) return undefined;
        throw badPath(parts.join('/'), 'goes through something that is no folder');
      }
      at = [...at, part];
    }
    return at.join('/');
  };

  const split = (text: string): [parents: string[], name: string] => {
    const parts = text.split('/').filter((part) => part !== '' && part !== '.');
    if (text.length > PATH_MAX || text.includes('\0') || parts.includes('..')) {
      throw badPath(text, 'leads out of the image');
    }
    return [parts.slice(0, -1), parts.at(-1) ?? ''];
  };

  const remove = async (inside: string): Promise<void> => {
    await removeTree(onDisk(inside));
    for (const known of folders.keys()) {
      if (known === inside || known.startsWith(`${inside}/`)) folders.delete(known);
    }
  };

  /** What lower layers have in a folder goes; what this layer put there stays. */
  const removeLower = async (inside: string): Promise<void> => {
    const there = await look(inside);
    if (!there) return;
    if (!fromThisLayer.has(inside)) return remove(inside);
    if (there.isDirectory()) await emptyLower(inside);
  };
  const emptyLower = async (inside: string): Promise<void> => {
    for (const name of await readdir(onDisk(inside), 'buffer')) {
      const text = (name as Buffer).toString('latin1');
      await removeLower(inside === '' ? text : `${inside}/${text}`);
    }
  };

  const place = async (member: TarMember): Promise<void> => {
    const [parents, name] = split(member.path);
    if (name === '') {
      if (member.type === 'directory') folders.set('', dirOf(member));
      return;
    }
    if (name.startsWith(WHITEOUT)) {
      const parent = await enter(parents, false);
      if (parent === undefined) return;
      if (name === OPAQUE) return emptyLower(parent);
      const hidden = name.slice(WHITEOUT.length);
      if (hidden === '' || hidden === '.' || hidden === '..') {
        throw badPath(member.path, 'is no whiteout');
      }
      return removeLower(join(parent, hidden));
    }
    const parent = (await enter(parents, true)) as string;
    const inside = join(parent, name);
    if (member.type === 'hardlink') return hardlink(member, inside);
    const there = await look(inside);
    const keep = there?.isDirectory() && member.type === 'directory';
    if (there && !keep) await remove(inside);
    fromThisLayer.add(inside);
    switch (member.type) {
      case 'directory':
        if (!keep) await mkdir(onDisk(inside), { mode: 0o700 });
        folders.set(inside, dirOf(member));
        return;
      case 'file':
        return writeFile(member, onDisk(inside));
      case 'symlink':
        if (member.target === '' || member.target.includes('\0')) {
          throw badPath(member.path, 'is a link to nothing');
        }
        await symlink(Buffer.from(member.target, 'latin1'), onDisk(inside));
        await lutimes(onDisk(inside), member.mtime, member.mtime);
        return;
      default:
        skipped.push(displayBytes(member.path));
    }
  };

  const hardlink = async (member: TarMember, inside: string): Promise<void> => {
    const [parents, name] = split(member.target);
    const parent = await enter(parents, false);
    const target = parent === undefined || name === '' ? undefined : join(parent, name);
    const there = target === undefined ? undefined : await look(target);
    if (target === undefined || !there || there.isDirectory()) {
      throw badPath(member.path, 'is a link to a file that is not there');
    }
    fromThisLayer.add(inside);
    if (target === inside) return;
    if (await look(inside)) await remove(inside);
    await link(onDisk(target), onDisk(inside));
  };

  return {
    skipped,
    async apply(members, signal) {
      fromThisLayer = new Set();
      for await (const member of members) {
        signal.throwIfAborted();
        await place(member);
      }
    },
    async finish() {
      // Deepest first: a folder without the x bit must not lock out those below.
      const all = [...folders].sort(([a], [b]) => (a < b ? 1 : -1));
      for (const [inside, { mode, mtime }] of all) {
        await utimes(onDisk(inside), mtime, mtime);
        await chmod(onDisk(inside), mode);
      }
      if (!folders.has('')) await chmod(root, 0o755);
    },
  };
}

function dirOf(member: TarMember): { mode: number; mtime: number } {
  // The caller must be able to enter and remove what it has made.
  return { mode: (member.mode & 0o1777) | 0o700, mtime: member.mtime };
}

function join(parent: string, name: string): string {
  return parent === '' ? name : `${parent}/${name}`;
}

async function writeFile(member: TarMember, file: Buffer): Promise<void> {
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
  const handle = await open(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    for await (const part of member.body) await handle.writeFile(part);
    await handle.utimes(member.mtime, member.mtime);
    await handle.chmod(member.mode & 0o1777);
  } finally {
    await handle.close();
  }
}

/** As `rm -r`, for names that are any bytes. */
async function removeTree(file: string | Buffer): Promise<void> {
  const there = await lstat(file).catch(() => undefined);
  if (!there) return;
  if (!there.isDirectory()) return unlink(file);
  await chmod(file, 0o700);
  for (const name of await readdir(file, 'buffer')) {
    await removeTree(Buffer.concat([Buffer.from(file), Buffer.from('/'), name as Buffer]));
  }
  await rmdir(file);
}

function badPath(text: string, message: string): UportError {
  return new UportError({
    code: 'UPORT_OCI_PATH',
    category: 'input',
    message: `the layer's entry ${JSON.stringify(displayBytes(text.slice(0, 200)))} ${message}`,
    hint: 'do not use this image: it may be made to harm',
  });
}
