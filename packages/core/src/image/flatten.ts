// The file system of an existing image: its layers applied in order (image-spec 1.1, layer.md), in
// memory; contents go into one file, the spool.
import { createHash } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { displayBytes } from '../model/byte-path.ts';
import type { ContentSource, FilePart } from '../model/content.ts';
import { type Digest, sha256Digest } from '../model/digest.ts';
import type { BytePath, PayloadEntry } from '../model/payload-tree.ts';
import type { Progress } from '../model/progress.ts';
import { layerDecoder } from '../oci/decompress.ts';
import type { Descriptor } from '../oci/documents.ts';
import { isForeignLayer } from '../oci/media-types.ts';
import type { Store } from '../store/store.ts';
import { temporaryName } from '../store/temporary.ts';
import { byteReader } from '../tar/byte-reader.ts';
import { readTar, type TarMember } from '../tar/tar-reader.ts';
import { DO_NOT_USE, imageFault } from './faults.ts';
import type { ImageSource } from './image-source.ts';
import { readConfig, type SourcePlatform } from './read-image.ts';

export interface FlattenOptions {
  /** Whose contents are kept: of all files, or of programs only. */
  readonly keep: 'all' | 'programs';
  readonly store: Store;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  readonly limits?: FlattenLimits;
}

/** What an image may hold at most. */
export interface FlattenLimits {
  /** Entries of all layers, with the folders that they imply. */
  readonly entries?: number;
  /** Bytes that a layer unpacks to; a large layer may unpack to 200 times its size. */
  readonly unpacked?: number;
}

export interface FlatImage {
  /** Sorted bytewise. */
  readonly entries: readonly PayloadEntry[];
  /** What was kept. */
  readonly content: ContentSource;
  /** The first bytes of each file that starts as a program does. */
  readonly heads: ReadonlyMap<Digest, Buffer>;
  /** Removes the contents. */
  close(): Promise<void>;
}

const ENTRIES_MAX = 500_000;
const PATH_MAX = 4096;
const SYMLINKS_MAX = 40;
/** Folders in folders; links may lead deeper than a path is long. */
const DEPTH_MAX = 1024;
const HEAD_SIZE = 256;
/** A layer may unpack to so many bytes, or to so many times its size. */
const UNPACKED_MAX = 1 << 30;
const RATIO_MAX = 200;
/** And all together to so many. */
const TOTAL_MAX = 2 ** 38;
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

/**
 * Reads all layers of a platform, each once, as a stream. Their digests hold.
 *
 * @throws UportError UPORT_IMAGE_*, UPORT_TAR_INVALID, UPORT_LAYER_DAMAGED, UPORT_REGISTRY_*
 */
export async function flattenImage(
  source: ImageSource,
  platform: SourcePlatform,
  options: FlattenOptions,
): Promise<FlatImage> {
  const { signal, store, limits = {} } = options;
  const { layers } = platform.manifest;
  const { diffIds } = await readConfig(source, platform.manifest);
  for (const layer of layers) checkReadable(source, layer);
  const total = layers.reduce((sum, layer) => sum + layer.size, 0);
  const task = options.progress.start(`read ${source.name}`, total, 'bytes');
  const file = path.join(store.root, 'tmp', temporaryName());
  const handle = await open(file, 'wx', 0o600);
  const close = async () => {
    await rm(file, { force: true });
  };
  try {
    const spool = createSpool(handle, file, options.keep);
    const tree = createTree(source, spool, limits.entries ?? ENTRIES_MAX);
    const unpackedMax = limits.unpacked ?? UNPACKED_MAX;
    let unpacked = 0;
    for (const [i, layer] of layers.entries()) {
      unpacked += await readLayer(
        source,
        layer,
        diffIds[i] as Digest,
        { free: unpackedMax, left: TOTAL_MAX - unpacked },
        signal,
        task.advance,
        (reader) => tree.apply(readTar(reader), i, signal),
      );
    }
    return { entries: tree.entries(), content: spool.content, heads: spool.heads, close };
  } catch (error) {
    await close();
    throw error;
  } finally {
    await handle.close();
    task.done();
  }
}

function checkReadable(source: ImageSource, layer: Descriptor): void {
  const { mediaType, digest } = layer;
  if (isForeignLayer(mediaType)) {
    throw imageFault(
      'UPORT_IMAGE_FOREIGN_LAYER',
      source.name,
      `${digest} is a foreign layer, which is not kept with the image`,
      'such an image can only be emitted as oci, without --shim',
    );
  }
  if (/\+encrypted$/.test(mediaType)) {
    throw imageFault(
      'UPORT_IMAGE_ENCRYPTED',
      source.name,
      `${digest} is encrypted`,
      'decrypt it first: skopeo copy --decryption-key KEY …',
    );
  }
  if (layerDecoder(mediaType)) return;
  throw imageFault(
    'UPORT_IMAGE_TYPE',
    source.name,
    `${digest} is of type ${mediaType}, which is no layer that can be read`,
    'such an image can only be emitted as oci, without --shim',
  );
}

/** Streams one layer's tar to a reader; answers its unpacked size. */
async function readLayer(
  source: ImageSource,
  layer: Descriptor,
  diffId: Digest,
  limits: { readonly free: number; readonly left: number },
  signal: AbortSignal,
  advance: (size: number) => void,
  read: (reader: ReturnType<typeof byteReader>) => Promise<void>,
): Promise<number> {
  const decode = layerDecoder(layer.mediaType);
  if (!decode) throw new TypeError(`${layer.mediaType} was not checked`);
  const pieces = source.open(layer, signal)[Symbol.asyncIterator]();
  /** What came, which a descriptor may lie about. */
  let packed = 0;
  // Stays open when the decoder leaves early: the digest is over all of the blob.
  const shared: AsyncIterable<Buffer> = {
    [Symbol.asyncIterator]: () => ({
      async next() {
        const piece = await pieces.next();
        if (piece.done) return { done: true, value: undefined };
        advance(piece.value.length);
        packed += piece.value.length;
        const { buffer, byteOffset, byteLength } = piece.value;
        return { done: false, value: Buffer.from(buffer, byteOffset, byteLength) };
      },
    }),
  };
  const diff = createHash('sha256');
  let size = 0;
  const tar = async function* () {
    for await (const chunk of decode(shared)) {
      size += chunk.length;
      if (size > limits.left || size > Math.max(limits.free, packed * RATIO_MAX))
        throw bomb(source, layer.digest);
      diff.update(chunk);
      yield chunk;
    }
  };
  try {
    await read(byteReader(tar()));
    for await (const _ of shared) {
      // Counted and hashed on the way.
    }
  } finally {
    await pieces.return?.();
  }
  const actual = `sha256:${diff.digest('hex')}`;
  if (actual === diffId) return size;
  throw imageFault(
    'UPORT_IMAGE_DIGEST',
    source.name,
    `the tar in ${layer.digest} is ${actual}, the config says ${diffId}`,
    DO_NOT_USE,
  );
}

function bomb(source: ImageSource, digest: string) {
  return imageFault(
    'UPORT_IMAGE_TOO_LARGE',
    source.name,
    `${digest} unpacks to far more than its size`,
    DO_NOT_USE,
  );
}

interface Spool {
  readonly content: ContentSource;
  readonly heads: ReadonlyMap<Digest, Buffer>;
  take(member: TarMember): Promise<{ digest: Digest; size: number }>;
}

function createSpool(handle: FileHandle, file: string, keep: 'all' | 'programs'): Spool {
  const places = new Map<Digest, FilePart>();
  const heads = new Map<Digest, Buffer>();
  let end = 0;
  return {
    content: { locate: (digest) => places.get(digest) },
    heads,
    async take(member) {
      const hash = createHash('sha256');
      let size = 0;
      let head = Buffer.alloc(0);
      let kept = keep === 'all';
      for await (const chunk of member.body) {
        hash.update(chunk);
        const before = head.length;
        if (before < HEAD_SIZE) {
          head = Buffer.concat([head, chunk.subarray(0, HEAD_SIZE - before)]);
          // The first bytes may come in pieces.
          if (!kept && before < 4 && isElf(head)) {
            kept = true;
            if (before > 0) await handle.write(head, 0, before, end);
          }
        }
        if (kept) await handle.write(chunk, 0, chunk.length, end + size);
        size += chunk.length;
      }
      const digest = sha256Digest(hash.digest('hex'));
      if (isElf(head) || head.subarray(0, 2).toString('latin1') === '#!') heads.set(digest, head);
      if (kept && !places.has(digest)) {
        places.set(digest, { file, offset: end, size });
        end += size;
      }
      return { digest, size };
    },
  };
}

function isElf(head: Buffer): boolean {
  return head.subarray(0, 4).toString('latin1') === '\x7fELF';
}

interface Facts {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly xattrs: TarMember['xattrs'];
}

type Node = {
  facts: Facts;
  /** The layer that put it there. */
  layer: number;
} & (
  | { readonly type: 'directory'; readonly children: Map<string, Node> }
  | { readonly type: 'file'; readonly inode: { readonly digest: Digest; readonly size: number } }
  | { readonly type: 'symlink'; readonly target: string }
  | {
      readonly type: 'characterDevice' | 'blockDevice';
      readonly device: TarMember['device'];
    }
  | { readonly type: 'fifo' }
);
type Folder = Extract<Node, { type: 'directory' }>;

interface Tree {
  apply(members: AsyncIterable<TarMember>, layer: number, signal: AbortSignal): Promise<void>;
  entries(): readonly PayloadEntry[];
}

function createTree(source: ImageSource, spool: Spool, entriesMax: number): Tree {
  const root = newFolder(-1);
  let count = 0;

  const countEntry = () => {
    if (++count <= entriesMax) return;
    throw imageFault(
      'UPORT_IMAGE_TOO_MANY',
      source.name,
      `the layers have more than ${entriesMax} entries`,
      DO_NOT_USE,
    );
  };
  const bad = (text: string, message: string) =>
    imageFault(
      'UPORT_IMAGE_PATH',
      source.name,
      `the entry ${JSON.stringify(displayBytes(text.slice(0, 200)))} ${message}`,
      DO_NOT_USE,
    );

  const split = (text: string): [parents: string[], name: string] => {
    const parts = text.split('/').filter((part) => part !== '' && part !== '.');
    if (text.length > PATH_MAX || text.includes('\0') || parts.includes('..')) {
      throw bad(text, 'leads out of the image');
    }
    return [parts.slice(0, -1), parts.at(-1) ?? ''];
  };

  /** The folder that a path names, symbolic links followed as a process with this root would. */
  const enter = (
    parts: readonly string[],
    makeIn: number | undefined,
    shown: string,
  ): Folder | undefined => {
    let links = 0;
    const at: Folder[] = [root];
    const todo = [...parts].reverse();
    while (todo.length > 0) {
      const part = todo.pop() as string;
      if (part === '' || part === '.') continue;
      if (part === '..') {
        if (at.length > 1) at.pop();
        continue;
      }
      const folder = at.at(-1) as Folder;
      let next = folder.children.get(part);
      if (next?.type === 'symlink') {
        if (++links > SYMLINKS_MAX) throw bad(shown, 'goes through a loop of links');
        if (next.target.startsWith('/')) at.length = 1;
        todo.push(...next.target.split('/').reverse());
        if (todo.length > PATH_MAX) throw bad(shown, 'goes through a loop of links');
        continue;
      }
      if (!next && makeIn !== undefined) {
        countEntry();
        next = newFolder(makeIn);
        folder.children.set(part, next);
      }
      if (next?.type !== 'directory') {
        if (next && makeIn !== undefined)
          throw bad(shown, 'goes through something that is no folder');
        return undefined;
      }
      at.push(next);
      if (at.length > DEPTH_MAX) throw bad(shown, 'lies too deep');
    }
    return at.at(-1);
  };

  /** What lower layers have goes; what this layer put there stays. */
  const removeLower = (folder: Folder, name: string, layer: number): void => {
    const there = folder.children.get(name);
    if (!there) return;
    if (there.layer !== layer) folder.children.delete(name);
    else if (there.type === 'directory') emptyLower(there, layer);
  };
  const emptyLower = (folder: Folder, layer: number): void => {
    for (const name of [...folder.children.keys()]) removeLower(folder, name, layer);
  };

  const place = async (member: TarMember, layer: number): Promise<void> => {
    const [parents, name] = split(member.path);
    const facts = factsOf(member);
    if (name === '') {
      if (member.type === 'directory') root.facts = facts;
      return;
    }
    if (name.startsWith(WHITEOUT)) {
      const folder = enter(parents, undefined, member.path);
      if (!folder) return;
      if (name === OPAQUE) return emptyLower(folder, layer);
      const hidden = name.slice(WHITEOUT.length);
      if (hidden === '' || hidden === '.' || hidden === '..')
        throw bad(member.path, 'is no whiteout');
      return removeLower(folder, hidden, layer);
    }
    const folder = enter(parents, layer, member.path) as Folder;
    const there = folder.children.get(name);
    switch (member.type) {
      case 'directory':
        if (there?.type === 'directory') {
          there.facts = facts;
          there.layer = layer;
        } else folder.children.set(name, { ...newFolder(layer), facts });
        return;
      case 'file': {
        const inode = await spool.take(member);
        folder.children.set(name, { type: 'file', facts, layer, inode });
        return;
      }
      case 'hardlink': {
        const [above, target] = split(member.target);
        const linked = enter(above, undefined, member.target)?.children.get(target);
        if (!linked || linked.type === 'directory') {
          throw bad(member.path, 'is a link to a file that is not there');
        }
        folder.children.set(name, { ...linked, layer });
        return;
      }
      case 'symlink':
        if (
          member.target === '' ||
          member.target.includes('\0') ||
          member.target.length > PATH_MAX
        ) {
          throw bad(member.path, 'is a link to nothing');
        }
        folder.children.set(name, { type: 'symlink', facts, layer, target: member.target });
        return;
      case 'characterDevice':
      case 'blockDevice': {
        const { device, type } = member;
        folder.children.set(name, { type, facts, layer, device });
        return;
      }
      case 'fifo':
        folder.children.set(name, { type: 'fifo', facts, layer });
        return;
      default:
        throw bad(member.path, 'is of a type that layers do not have');
    }
  };

  return {
    async apply(members, layer, signal) {
      for await (const member of members) {
        signal.throwIfAborted();
        countEntry();
        await place(member, layer);
      }
    },
    entries: () => listEntries(root),
  };
}

function newFolder(layer: number): Folder {
  const facts = { mode: 0o755, uid: 0, gid: 0, mtime: 0, xattrs: {} };
  return { type: 'directory', facts, layer, children: new Map() };
}

function factsOf({ mode, uid, gid, mtime, xattrs }: TarMember): Facts {
  return { mode: mode & 0o7777, uid, gid, mtime, xattrs };
}

/** In the bytewise order of the paths; of the names of one file the first is the file. */
function listEntries(root: Folder): readonly PayloadEntry[] {
  const nodes: [path: BytePath, node: Node][] = [];
  const walk = (folder: Folder, above: string): void => {
    for (const [name, node] of folder.children) {
      const place = `${above}${name}` as BytePath;
      nodes.push([place, node]);
      if (node.type === 'directory') walk(node, `${place}/`);
    }
  };
  walk(root, '');
  nodes.sort(([a], [b]) => (a < b ? -1 : 1));
  const first = new Map<object, BytePath>();
  return nodes.map(([place, node]): PayloadEntry => {
    const { mode, uid, gid, mtime, xattrs } = node.facts;
    const common = {
      path: place,
      mode,
      uid,
      gid,
      mtime,
      ...(Object.keys(xattrs).length > 0 && { xattrs }),
    };
    switch (node.type) {
      case 'file': {
        const target = first.get(node.inode);
        if (target !== undefined) return { type: 'hardlink', ...common, target };
        first.set(node.inode, place);
        return { type: 'file', ...common, size: node.inode.size, digest: node.inode.digest };
      }
      case 'symlink':
        return { type: 'symlink', ...common, target: node.target };
      case 'characterDevice':
      case 'blockDevice':
        return { type: node.type, ...common, device: node.device };
      default:
        return { type: node.type, ...common };
    }
  });
}
