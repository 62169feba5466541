import { stat } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import type { App } from '../app/app.ts';
import { findLibraryFolders } from '../app/find-library-folders.ts';
import { appOfScan } from '../app/load-app.ts';
import { readProgram } from '../app/read-program.ts';
import type { Scan } from '../app/scan-folder.ts';
import { displayBytes, textPath } from '../model/byte-path.ts';
import type { BytePath } from '../model/payload-tree.ts';
import type { Progress } from '../model/progress.ts';
import { DEFAULT_TRUSTED_KEYS, parseNixPublicKey } from '../nix/public-key.ts';
import { NIX_STORE_DIR, parseStorePath } from '../nix/store-path.ts';
import { openCache } from '../nix-cache/open-cache.ts';
import type { Store } from '../store/store.ts';
import { cacheStore } from './cache-store.ts';
import { binPrograms, chooseProgram, programsHint } from './choose-program.ts';
import { readExportStore } from './export-store.ts';
import { folderStore } from './folder-store.ts';
import { type NixInput, nixInput, packageName } from './nix-input.ts';
import type { ClosureContext, NixStore } from './nix-store.ts';
import { type NixClosure, readClosure } from './read-closure.ts';
import { rewriteReferences } from './references/rewrite-references.ts';
import { checkPrefix, DEFAULT_STORE_PREFIX, storePlaces } from './references/store-prefix.ts';

export interface NixImportOptions {
  /**
   * Where store paths are taken from: a folder with `nix/store` in it, or the address of a binary
   * cache. Default: the folder that the input names.
   */
  readonly store?: string;
  /** `NAME:BASE64`, whose signatures of a cache's objects count. Default: cache.nixos.org's key. */
  readonly trustedKeys?: readonly string[];
  /**
   * `keep`: the closure lies in /nix/store in the payload too. `rewrite`: it lies below
   * `storePrefix`, and its files name that place. Default: `keep`.
   */
  readonly references?: 'keep' | 'rewrite';
  /** Absolute, at most 34 bytes. Default: /opt/uport/store. */
  readonly storePrefix?: string;
}

export interface LoadNixOptions extends NixImportOptions {
  /** What starts: a path inside the store path, or a full one. */
  readonly program?: string;
  readonly name?: string;
}

export interface LoadNixContext {
  readonly store: Store;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** `nix-export:FILE` */
const EXPORT = 'nix-export:';

/**
 * Reads a Nix store path with its closure as an app whose payload has them at their own paths.
 * Undefined when the input is none; so too for a single static program in a store, which needs no
 * closure.
 *
 * @throws UportError UPORT_NIX_*, UPORT_NAR_INVALID, UPORT_ENTRYPOINT_*, UPORT_ELF_*, UPORT_GUEST_*
 */
export async function loadNixApp(
  input: string,
  options: LoadNixOptions,
  { store, progress, signal }: LoadNixContext,
): Promise<App | undefined> {
  if (options.storePrefix !== undefined) {
    checkPrefix(options.storePrefix);
    if (options.references !== 'rewrite') throw prefixUnused();
  }
  const exported = input.startsWith(EXPORT) ? input.slice(EXPORT.length) : undefined;
  const named = exported === undefined ? nixInput(input, options.store) : undefined;
  if (exported === undefined && named === undefined) {
    const flag = options.store === undefined ? '--store-references rewrite' : '--nix-store';
    if (options.store === undefined && options.references !== 'rewrite') return undefined;
    throw new UportError({
      code: 'UPORT_NIX_STORE_PATH_INVALID',
      category: 'usage',
      message: `${JSON.stringify(input)} is not a store path, and ${flag} needs one`,
      hint: `a store path reads ${NIX_STORE_DIR}/<32 digits>-<name>`,
    });
  }
  const alone = named?.root !== undefined && options.references !== 'rewrite';
  if (alone && (await isStaticFile(named))) return undefined;
  const task = progress.start(`Reading ${path.basename(input)}`, undefined, 'bytes');
  try {
    const context: ClosureContext = { store, task, signal };
    const found =
      exported === undefined
        ? { source: await openStore(named as NixInput, options), at: named as NixInput }
        : await openExport(exported, options.program, context);
    const closure = await readClosure(found.at.storePath, found.source, context);
    return await appOfClosure(closure, found.at, options, context);
  } finally {
    task.done();
  }
}

function prefixUnused(): UportError {
  return new UportError({
    code: 'UPORT_NIX_STORE_PREFIX',
    category: 'usage',
    message: 'a store prefix is for closures that are rewritten',
    hint: 'add --store-references rewrite',
  });
}

/** A single program without a loader, which is an app as it is. */
async function isStaticFile({ storePath, inside, root }: NixInput): Promise<boolean> {
  const file = path.join(root ?? '/', storePath, inside);
  const status = await stat(file).catch(() => undefined);
  if (!status?.isFile()) return false;
  const elf = await readProgram(file, file).catch(() => undefined);
  return elf?.linkage === 'static' || elf?.linkage === 'static-pie';
}

async function openStore(input: NixInput, options: LoadNixOptions): Promise<NixStore> {
  const { store } = options;
  if (store === undefined) return folderStore(input.root ?? '/');
  const isAddress = /^[a-z][a-z0-9+.-]*:\/\//i.test(store);
  if (!isAddress) return folderStore(path.resolve(store));
  const keys = (options.trustedKeys ?? DEFAULT_TRUSTED_KEYS).map(parseNixPublicKey);
  return cacheStore(await openCache(store), keys);
}

async function openExport(
  file: string,
  program: string | undefined,
  context: ClosureContext,
): Promise<{ source: NixStore; at: NixInput }> {
  const source = await readExportStore(file, context);
  const asked = program?.startsWith(`${NIX_STORE_DIR}/`) ? nixInput(program, '') : undefined;
  const storePath = asked?.storePath ?? source.root;
  if (storePath !== undefined) return { source, at: { storePath, inside: '', root: undefined } };
  throw new UportError({
    code: 'UPORT_ENTRYPOINT_MISSING',
    category: 'usage',
    message: `the export holds ${source.tops.length} packages that no other needs`,
    hint: `name the program with --entrypoint, such as ${source.tops[0] ?? NIX_STORE_DIR}/bin/NAME`,
    file,
  });
}

async function appOfClosure(
  closure: NixClosure,
  input: NixInput,
  options: LoadNixOptions,
  context: ClosureContext,
): Promise<App> {
  const { storePath } = input;
  const original = programOf(closure.scan, input, options.program);
  const name = options.name ?? packageName(parseStorePath(storePath).name);
  const missing = () =>
    new UportError({
      code: 'UPORT_ENTRYPOINT_NOT_FOUND',
      category: 'input',
      message: `there is no program /${displayBytes(original)}`,
      hint: programsHint(binPrograms(closure.scan, textPath(storePath.slice(1)))),
      file: storePath,
    });
  // Before a closure is rewritten, which takes its time.
  const kept = await appOfScan(name, original, closure.scan, storePath);
  if (kept === undefined) throw missing();
  const top = textPath(storePath.slice(1));
  if (options.references !== 'rewrite') return withFolders(kept, top, closure.scan);
  const places = storePlaces(options.storePrefix ?? DEFAULT_STORE_PREFIX, closure.paths);
  const { scan, report, moved } = await rewriteReferences(closure, places, context);
  const app = await appOfScan(name, moved(original), scan, storePath);
  if (app === undefined) throw missing();
  return { ...(await withFolders(app, moved(top), scan)), storeReferences: report };
}

async function withFolders(app: App, folder: BytePath, scan: Scan): Promise<App> {
  const libraryFolders = await findLibraryFolders(scan, app.target);
  return { ...app, folder, ...(libraryFolders.length > 0 && { libraryFolders }) };
}

function programOf(scan: Scan, { storePath, inside }: NixInput, asked?: string): BytePath {
  if (asked?.startsWith('/')) return textPath(path.posix.normalize(asked).slice(1));
  const top = textPath(storePath.slice(1));
  const main = packageName(parseStorePath(storePath).name);
  return chooseProgram(scan, {
    top,
    main,
    asked: asked ?? (inside || undefined),
    shown: storePath,
  });
}
