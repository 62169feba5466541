import { rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import type { App } from './app/app.ts';
import { loadApp } from './app/load-app.ts';
import { patchLibraries } from './app/patch-libraries.ts';
import { readSlice } from './app/read-slice.ts';
import { resolveFatElfs } from './app/resolve-fatelfs.ts';
import type { DebianSettings } from './debian/context.ts';
import { checkCarried } from './emitters/carried.ts';
import type { Artifact, EmitRequest } from './emitters/emitter.ts';
import { findLaunchers } from './find-launchers.ts';
import { type LibrarySource, takeLibraries } from './libraries/take-libraries.ts';
import { makeFolder, removeMadeFolders } from './make-folder.ts';
import { ARCHES, type Arch, DEFAULT_HOSTS, parseArch } from './model/arch.ts';
import type { ContentSource } from './model/content.ts';
import type { Digest } from './model/digest.ts';
import type { BytePath } from './model/payload-tree.ts';
import { type Progress, silentProgress } from './model/progress.ts';
import { loadNarApp } from './nix-closure/load-nar-app.ts';
import { loadNixApp, type NixImportOptions } from './nix-closure/load-nix-app.ts';
import {
  describeReferences,
  type ReferenceReport,
} from './nix-closure/references/rewrite-references.ts';
import { addNotices } from './notices/create-notice.ts';
import { archMatrix, type MatrixRow } from './plan/arch-matrix.ts';
import { createPlan } from './plan/create-plan.ts';
import type { ImageSettings, NativeSlice, PinnedEmulator, PinnedFile, Plan } from './plan/plan.ts';
import { planShims, type ShimPlan } from './plan/shims.ts';
import { checkGuestCpu } from './qemu/guest-cpu.ts';
import type { EmulatorProvider } from './qemu/provider.ts';
import { findEmulators, parseEmulatorProvider } from './qemu/providers.ts';
import { readHead } from './read-head.ts';
import { Store } from './store/store.ts';
import { systemError } from './system-error.ts';
import { checkTranslated } from './translators/check-translated.ts';
import { findTranslators } from './translators/find-translators.ts';
import { chosenTranslators, type EmulatorChoice } from './translators/rules.ts';

export interface BuildOptions {
  /**
   * An ELF program, or a folder that holds one (then `entrypoint` names it); a Nix store path, which
   * comes with its closure, or `nix-export:FILE`; a NAR, also under xz, zstd or gzip.
   */
  readonly input: string;
  /** An app that was read already: `input` only names it. */
  readonly app?: App;
  /** The app's name. Default: the input's file name. */
  readonly name?: string;
  /**
   * What starts: a program and its first arguments. For a folder the program is a path inside it;
   * for a single program this replaces the image's entrypoint.
   */
  readonly entrypoint?: readonly string[];
  /** For an input in a Nix store. */
  readonly nix?: NixImportOptions;
  /** Such as `oci()`. */
  readonly emit: readonly EmitRequest[];
  /** Made when it does not exist. */
  readonly outDir: string;
  /** Default: amd64, arm64, riscv64, ppc64le and s390x. */
  readonly hosts?: readonly Arch[];
  /** Native builds of the program, by host. */
  readonly slices?: ReadonlyMap<Arch, string>;
  /** Where emulators come from. Default: `debian`. */
  readonly providers?: readonly EmulatorProvider[];
  /** Emulators other than QEMU that are tried before it. */
  readonly emulators?: readonly EmulatorChoice[];
  /** Where libraries come from that the app lacks. Default: nowhere. */
  readonly libraries?: LibrarySource;
  /** How Debian's archive is reached, for the libraries. */
  readonly debian?: DebianSettings;
  readonly image?: Partial<Omit<ImageSettings, 'entrypoint'>>;
  /** Programs of an image that engines start themselves: paths or names, or `all`. */
  readonly shim?: 'all' | readonly string[];
  /** What the guest's programs get and host programs never see. */
  readonly guest?: GuestOptions;
  /** Seconds since 1970. Default: 0. */
  readonly sourceDateEpoch?: number;
  readonly store?: Store;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
  /** Told what a user should know though the build goes on. */
  readonly warn?: (message: string) => void;
}

/** Environment and libraries of the guest's programs. Files are paths on this machine. */
export interface GuestOptions {
  /** Variables taken out of the app's environment. */
  readonly unset?: readonly string[];
  /** `NAME=VALUE`. */
  readonly env?: readonly string[];
  /** Shared libraries that take the place of those with the same soname, or are added. */
  readonly libraries?: readonly string[];
  /** Shared libraries that are loaded before all others. */
  readonly preload?: readonly string[];
  /** The CPU that emulators pretend to be: a model of QEMU's `-cpu`, with features after commas. */
  readonly cpu?: string;
}

export interface BuildResult {
  readonly plan: Plan;
  readonly matrix: readonly MatrixRow[];
  readonly artifacts: readonly Artifact[];
  /** What became of the references of a Nix closure that was moved (`nix.references`). */
  readonly storeReferences?: ReferenceReport;
}

/**
 * Makes artifacts that run on every host from an app of one CPU. Writes `plan.json` beside them.
 *
 * @throws UportError, with the code that each part documents
 */
export async function build(options: BuildOptions): Promise<BuildResult> {
  const store = options.store ?? (await Store.open());
  const planned = await planApp({ ...options, store });
  const artifacts = await emitPlan(planned, { ...options, store });
  const { plan, matrix, storeReferences } = planned;
  return { plan, matrix, artifacts, ...(storeReferences && { storeReferences }) };
}

/** A plan, and where its bytes lie. */
export interface PlannedApp {
  readonly plan: Plan;
  readonly matrix: readonly MatrixRow[];
  readonly content: ContentSource;
  readonly storeReferences?: ReferenceReport;
}

/**
 * Reads an app and decides everything; writes nothing but to the store.
 *
 * @throws UportError, with the code that each part documents
 */
export async function planApp(options: Omit<BuildOptions, 'outDir'>): Promise<PlannedApp> {
  const progress = options.progress ?? silentProgress;
  const signal = options.signal ?? new AbortController().signal;
  const store = options.store ?? (await Store.open());
  const hosts = inTableOrder(options.hosts ?? DEFAULT_HOSTS);

  checkCarried(options);

  const [program, ...firstArguments] = options.entrypoint ?? [];
  const named = {
    ...(program !== undefined && { program }),
    ...(options.name !== undefined && { name: options.name }),
  };
  const fromNix =
    options.app ??
    (await loadNixApp(options.input, { ...named, ...options.nix }, { store, progress, signal }));
  const loaded =
    fromNix ??
    (await loadNarApp(options.input, named, { store, progress, signal })) ??
    (await loadApp(options.input, named, { progress, signal }));
  const { unset = [], env = [], libraries = [], preload = [], cpu } = options.guest ?? {};
  const patched = await patchLibraries(loaded, { libraries, preload }, signal);
  if (loaded.interpreter !== undefined && fromNix === undefined && !options.libraries) {
    options.warn?.(
      `${loaded.name} is dynamic: its loader ${loaded.interpreter} and its libraries must lie in the payload at their own paths, or be taken from Debian (--from-debian SUITE)`,
    );
  }
  const { app, packages } = options.libraries
    ? await takeLibraries(
        patched.app,
        options.libraries,
        { store, progress, signal, warn: options.warn, debian: options.debian },
        { folders: patched.libraryFolders, preload: patched.preload },
      )
    : { app: patched.app, packages: [] };
  const slices = await readSlices(options.slices ?? new Map(), hosts);
  const launchers = await findLaunchers(hosts);
  const refused = (host: Arch) =>
    options.emit.map((request) => request.refuseHost?.(host)).find((why) => why !== undefined);
  const refusal = options.emit.length === 0 ? {} : { refused };
  const foreign = archMatrix(app.guest, hosts, {
    ...refusal,
    slices: new Set(slices.pins.keys()),
    launchers: new Set(launchers.pins.keys()),
    emulators: undefined,
  }).filter((row) => row.way === 'emulated' || row.way === 'compatible');
  const providers = options.providers ?? [parseEmulatorProvider('debian')];
  const emulators: ReadonlyMap<string, PinnedEmulator> =
    foreign.length === 0
      ? new Map()
      : await findEmulators(
          app.guest,
          foreign.map((row) => row.host),
          providers,
          { store, progress, signal, warn: options.warn },
        );
  const chosen = chosenTranslators(
    options.emulators ?? [],
    app.guest,
    foreign.flatMap(({ way, host }) => (way === 'emulated' ? [host] : [])),
  );
  checkTranslated(chosen, app, { env, libraries, preload }, options.warn);
  const translators = await findTranslators(chosen, providers, { store, progress, signal });
  if (cpu !== undefined) await checkGuestCpu(cpu, app.guest, emulators.values(), store);
  const matrix = archMatrix(app.guest, hosts, {
    ...refusal,
    slices: new Set(slices.pins.keys()),
    launchers: new Set(launchers.pins.keys()),
    emulators: new Set(emulators.keys()),
  });
  const resolved = await resolveFatElfs(app, [...slices.pins.keys()].map(parseArch), store, {
    signal,
    ...(options.warn && { warn: options.warn }),
  });
  const bare = createPlan({
    app: resolved.app,
    packages,
    matrix,
    parts: {
      slices: placeSlices(app.target, slices.pins, resolved.slices),
      launchers: launchers.pins,
      emulators,
      translators,
    },
    image: options.image ?? {},
    entrypoint: app.wholeFolder ? undefined : options.entrypoint,
    firstArguments: app.wholeFolder ? firstArguments : [],
    guest: { unset, env, preload: patched.preload, libraryFolders: patched.libraryFolders },
    ...(cpu !== undefined && { cpu }),
    sourceDateEpoch: options.sourceDateEpoch ?? 0,
  });

  const planned = await addNotices(bare, { store, progress, signal, warn: options.warn });
  const content = firstOf([app.content, slices.content, launchers.content, store]);
  const plan =
    options.shim === undefined
      ? planned
      : { ...planned, shims: await shimsOf(planned, app.guest, options.shim, content) };
  const { storeReferences } = loaded;
  for (const each of storeReferences ? describeReferences(storeReferences) : []) {
    options.warn?.(each);
  }
  return { plan, matrix, content, ...(storeReferences && { storeReferences }) };
}

/** Where artifacts go, and what the work is done with. */
export interface EmitOptions extends Pick<BuildOptions, 'emit' | 'outDir' | 'progress' | 'signal'> {
  readonly store: Store;
}

/**
 * Writes artifacts of a plan, all at once, and `plan.json` beside them.
 *
 * @throws UportError, with the code that each emitter documents
 */
export async function emitPlan(
  { plan, content }: PlannedApp,
  options: EmitOptions,
): Promise<readonly Artifact[]> {
  const progress = options.progress ?? silentProgress;
  const signal = options.signal ?? new AbortController().signal;
  const outDir = path.resolve(options.outDir);
  const made = await makeFolder(outDir);
  // One failure ends the others' work too, and all have ended before anything is taken away.
  const stop = new AbortController();
  const context = {
    content,
    store: options.store,
    outDir,
    progress,
    signal: AbortSignal.any([signal, stop.signal]),
  };
  let failure: unknown;
  const work = options.emit.map(async (request) => {
    try {
      signal.throwIfAborted();
      return await request.emit(plan, context);
    } catch (error) {
      failure ??= error;
      stop.abort(error);
      return [];
    }
  });
  try {
    const artifacts = (await Promise.all(work)).flat();
    signal.throwIfAborted();
    if (failure !== undefined) throw failure;
    await writePlan(plan, outDir);
    return artifacts;
  } catch (error) {
    // Emitters leave nothing half-written; a folder made for them alone goes too.
    if (made !== undefined) await removeMadeFolders(made, outDir);
    throw systemError(error, outDir);
  }
}

/** Each host once, in the CPU table's order: the order they were named in must not change the bytes. */
function inTableOrder(hosts: readonly Arch[]): readonly Arch[] {
  if (hosts.length === 0) {
    throw new UportError({
      code: 'UPORT_NO_HOSTS',
      category: 'usage',
      message: 'no host is named',
      hint: 'name at least one, such as --host arm64',
    });
  }
  return ARCHES.filter((arch) => hosts.includes(arch));
}

interface Found {
  readonly pins: ReadonlyMap<string, PinnedFile>;
  readonly content: ContentSource;
}

async function readSlices(
  slices: ReadonlyMap<Arch, string>,
  hosts: readonly Arch[],
): Promise<Found> {
  const pins = new Map<string, PinnedFile>();
  const files = new Map<Digest, string>();
  for (const [host, file] of slices) {
    if (!hosts.includes(host)) {
      throw new UportError({
        code: 'UPORT_SLICE_HOST_NOT_BUILT',
        category: 'usage',
        message: `a slice for ${host.name} was given, but the artifact is not made for it`,
        hint: `add --host ${host.name} or leave the slice out`,
        file,
      });
    }
    const pin = await readSlice(file, host);
    pins.set(host.name, pin);
    files.set(pin.digest, path.resolve(file));
  }
  return { pins, content: { locate: (digest) => files.get(digest) } };
}

function shimsOf(
  plan: Plan,
  guest: Arch,
  request: 'all' | readonly string[],
  content: ContentSource,
): Promise<ShimPlan> {
  const { entrypoint, cmd, env, workdir } = plan.image;
  return planShims({
    request,
    guest,
    entries: plan.payload.entries,
    head: (file) => readHead(content, file),
    env,
    workdir,
    entrypoint: [...entrypoint, ...cmd],
  });
}

/** Each host's builds: of the target first, then of the libraries. */
function placeSlices(
  target: BytePath,
  programs: ReadonlyMap<string, PinnedFile>,
  libraries: ReadonlyMap<string, readonly NativeSlice[]>,
): ReadonlyMap<string, readonly NativeSlice[]> {
  return new Map(
    [...programs].map(([host, file]) => [
      host,
      [{ path: target, file }, ...(libraries.get(host) ?? [])],
    ]),
  );
}

function firstOf(sources: readonly ContentSource[]): ContentSource {
  return {
    locate(digest) {
      for (const source of sources) {
        const found = source.locate(digest);
        if (found !== undefined) return found;
      }
      return undefined;
    },
  };
}

async function writePlan(plan: Plan, outDir: string): Promise<void> {
  const file = path.join(outDir, 'plan.json');
  const existing = await stat(file).catch(() => undefined);
  if (existing?.isDirectory()) {
    throw new UportError({
      code: 'UPORT_OUTPUT_IN_THE_WAY',
      category: 'environment',
      message: 'a folder stands where the plan goes',
      hint: 'remove it or choose another -o folder',
      file,
    });
  }
  const temporary = path.join(outDir, `.plan.json.${process.pid}`);
  try {
    await writeFile(temporary, `${JSON.stringify(plan, undefined, 2)}\n`);
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
