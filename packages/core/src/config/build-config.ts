// Builds of a configuration: every app with the lock beside the configuration.
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { emitPlan, type PlannedApp, planApp } from '../build.ts';
import type { Artifact } from '../emitters/emitter.ts';
import { parseImageInput } from '../image/image-input.ts';
import type { ImagePlan } from '../image/image-plan.ts';
import {
  emitImage,
  isPlainSource,
  type PlannedImage,
  planImage,
  pushImages,
} from '../image/plan-image.ts';
import {
  compareLocks,
  describeChange,
  EMPTY_LOCK,
  encodeLock,
  LOCK_NAME,
  type Lock,
  type LockChange,
  type LockedPackage,
  lockOfHosts,
  lockOfPlan,
  mergeLocks,
  parseLock,
} from '../lock/lock.ts';
import { lockedProvider } from '../lock/locked-provider.ts';
import type { Digest } from '../model/digest.ts';
import type { Progress } from '../model/progress.ts';
import type { PinnedPackage } from '../plan/plan.ts';
import { parseEmulatorProvider } from '../qemu/providers.ts';
import type { PushResult } from '../registry/push.ts';
import type { Store } from '../store/store.ts';
import { systemError } from '../system-error.ts';
import { appOptions } from './app-options.ts';
import { imageInputOf, imagePlanOptions, lockedInput, ociSettings } from './image-app.ts';
import type { LoadedApp, LoadedConfig } from './load-config.ts';
import type { AppConfig } from './schema.ts';

export interface ConfigWork {
  readonly config: LoadedConfig;
  /** By name; none means all. */
  readonly apps?: readonly string[];
  /** What the caller says in place of the configuration. */
  readonly overrides?: (app: AppConfig) => Partial<AppConfig>;
  readonly store: Store;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Plain HTTP to registries of images. */
  readonly insecure?: boolean;
  readonly warn?: (message: string) => void;
}

export interface BuildConfigOptions extends ConfigWork {
  /** Fail when anything is not as the lock says, and leave the lock as it is. */
  readonly frozen?: boolean;
  /** Repositories of the same registry that may hold an image's blobs already. */
  readonly mountFrom?: readonly string[];
}

export interface BuiltApp {
  readonly name: string;
  readonly config: AppConfig;
  /** Undefined where nothing but an existing image was extended. */
  readonly planned: PlannedApp | undefined;
  /** An existing image with its missing platforms. */
  readonly image?: { readonly plan: ImagePlan; readonly digest: Digest };
  readonly artifacts: readonly Artifact[];
  /** Existing images are pushed with the build, so that layers need not come by here. */
  readonly pushed: readonly PushResult[];
}

export interface BuiltConfig {
  readonly apps: readonly BuiltApp[];
  /** How the lock was changed. */
  readonly changes: readonly LockChange[];
  /** There was none before. */
  readonly newLock: boolean;
}

/**
 * Builds the apps of a configuration. The lock decides emulators and packages; what it does not
 * have is found and added to it.
 *
 * @throws UportError UPORT_LOCK_*, UPORT_CONFIG_APP_UNKNOWN, and what a build throws
 */
export async function buildConfig(options: BuildConfigOptions): Promise<BuiltConfig> {
  const { config, frozen = false } = options;
  const lock = await readLock(config);
  if (frozen && lock === undefined) throw noLock(config);
  return withPlans(options, lock ?? EMPTY_LOCK, frozen, async (planned) => {
    const { next, changes } = nextLock(lock ?? EMPTY_LOCK, planned, isWhole(options));
    if (frozen && changes.length > 0) throw drift(config, changes);
    if (!frozen) await writeLock(config, next);
    const apps: BuiltApp[] = [];
    for (const each of planned) apps.push(await emitApp(each, options));
    return { apps, changes, newLock: lock === undefined };
  });
}

async function emitApp(each: Planned, options: BuildConfigOptions): Promise<BuiltApp> {
  const { config, store, progress, signal, insecure = false, mountFrom } = options;
  const { name, several, planned, image } = each;
  const outDir = path.resolve(config.folder, outDirOf(each));
  const where = { outDir, store, progress, signal };
  if (image === undefined) {
    const app = planned as PlannedApp;
    const artifacts = await emitPlan(app, { emit: each.options.emit, ...where });
    const shown = several ? name : app.plan.app.name;
    return { name: shown, config: each.config, planned: app, artifacts, pushed: [] };
  }
  const { push = [] } = each.config;
  const others = each.options.emit.filter(({ emitter }) => emitter !== 'oci');
  // A pushed image needs nothing on this machine, unless a folder is named.
  const kept = push.length === 0 || each.config.outDir !== undefined;
  const { extended } = image;
  const artifacts = await emitImage(kept ? image : { ...image, extended: undefined }, {
    ...where,
    emit: others,
    tags: ociSettings(each.config)?.tags ?? ['latest'],
  });
  const pushed = extended
    ? await pushImages(extended, {
        references: push,
        insecure,
        progress,
        signal,
        ...(mountFrom && { mountFrom }),
      })
    : [];
  return {
    name: several ? name : (extended?.plan.name ?? planned?.plan.app.name ?? name),
    config: each.config,
    planned,
    ...(extended && { image: { plan: extended.plan, digest: extended.root.digest } }),
    artifacts,
    pushed,
  };
}

/**
 * Finds anew what the lock pins, and writes it.
 *
 * @param names of emulators (`qemu-x86_64`, `x86_64`), of packages, or of apps for their packages; none means everything
 * @throws UportError UPORT_LOCK_NAME_UNKNOWN
 */
export async function updateLock(
  work: Omit<ConfigWork, 'apps' | 'overrides'>,
  names: readonly string[],
): Promise<readonly LockChange[]> {
  const old = (await readLock(work.config)) ?? EMPTY_LOCK;
  const kept = names.length === 0 ? EMPTY_LOCK : forget(old, names, work.config);
  return withPlans(work, kept, false, async (planned) => {
    const { next } = nextLock(EMPTY_LOCK, planned, true);
    await writeLock(work.config, next);
    return compareLocks(old, next);
  });
}

/** What a lock calls the app of a configuration that has one only. */
const UNNAMED = 'app';

interface Planned {
  readonly name: string;
  readonly several: boolean;
  readonly config: AppConfig;
  readonly options: ReturnType<typeof appOptions>;
  readonly planned: PlannedApp | undefined;
  readonly image: PlannedImage | undefined;
}

/** Plans all apps; what their images hold is there until `use` ends. */
async function withPlans<T>(
  work: ConfigWork,
  lock: Lock,
  frozen: boolean,
  use: (planned: readonly Planned[]) => Promise<T>,
): Promise<T> {
  const planned: Planned[] = [];
  try {
    for (const app of chooseApps(work.config, work.apps)) {
      planned.push(await planOne(work, app, lock, frozen));
    }
    return await use(planned);
  } finally {
    for (const { image } of planned) await image?.close();
  }
}

async function planOne(
  work: ConfigWork,
  app: LoadedApp,
  lock: Lock,
  frozen: boolean,
): Promise<Planned> {
  const { config, store, progress, signal, insecure = false } = work;
  const merged = mergeApp(app.config, work.overrides?.(app.config) ?? {});
  const options = appOptions(merged, config.folder);
  const name = app.name ?? UNNAMED;
  const sources = merged.emulators ?? ['debian'];
  const providers = options.providers ?? [parseEmulatorProvider('debian')];
  const shared = {
    providers: [lockedProvider(providers, { lock, sources })],
    store,
    progress,
    signal,
    ...(work.warn && { warn: work.warn }),
  };
  const whole = {
    name,
    several: config.apps.length > 1 || app.name !== undefined,
    config: merged,
    options,
  };
  const input = imageInputOf(merged, config.folder);
  if (input) {
    const image = await planImage({
      ...imagePlanOptions(merged, options, input),
      ...shared,
      input: lockedInput(merged, input, lock.images.get(name)),
      insecure: isPlainSource(input, insecure, merged.push ?? []),
    });
    return { ...whole, planned: image.content, image };
  }
  const locked = lock.packages.get(name) ?? new Map<string, LockedPackage>();
  const planned = await planApp({
    ...options,
    ...(options.libraries && {
      libraries: {
        ...options.libraries,
        locked: { packages: [...locked].map(pinOfLocked), only: frozen },
      },
    }),
    ...shared,
  });
  return { ...whole, planned, image: undefined };
}

function pinOfLocked([key, locked]: readonly [string, LockedPackage]): PinnedPackage {
  const colon = key.lastIndexOf(':');
  return { ...locked, name: key.slice(0, colon), architecture: key.slice(colon + 1) };
}

function chooseApps(
  config: LoadedConfig,
  names: readonly string[] | undefined,
): readonly LoadedApp[] {
  if (names === undefined || names.length === 0) return config.apps;
  return names.map((name) => {
    const app = config.apps.find((each) => each.name === name);
    if (app) return app;
    throw new UportError({
      code: 'UPORT_CONFIG_APP_UNKNOWN',
      category: 'usage',
      message: `the configuration has no app ${JSON.stringify(name)}`,
      hint: `it has: ${config.apps.map((each) => each.name ?? '(one without a name)').join(', ')}`,
      file: config.file,
    });
  });
}

/** Whether the work needs all that the configuration needs. */
function isWhole({ config, apps = [], overrides }: ConfigWork): boolean {
  return (
    apps.length === 0 &&
    config.apps.every(({ config: app }) => {
      const { hosts, emulators, emulator, slices, input, entrypoint, guest, nix, emit } =
        overrides?.(app) ?? {};
      // What an image gets and what is made of its content need not have the same parts.
      const fewer = parseImageInput(app.input) ? emit : undefined;
      const given = [hosts, emulators, emulator, slices, input, entrypoint, guest, nix, fewer];
      return given.every((each) => each === undefined);
    })
  );
}

function outDirOf({ config, several, name }: Planned): string {
  return config.outDir ?? (several ? `dist/${name}` : 'dist');
}

/**
 * What the caller says comes before what the configuration says; lists and maps inside `image`, `guest`
 * and `nix` are taken whole.
 */
export function mergeApp(app: AppConfig, overrides: Partial<AppConfig>): AppConfig {
  return {
    ...app,
    ...overrides,
    ...((app.image || overrides.image) && { image: { ...app.image, ...overrides.image } }),
    ...((app.guest || overrides.guest) && { guest: { ...app.guest, ...overrides.guest } }),
    ...((app.nix || overrides.nix) && { nix: { ...app.nix, ...overrides.nix } }),
  };
}

function nextLock(
  old: Lock,
  planned: readonly Planned[],
  whole: boolean,
): { readonly next: Lock; readonly changes: readonly LockChange[] } {
  const used = mergeLocks(
    planned.flatMap(({ planned: app, image, name, config }) => {
      const sources = config.emulators ?? ['debian'];
      const { extended, root } = image ?? {};
      return [
        ...(app ? [lockOfPlan(app.plan, name, sources)] : []),
        ...(extended
          ? [
              lockOfHosts(
                extended.plan.added.map(({ host }) => host),
                sources,
              ),
            ]
          : []),
        ...(root
          ? [{ ...EMPTY_LOCK, images: new Map([[name, { source: config.input, ...root }]]) }]
          : []),
      ];
    }),
  );
  // A part of the configuration says nothing of what the rest needs.
  const next = whole ? used : mergeLocks([old, used]);
  return { next, changes: compareLocks(old, next) };
}

function forget(lock: Lock, names: readonly string[], config: LoadedConfig): Lock {
  // An app may have no packages in the lock.
  const apps = config.apps.map(({ name }) => name ?? UNNAMED);
  const known = new Set(names.filter((name) => apps.includes(name)));
  const keep = (...own: readonly string[]) => {
    const named = own.filter((each) => names.includes(each));
    for (const each of named) known.add(each);
    return named.length === 0;
  };
  const emulators = new Map(
    [...lock.emulators].filter(([key, { kind }]) => {
      const guest = key.split(' ')[0] as string;
      return keep(guest, `${kind}-${guest}`, kind);
    }),
  );
  const translators = new Map(
    [...lock.translators].filter(([key, { kind }]) => {
      const guest = key.split(' ')[2] as string;
      return keep(guest, `${kind}-${guest}`, kind);
    }),
  );
  const packages = new Map(
    [...lock.packages]
      .filter(([app]) => keep(app))
      .map(([app, list]) => {
        const kept = [...list].filter(([key]) => keep(key, key.split(':')[0] as string));
        return [app, new Map(kept)] as const;
      }),
  );
  const images = new Map([...lock.images].filter(([app]) => keep(app)));
  const unknown = names.filter((name) => !known.has(name));
  if (unknown.length === 0) return { ...lock, emulators, translators, packages, images };
  throw new UportError({
    code: 'UPORT_LOCK_NAME_UNKNOWN',
    category: 'usage',
    message: `the lock has no ${unknown.join(', ')}`,
    hint: 'name an emulator (qemu-x86_64), a package or an app; without a name everything is updated',
  });
}

/** @throws UportError UPORT_LOCK_INVALID */
async function readLock(config: LoadedConfig): Promise<Lock | undefined> {
  const file = path.join(config.folder, LOCK_NAME);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw systemError(error, file);
  }
  try {
    return parseLock(text);
  } catch (error) {
    throw error instanceof UportError ? error.inFile(file) : error;
  }
}

async function writeLock(config: LoadedConfig, lock: Lock): Promise<void> {
  const file = path.join(config.folder, LOCK_NAME);
  const text = encodeLock(lock);
  if ((await readFile(file, 'utf8').catch(() => undefined)) === text) return;
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    await writeFile(temporary, text);
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw systemError(error, file);
  }
}

function noLock({ folder }: LoadedConfig): UportError {
  return new UportError({
    code: 'UPORT_LOCK_MISSING',
    category: 'usage',
    message: 'there is no lock to keep to',
    hint: `run uport build without --frozen once and keep ${LOCK_NAME} in version control`,
    file: path.join(folder, LOCK_NAME),
  });
}

function drift({ folder }: LoadedConfig, changes: readonly LockChange[]): UportError {
  const shown = changes.slice(0, 20).map(describeChange);
  const more = changes.length > shown.length ? `; and ${changes.length - shown.length} more` : '';
  return new UportError({
    code: 'UPORT_LOCK_DRIFT',
    category: 'validation',
    message: `this build is not the locked one: ${shown.join('; ')}${more}`,
    hint: 'put back what changed, or run uport update and look at what it changes',
    file: path.join(folder, LOCK_NAME),
  });
}
