// A file system in memory: what unpacking archives one over the other would leave. Nothing is
// written while hostile entries are sorted out, and what comes out has real folders only above each
// path.
import { UportError } from '@uport/errors';
import { displayBytes } from '../model/byte-path.ts';
import type { Digest } from '../model/digest.ts';
import type { BytePath, PayloadEntry } from '../model/payload-tree.ts';
import type { TarMember } from './tar-reader.ts';

/** The bytes of a file, which lie elsewhere. */
export interface FileContent {
  readonly digest: Digest;
  readonly size: number;
}

export interface FileTreeOptions {
  /**
   * A folder's entry does not take the place of a symbolic link to a folder, as with dpkg and
   * `tar --keep-directory-symlink`: where `lib` is a link to `usr/lib`, `lib/` means that.
   */
  readonly keepFolderLinks?: boolean;
}

export type TreeMember = Pick<
  TarMember,
  'type' | 'path' | 'target' | 'mode' | 'uid' | 'gid' | 'mtime' | 'device' | 'xattrs'
>;

interface Attributes {
  mode: number;
  uid: number;
  gid: number;
  mtime: number | undefined;
  xattrs: Readonly<Record<string, string>> | undefined;
}

interface Folder extends Attributes {
  readonly kind: 'folder';
  readonly children: Map<string, Node>;
}

/** All names of a file are this one object. */
interface Leaf extends Attributes {
  readonly kind: 'file' | 'symlink' | 'characterDevice' | 'blockDevice' | 'fifo';
  readonly content: FileContent | undefined;
  readonly target: string;
  readonly device: { readonly major: number; readonly minor: number };
}

type Node = Folder | Leaf;

/** As many as a universal file's index can hold, nearly. */
const NODES_MAX = 1_000_000;
const LINKS_MAX = 40;
const PATH_MAX = 4095;
const NAME_MAX = 255;
const ID_MAX = 0xfffffffe;

/**
 * Paths are resolved as a process with this root would see them: symbolic links in the middle are
 * followed, absolute ones from this root, and nothing leads above it.
 */
export class FileTree {
  readonly #root: Folder = newFolder();
  readonly #keepFolderLinks: boolean;
  #made = 0;

  constructor(options: FileTreeOptions = {}) {
    this.#keepFolderLinks = options.keepFolderLinks ?? false;
  }

  /** What the root folder's own entry said, if one came. */
  get rootMode(): number {
    return this.#root.mode;
  }

  /**
   * Puts an entry of an archive in its place; what was there goes. Files need their content.
   *
   * @returns where it lies now; undefined for types that no file system has
   * @throws UportError UPORT_TAR_PATH, UPORT_TAR_LINK, UPORT_TAR_TOO_MANY_ENTRIES
   */
  place(member: TreeMember, content?: FileContent): BytePath | undefined {
    if (member.type === undefined) return undefined;
    const parts = splitPath(member.path);
    const name = parts.pop();
    const attributes = attributesOf(member);
    if (name === undefined) {
      if (member.type === 'directory') Object.assign(this.#root, attributes);
      return undefined;
    }
    const { folder, path } = this.#enter(parts, member.path);
    const place = (path === '' ? name : `${path}/${name}`) as BytePath;
    const there = folder.children.get(name);
    if (member.type === 'directory') {
      if (there?.kind === 'folder') Object.assign(there, attributes);
      else if (there?.kind === 'symlink' && this.#keepFolderLinks) {
        const target = this.#find([...parts, name]);
        if (target?.kind === 'folder') return place;
        this.#put(folder, name, { ...newFolder(), ...attributes });
      } else this.#put(folder, name, { ...newFolder(), ...attributes });
      return place;
    }
    if (member.type === 'hardlink') {
      const node = this.#linked(member);
      if (node !== there) this.#put(folder, name, node);
      return place;
    }
    if (member.type === 'symlink' && (member.target === '' || /\0/.test(member.target))) {
      throw badLink(member.path, 'is a symbolic link to nothing');
    }
    if (member.type === 'symlink' && member.target.length > PATH_MAX) {
      throw badLink(member.path, 'is a symbolic link to a name that is too long');
    }
    this.#put(folder, name, {
      kind: member.type,
      ...attributes,
      content,
      target: member.target,
      device: member.device,
    });
    return place;
  }

  /** Whether a path names something, symbolic links on the way followed. */
  has(path: string): boolean {
    return this.#find(splitPath(path)) !== undefined;
  }

  /** A path without the symbolic links above its last part; undefined when that folder is missing. */
  resolve(path: string): BytePath | undefined {
    const parts = splitPath(path);
    const name = parts.pop();
    const above = this.#walk(parts, path, false);
    if (above === undefined || name === undefined) return undefined;
    return (above.path === '' ? name : `${above.path}/${name}`) as BytePath;
  }

  /** Takes away what a path names, whole. */
  remove(path: string): void {
    const parts = splitPath(path);
    const name = parts.pop();
    const above = this.#walk(parts, path, false);
    if (above && name !== undefined) above.folder.children.delete(name);
  }

  /** Sorted bytewise; the first name of a file is the file, the others are hard links to it. */
  entries(): PayloadEntry[] {
    const nodes: { path: string; node: Node }[] = [];
    const todo: { path: string; folder: Folder }[] = [{ path: '', folder: this.#root }];
    for (let next = todo.pop(); next; next = todo.pop()) {
      for (const [name, node] of next.folder.children) {
        const path = next.path === '' ? name : `${next.path}/${name}`;
        nodes.push({ path, node });
        if (node.kind === 'folder') todo.push({ path, folder: node });
      }
    }
    nodes.sort((a, b) => (a.path < b.path ? -1 : 1));
    const names = new Map<Leaf, BytePath>();
    return nodes.map(({ path, node }) => toEntry(path as BytePath, node, names));
  }

  #put(folder: Folder, name: string, node: Node): void {
    this.#made++;
    if (this.#made > NODES_MAX) {
      throw new UportError({
        code: 'UPORT_TAR_TOO_MANY_ENTRIES',
        category: 'input',
        message: `it makes more than ${NODES_MAX} files`,
        hint: 'leave out what the app does not need',
      });
    }
    folder.children.set(name, node);
  }

  #enter(parts: readonly string[], shown: string): { folder: Folder; path: string } {
    const found = this.#walk(parts, shown, true);
    if (found === undefined) throw badPath(shown, 'goes through something that is no folder');
    return found;
  }

  /** The folder that a path names; missing ones are made, or it is undefined. */
  #walk(
    parts: readonly string[],
    shown: string,
    make: boolean,
  ): { folder: Folder; path: string } | undefined {
    let links = 0;
    let at: { name: string; folder: Folder }[] = [];
    const todo = [...parts].reverse();
    while (todo.length > 0) {
      const part = todo.pop() as string;
      if (part === '' || part === '.') continue;
      if (part === '..') {
        at.pop();
        continue;
      }
      const folder = at.at(-1)?.folder ?? this.#root;
      let next = folder.children.get(part);
      if (next?.kind === 'symlink') {
        if (++links > LINKS_MAX) throw badPath(shown, 'goes through a loop of symbolic links');
        const { target } = next;
        if (target.startsWith('/')) at = [];
        for (const each of target.split('/').reverse()) todo.push(each);
        continue;
      }
      if (next === undefined) {
        if (!make) return undefined;
        next = newFolder();
        this.#put(folder, part, next);
      }
      if (next.kind !== 'folder') {
        if (!make) return undefined;
        throw badPath(shown, 'goes through something that is no folder');
      }
      at.push({ name: part, folder: next });
    }
    return {
      folder: at.at(-1)?.folder ?? this.#root,
      path: at.map(({ name }) => name).join('/'),
    };
  }

  /** What a path names in the end. */
  #find(parts: readonly string[]): Node | undefined {
    try {
      let rest = [...parts];
      for (let links = 0; links <= LINKS_MAX; links++) {
        const name = rest.pop();
        const above = this.#walk(rest, '', false);
        if (name === undefined || name === '' || name === '.' || name === '..') {
          return this.#walk([...rest, name ?? ''], '', false)?.folder;
        }
        const node = above?.folder.children.get(name);
        if (node?.kind !== 'symlink') return node;
        const target = node.target.split('/');
        rest = node.target.startsWith('/') ? target : [...rest, ...target];
      }
    } catch (error) {
      if (!(error instanceof UportError)) throw error;
    }
    return undefined;
  }

  /** The file that a hard link names: one of this tree, never through its own last symbolic link. */
  #linked(member: TreeMember): Leaf {
    const parts = splitPath(member.target);
    const name = parts.pop();
    const above = this.#walk(parts, member.target, false);
    const node = name === undefined ? undefined : above?.folder.children.get(name);
    if (node && node.kind !== 'folder') return node;
    throw badLink(
      member.path,
      `is a hard link to ${JSON.stringify(displayBytes(member.target.slice(0, 200)))}, which is no file before it`,
    );
  }
}

function newFolder(): Folder {
  const attributes = { mode: 0o755, uid: 0, gid: 0, mtime: undefined, xattrs: undefined };
  return { kind: 'folder', ...attributes, children: new Map() };
}

function attributesOf(member: TreeMember): Attributes {
  const { mode, uid, gid, mtime, xattrs } = member;
  if (uid > ID_MAX || gid > ID_MAX) throw badPath(member.path, 'belongs to no possible user');
  // A time before 1970 is no time that archives agree on.
  const time = mtime >= 0 && Number.isSafeInteger(mtime) ? mtime : 0;
  const given = Object.keys(xattrs).length > 0 ? xattrs : undefined;
  return { mode: mode & 0o7777, uid, gid, mtime: time, xattrs: given };
}

/** The parts of a path as archives spell them: `./a/b/`, `/a/b` and `a/b` are the same. */
function splitPath(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (path.length > PATH_MAX || parts.some((part) => part.length > NAME_MAX)) {
    throw badPath(path, 'is longer than a file system takes');
  }
  if (path.includes('\0')) throw badPath(path, 'has a zero byte');
  if (parts.includes('..')) throw badPath(path, 'leads out of the archive');
  return parts;
}

function toEntry(path: BytePath, node: Node, names: Map<Leaf, BytePath>): PayloadEntry {
  const { mode, uid, gid, mtime, xattrs } = node;
  const base = {
    path,
    mode,
    ...(uid !== 0 && { uid }),
    ...(gid !== 0 && { gid }),
    ...(mtime !== undefined && { mtime }),
    ...(xattrs !== undefined && { xattrs }),
  };
  if (node.kind === 'folder') return { type: 'directory', ...base };
  const first = names.get(node);
  if (first !== undefined) return { type: 'hardlink', ...base, target: first };
  names.set(node, path);
  switch (node.kind) {
    case 'file': {
      const { content } = node;
      if (content === undefined) throw new TypeError(`${path} has no content`);
      return { type: 'file', ...base, size: content.size, digest: content.digest };
    }
    case 'symlink':
      return { type: 'symlink', ...base, target: node.target };
    case 'fifo':
      return { type: 'fifo', ...base };
    default:
      return { type: node.kind, ...base, device: node.device };
  }
}

function badPath(path: string, what: string): UportError {
  return fault('UPORT_TAR_PATH', path, what);
}

function badLink(path: string, what: string): UportError {
  return fault('UPORT_TAR_LINK', path, what);
}

function fault(code: `UPORT_${string}`, path: string, what: string): UportError {
  return new UportError({
    code,
    category: 'input',
    message: `the archive's entry ${JSON.stringify(displayBytes(path.slice(0, 200)))} ${what}`,
    hint: 'do not use this archive: it may be made to harm',
  });
}
