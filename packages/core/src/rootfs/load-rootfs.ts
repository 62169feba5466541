// A whole root file system, a folder or a tar, as the app.
import { mkdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import type { App } from '../app/app.ts';
import { appOfScan, type LoadContext } from '../app/load-app.ts';
import { FATELF_HEAD, isProgram, type Scan, scanRoot } from '../app/scan-folder.ts';
import { displayBytes, textPath } from '../model/byte-path.ts';
import type { FilePart } from '../model/content.ts';
import type { Digest } from '../model/digest.ts';
import type { BytePath, PayloadEntry } from '../model/payload-tree.ts';
import { resolveEntry } from '../model/resolve-entry.ts';
import type { Store } from '../store/store.ts';
import { temporaryName } from '../store/temporary.ts';
import { systemError } from '../system-error.ts';
import { FileTree } from '../tar/file-tree.ts';
import { spoolTar } from '../tar/spool.ts';
import { type TarLimits, TarMeter } from '../tar/tar-limits.ts';
import { packingOf, unpackStream } from '../tar/unpack-stream.ts';
import { readXattrs } from './read-xattrs.ts';

export interface LoadRootfsOptions {
  /** An absolute path in the root, or a name that is looked for in `searchPath`. */
  readonly program: string | undefined;
  readonly name?: string;
  /** As the variable PATH. */
  readonly searchPath?: string;
  readonly limits?: TarLimits;
}

export interface LoadRootfsContext extends LoadContext {
  readonly store: Store;
  readonly warn?: (message: string) => void;
}

export interface LoadedRootfs {
  readonly app: App;
  /** Removes what was unpacked. The app's content is gone then. */
  dispose(): Promise<void>;
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Reads a root file system. Of a tar (plain, gzip, xz or zstd) owners, modes, times, links, devices
 * and extended attributes are kept; of a folder what its reader may see. Nothing is unpacked to
 * files of its own.
 *
 * @throws UportError UPORT_TAR_*, UPORT_ENTRYPOINT_MISSING, UPORT_ENTRYPOINT_NOT_FOUND,
 *   UPORT_INPUT_TYPE, and those of `loadApp`
 */
export async function loadRootfs(
  input: string,
  options: LoadRootfsOptions,
  context: LoadRootfsContext,
): Promise<LoadedRootfs> {
  const { program } = options;
  if (program === undefined) {
    throw new UportError({
      code: 'UPORT_ENTRYPOINT_MISSING',
      category: 'usage',
      message: 'a root file system needs the program that starts',
      hint: 'add --entrypoint PROGRAM, such as /usr/bin/python3',
      file: input,
    });
  }
  const status = await stat(input).catch((error: unknown) => {
    throw systemError(error, input);
  });
  if (!status.isDirectory() && !status.isFile()) {
    throw new UportError({
      code: 'UPORT_INPUT_TYPE',
      category: 'input',
      message: 'it is neither a folder nor a tar',
      hint: 'give a root file system as a folder or a tar',
      file: input,
    });
  }
  const temporary = path.join(context.store.root, 'tmp', temporaryName());
  const dispose = (): Promise<void> => rm(temporary, { recursive: true, force: true });
  try {
    const scan = status.isDirectory()
      ? await scanFolderRoot(input, context)
      : await scanTar(input, status.size, temporary, options.limits, context);
    const inside = findProgram(scan.entries, program, options.searchPath ?? DEFAULT_PATH);
    const name = options.name ?? path.posix.basename(program);
    const app = inside && (await appOfScan(name, inside, scan, input));
    if (!app) throw notFound(program, input);
    return { app: { ...app, wholeRoot: true }, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function scanFolderRoot(input: string, context: LoadRootfsContext): Promise<Scan> {
  const task = context.progress.start(`Reading ${path.basename(input)}`, undefined, 'bytes');
  try {
    const scan = await scanRoot(path.resolve(input), { task, signal: context.signal });
    const xattrs = await readXattrs(path.resolve(input), context);
    const entries = scan.entries.map((entry) => {
      const own = xattrs.get(entry.path);
      return own === undefined ? entry : { ...entry, xattrs: own };
    });
    return { ...scan, entries };
  } catch (error) {
    throw systemError(error, input);
  } finally {
    task.done();
  }
}

async function scanTar(
  input: string,
  size: number,
  temporary: string,
  limits: TarLimits | undefined,
  context: LoadRootfsContext,
): Promise<Scan> {
  const { signal, progress } = context;
  const task = progress.start(`Reading ${path.basename(input)}`, size, 'bytes');
  const places = new Map<Digest, FilePart>();
  const heads = new Map<Digest, Buffer>();
  const tree = new FileTree();
  let packed = 0;
  try {
    await mkdir(temporary, { mode: 0o700 });
    const packing = await packingOf(input);
    const range = { start: 0, end: size };
    const bytes = unpackStream(input, packing, range, signal, (read) => {
      packed += read;
      task.advance(read);
    });
    await spoolTar(bytes, {
      file: path.join(temporary, 'tar'),
      ...(packing === 'none' && { plain: { file: path.resolve(input), start: 0 } }),
      meter: new TarMeter(() => packed, limits),
      signal,
      places,
      hear: (member) => {
        tree.place(member, member.content);
        if (member.content && member.head && isTelling(member.head)) {
          heads.set(member.content.digest, member.head);
        }
      },
    });
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof UportError ? error.inFile(input) : systemError(error, input);
  } finally {
    task.done();
  }
  const entries = tree.entries();
  if (entries.length === 0) {
    throw new UportError({
      code: 'UPORT_TAR_INVALID',
      category: 'input',
      message: 'the tar holds nothing',
      hint: 'give a tar of a root file system, or a folder',
      file: input,
    });
  }
  const programs = new Map<BytePath, Buffer>();
  const fatElfs = new Set<Digest>();
  for (const entry of entries) {
    const head = entry.type === 'file' ? heads.get(entry.digest) : undefined;
    if (entry.type !== 'file' || head === undefined) continue;
    if (isProgram(head)) programs.set(entry.path, head);
    else fatElfs.add(entry.digest);
  }
  return { entries, files: places, programs, fatElfs };
}

function isTelling(head: Buffer): boolean {
  return isProgram(head) || head.subarray(0, 4).equals(FATELF_HEAD);
}

/** The path of a program in the payload; a plain name is looked for as a shell would. */
function findProgram(
  entries: readonly PayloadEntry[],
  program: string,
  searchPath: string,
): BytePath | undefined {
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  const plain = program.replace(/^(?:\.?\/+)+/, '');
  const candidates = program.includes('/')
    ? [plain]
    : searchPath.split(':').map((folder) => path.posix.join(folder, program).replace(/^\/+/, ''));
  for (const candidate of candidates) {
    if (candidate === '' || candidate.split('/').includes('..')) continue;
    const place = textPath(candidate);
    const entry = resolveEntry(byPath, place);
    if (entry?.type === 'file' && (program.includes('/') || entry.mode & 0o111)) return place;
  }
  return undefined;
}

function notFound(program: string, input: string): UportError {
  return new UportError({
    code: 'UPORT_ENTRYPOINT_NOT_FOUND',
    category: 'input',
    message: `the root has no program ${JSON.stringify(displayBytes(program))}`,
    hint: 'name it by its absolute path in the root',
    file: input,
  });
}
