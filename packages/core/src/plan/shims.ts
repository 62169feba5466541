// Programs that whoever runs a container starts himself (exec into it, health checks, probes): a
// launcher takes their places, and knows where the original is.
import { type ElfIdentity, readElfIdentity } from '@uport/elf';
import { UportError } from '@uport/errors';
import { type Arch, archOfElf } from '../model/arch.ts';
import { displayBytes } from '../model/byte-path.ts';
import type { Digest } from '../model/digest.ts';
import type { BytePath, DirectoryEntry, FileEntry, PayloadEntry } from '../model/payload-tree.ts';

export interface Shim {
  /** What the launcher takes the place of: a file, or a link to one. */
  readonly place: BytePath;
  /** The program that starts. */
  readonly original: BytePath;
}

export interface ShimPlan {
  /** Sorted by place. */
  readonly shims: readonly Shim[];
  /** Originals that have no name left: copies beside their old places. */
  readonly copies: readonly FileEntry[];
  /** The folders above all these, as they are, each before what it holds. */
  readonly folders: readonly DirectoryEntry[];
}

export interface ShimInputs {
  /** Paths or names for PATH, or every program of PATH's folders and the entrypoint's. */
  readonly request: 'all' | readonly string[];
  readonly guest: Arch;
  readonly entries: readonly PayloadEntry[];
  /** The first 256 bytes of a file. */
  readonly head: (file: Digest) => Promise<Uint8Array | undefined>;
  /** `NAME=VALUE` of the image. */
  readonly env: readonly string[];
  readonly workdir: string;
  /** The program that starts, and its arguments. */
  readonly entrypoint: readonly string[];
}

/** What engines use where an image sets no PATH. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const LINKS_MAX = 40;
const SCRIPTS_MAX = 5;
const SHIMS_MAX = 8192;
const NAME_MAX = 255;

/**
 * Decides which files give way to the launcher, and where their originals are.
 *
 * @throws UportError UPORT_SHIM_NOT_FOUND, UPORT_SHIM_NOT_A_PROGRAM, UPORT_SHIM_CPU, UPORT_SHIM_TOO_MANY
 */
export async function planShims(inputs: ShimInputs): Promise<ShimPlan> {
  const root = openRoot(inputs.entries);
  const targets =
    inputs.request === 'all'
      ? await everyProgram(root, inputs)
      : await namedPrograms(root, inputs, inputs.request);
  if (targets.size > SHIMS_MAX) {
    throw new UportError({
      code: 'UPORT_SHIM_TOO_MANY',
      category: 'input',
      message: `more than ${SHIMS_MAX} programs would be replaced`,
      hint: 'name those that are needed with --shim',
    });
  }
  const copies = new Map<BytePath, FileEntry>();
  const originalOf = (file: BytePath): BytePath => {
    if (!targets.has(file)) return file;
    const names = root.namesOf(file);
    const folder = folderOf(file);
    const free = names.filter((name) => !targets.has(name));
    // A program may look for its libraries beside itself.
    const other = free.find((name) => folderOf(name) === folder) ?? free[0];
    if (other !== undefined) return other;
    const first = names[0] as BytePath;
    const copy = besides(first);
    copies.set(copy, { ...root.file(first), path: copy });
    return copy;
  };
  const shims = [...targets]
    .map(([place, file]): Shim => ({ place, original: originalOf(file) }))
    .sort((a, b) => (a.place < b.place ? -1 : 1));
  const sortedCopies = [...copies.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  const places = [...shims.map(({ place }) => place), ...copies.keys()];
  return { shims, copies: sortedCopies, folders: root.foldersAbove(places) };
}

/** By the place to take: the file that is started there in the end. */
type Targets = Map<BytePath, BytePath>;

async function namedPrograms(
  root: Root,
  inputs: ShimInputs,
  names: readonly string[],
): Promise<Targets> {
  const targets: Targets = new Map();
  for (const name of names) {
    const bytes = Buffer.from(name, 'utf8').toString('latin1');
    await addProgram(root, inputs, targets, bytes, name, 0);
  }
  return targets;
}

async function addProgram(
  root: Root,
  inputs: ShimInputs,
  targets: Targets,
  path: string,
  asked: string,
  scripts: number,
): Promise<void> {
  const found = search(root, inputs, path);
  const file = found && root.follow(found);
  if (found === undefined || file === undefined) {
    throw new UportError({
      code: 'UPORT_SHIM_NOT_FOUND',
      category: 'input',
      message: `the image has no program ${displayBytes(path)}${scripts > 0 ? `, which ${JSON.stringify(asked)} is a script for` : ''}`,
      hint: 'name programs by their paths in the image, such as --shim /bin/sh, or use --shim all',
    });
  }
  const kind = await kindOf(root, inputs, file);
  if (kind.type === 'guest') {
    targets.set(found, file);
  } else if (kind.type === 'script' && scripts < SCRIPTS_MAX) {
    // The kernel starts the script's interpreter.
    await addProgram(root, inputs, targets, kind.interpreter, asked, scripts + 1);
  } else {
    throw new UportError({
      code: kind.type === 'other' ? 'UPORT_SHIM_CPU' : 'UPORT_SHIM_NOT_A_PROGRAM',
      category: 'input',
      message:
        kind.type === 'other'
          ? `${displayBytes(file)} is a program of ${kind.cpu}, not of ${inputs.guest.name}`
          : `${displayBytes(file)} is neither a program nor a script`,
      hint: 'leave it out of --shim',
    });
  }
}

export interface LocatedProgram {
  /** What starts: a script, a link or the target itself. */
  readonly program: BytePath;
  /** The ELF program in the end. */
  readonly target: BytePath;
  readonly digest: Digest;
}

/** What starts for a word of an entrypoint: found in PATH, through links and as scripts' interpreter. */
export async function locateProgram(
  word: string,
  inputs: Pick<ShimInputs, 'entries' | 'head' | 'env' | 'workdir'>,
): Promise<LocatedProgram | undefined> {
  const root = openRoot(inputs.entries);
  let path = Buffer.from(word, 'utf8').toString('latin1');
  let program: BytePath | undefined;
  for (let scripts = 0; scripts <= SCRIPTS_MAX; scripts++) {
    const found = search(root, inputs, path);
    const file = found && root.follow(found);
    if (found === undefined || file === undefined) return undefined;
    program ??= found;
    const { digest } = root.file(file);
    const interpreter = interpreterOf(await inputs.head(digest));
    if (interpreter === undefined) return { program, target: file, digest };
    path = interpreter;
  }
  return undefined;
}

function interpreterOf(head: Uint8Array | undefined): string | undefined {
  const text = Buffer.from(head ?? []).toString('latin1');
  return /^#![ \t]*([^ \t\n\0]+)/.exec(text)?.[1];
}

/** A path as it stands, from the working folder, or a name looked for in PATH. */
function search(
  root: Root,
  inputs: Pick<ShimInputs, 'env' | 'workdir'>,
  path: string,
): BytePath | undefined {
  if (path.includes('/')) {
    return root.locate(path.startsWith('/') ? path : `${inputs.workdir}/${path}`);
  }
  for (const folder of pathFolders(inputs.env)) {
    const found = root.locate(`${folder}/${path}`);
    if (found !== undefined && root.follow(found) !== undefined) return found;
  }
  return undefined;
}

async function everyProgram(root: Root, inputs: ShimInputs): Promise<Targets> {
  const targets: Targets = new Map();
  const links: [place: BytePath, file: BytePath][] = [];
  const interpreters = new Set<string>();
  const consider = async (place: BytePath): Promise<void> => {
    const file = root.follow(place);
    if (file === undefined || (root.file(file).mode & 0o111) === 0) return;
    const kind = await kindOf(root, inputs, file);
    if (kind.type === 'script') interpreters.add(kind.interpreter);
    if (kind.type !== 'guest') return;
    if (place === file) targets.set(place, file);
    else links.push([place, file]);
  };
  for (const folder of pathFolders(inputs.env)) {
    for (const place of root.list(folder)) await consider(place);
  }
  const [program] = inputs.entrypoint;
  const start = program && search(root, inputs, Buffer.from(program, 'utf8').toString('latin1'));
  if (start) await consider(start);
  for (let depth = 0; depth < SCRIPTS_MAX && interpreters.size > 0; depth++) {
    const round = [...interpreters];
    interpreters.clear();
    for (const each of round) {
      const place = root.locate(each);
      if (place !== undefined && !targets.has(place)) await consider(place);
    }
  }
  // A link to a program that gives way itself leads to the launcher already.
  for (const [place, file] of links) if (!targets.has(file)) targets.set(place, file);
  return targets;
}

function pathFolders(env: readonly string[]): readonly string[] {
  const set = env.findLast((each) => each.startsWith('PATH='));
  const path = set === undefined ? DEFAULT_PATH : set.slice('PATH='.length);
  const bytes = Buffer.from(path, 'utf8').toString('latin1');
  return bytes.split(':').filter((folder) => folder.startsWith('/'));
}

type Kind =
  | { readonly type: 'guest' }
  | { readonly type: 'other'; readonly cpu: string }
  | { readonly type: 'script'; readonly interpreter: string }
  | { readonly type: 'data' };

async function kindOf(root: Root, inputs: ShimInputs, file: BytePath): Promise<Kind> {
  const head = await inputs.head(root.file(file).digest);
  if (head === undefined) return { type: 'data' };
  const text = Buffer.from(head).toString('latin1');
  const interpreter = interpreterOf(head);
  if (interpreter !== undefined) return { type: 'script', interpreter };
  if (!text.startsWith('\x7fELF')) return { type: 'data' };
  const identity = await identityOf(head);
  if (identity === undefined) return { type: 'data' };
  const cpu = archOfElf(identity);
  if (cpu === inputs.guest) return { type: 'guest' };
  return { type: 'other', cpu: cpu?.name ?? `e_machine ${identity.machine}` };
}

async function identityOf(head: Uint8Array): Promise<ElfIdentity | undefined> {
  try {
    return await readElfIdentity({
      size: head.length,
      read: async (offset, length) => head.subarray(offset, offset + length),
    });
  } catch (error) {
    if (error instanceof UportError) return undefined;
    throw error;
  }
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}

/** `usr/bin/sh` becomes `usr/bin/.sh.uport`. */
function besides(path: BytePath): BytePath {
  const folder = folderOf(path);
  const name = path.slice(folder === '' ? 0 : folder.length + 1);
  const hidden = `.${name}.uport`;
  if (hidden.length > NAME_MAX) {
    throw new UportError({
      code: 'UPORT_SHIM_NOT_A_PROGRAM',
      category: 'input',
      message: `the name of ${displayBytes(path)} is too long for a copy beside it`,
      hint: 'leave it out of --shim, or rename it',
    });
  }
  return (folder === '' ? hidden : `${folder}/${hidden}`) as BytePath;
}

interface Root {
  /** The real place that a path names: links are followed but for the last part. */
  locate(path: string): BytePath | undefined;
  /** The regular file that a place leads to in the end. */
  follow(place: BytePath): BytePath | undefined;
  file(place: BytePath): FileEntry;
  /** All names of a file, in order. */
  namesOf(place: BytePath): readonly BytePath[];
  /** What lies in a folder. */
  list(folder: string): readonly BytePath[];
  foldersAbove(places: readonly BytePath[]): readonly DirectoryEntry[];
}

function openRoot(list: readonly PayloadEntry[]): Root {
  const entries = new Map<string, PayloadEntry>(list.map((entry) => [entry.path, entry]));
  const children = new Map<string, BytePath[]>();
  const names = new Map<string, BytePath[]>();
  const add = (map: Map<string, BytePath[]>, key: string, path: BytePath) => {
    const known = map.get(key);
    if (known) known.push(path);
    else map.set(key, [path]);
  };
  for (const entry of list) {
    add(children, folderOf(entry.path), entry.path);
    if (entry.type === 'file') add(names, entry.path, entry.path);
    if (entry.type === 'hardlink') add(names, entry.target, entry.path);
  }
  /** Follows links; the last part's too when `last` says so. */
  const walk = (path: string, last: boolean): string | undefined => {
    const rest = path.split('/').reverse();
    let at: string[] = [];
    let links = 0;
    while (rest.length > 0) {
      const part = rest.pop() as string;
      if (part === '' || part === '.') continue;
      if (part === '..') {
        at.pop();
        continue;
      }
      const place = [...at, part].join('/');
      const entry = entries.get(place);
      if (!entry) return undefined;
      if (entry.type === 'symlink' && (last || rest.some((each) => each !== '' && each !== '.'))) {
        if (++links > LINKS_MAX || rest.length > 4096) return undefined;
        if (entry.target.startsWith('/')) at = [];
        rest.push(...entry.target.split('/').reverse());
        continue;
      }
      if (entry.type !== 'directory' && rest.some((each) => each !== '')) return undefined;
      at.push(part);
    }
    return at.join('/');
  };
  const fileAt = (place: BytePath): FileEntry => {
    const entry = entries.get(place);
    const file = entry?.type === 'hardlink' ? entries.get(entry.target) : entry;
    if (file?.type !== 'file') throw new TypeError(`${place} is no file`);
    return file;
  };
  return {
    locate: (path) => (walk(path, false) || undefined) as BytePath | undefined,
    follow(place) {
      const found = walk(place, true);
      const type = found === undefined ? undefined : entries.get(found)?.type;
      return type === 'file' || type === 'hardlink' ? (found as BytePath) : undefined;
    },
    file: fileAt,
    namesOf: (place) => names.get(fileAt(place).path) ?? [place],
    list(folder) {
      const real = walk(folder, true);
      return (real === undefined ? undefined : children.get(real)) ?? [];
    },
    foldersAbove(places) {
      const above = new Set<string>();
      for (const place of places) {
        for (let folder = folderOf(place); folder !== ''; folder = folderOf(folder)) {
          if (above.has(folder)) break;
          above.add(folder);
        }
      }
      return [...above].sort().flatMap((folder) => {
        const entry = entries.get(folder);
        return entry?.type === 'directory' ? [entry] : [];
      });
    },
  };
}
