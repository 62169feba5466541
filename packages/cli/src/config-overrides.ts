import path from 'node:path';
import type { AppConfig } from '@uport/core';
import { EMIT_FLAGS } from './emit/index.ts';
import { words } from './image-config-flags.ts';
import { pairOf, record } from './pairs.ts';

/** The flags that were really given, by name. */
export type GivenFlags = Readonly<Record<string, unknown>>;

/** Of each emitter's own flags: the name of the setting in a configuration. */
const SETTINGS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  oci: {
    compression: 'compression',
    tag: 'tags',
    archive: 'archive',
    sbom: 'sbom',
    'compression-level': 'level',
  },
  universal: { 'per-host': 'perHost', bin: 'bins', 'compression-level': 'level' },
  fatelf: { bin: 'bins', 'compression-level': 'level' },
  nix: {
    pname: 'pname',
    'version-string': 'version',
    description: 'description',
    license: 'licenses',
    url: 'url',
    bin: 'bins',
    'compression-level': 'level',
  },
};

/** Flags that a configuration has no place for. */
export const NOT_WITH_CONFIG: readonly string[] = [
  'shim',
  'emulator-preparation',
  'from-platform',
  'from-debian',
  'debian-package',
  'opened-libraries',
  'debian-mirror',
  'debian-keyring',
  'debian-archived',
  'cache',
  'cache-key',
];

/** What the given flags say in place of a configuration. */
export function configOverrides(given: GivenFlags, app: AppConfig): Partial<AppConfig> {
  const text = (name: string) => given[name] as string | undefined;
  const list = (name: string) => given[name] as string[] | undefined;
  const files = (name: string) => list(name)?.map((file) => path.resolve(file));
  const image = defined({
    cmd: text('cmd') === undefined ? undefined : words(text('cmd') as string, '--cmd'),
    env: list('env') && record(list('env') as string[], '--env'),
    workdir: text('workdir'),
    user: text('user'),
    labels: list('label') && record(list('label') as string[], '--label'),
    expose: list('expose'),
    volumes: list('volume'),
    stopSignal: text('stop-signal'),
    annotations: list('annotation') && record(list('annotation') as string[], '--annotation'),
  });
  const guest = defined({
    env: list('guest-env') && record(list('guest-env') as string[], '--guest-env'),
    unset: list('unset'),
    lib: files('lib'),
    preload: files('preload'),
    cpu: text('cpu'),
  });
  const store = text('nix-store');
  const nix = defined({
    store: store === undefined || store.includes('://') ? store : path.resolve(store),
    trustedKeys: list('nix-trusted-key'),
    references: text('store-references'),
    storePrefix: text('store-prefix'),
  });
  const entrypoint = text('entrypoint');
  return defined({
    name: text('name'),
    entrypoint: entrypoint === undefined ? undefined : words(entrypoint, '--entrypoint'),
    hosts: (given.host as { name: string }[] | undefined)?.map(({ name }) => name),
    emulators: (given.emulators as { name: string }[] | undefined)?.map(({ name }) => name),
    emulator: list('emulator'),
    slices:
      list('slice') &&
      Object.fromEntries(
        (list('slice') as string[]).map((pair) => {
          const [cpu, file] = pairOf(pair, '--slice');
          return [cpu, path.resolve(file)];
        }),
      ),
    emit: emitOverride(given, app),
    image: Object.keys(image).length > 0 ? image : undefined,
    guest: Object.keys(guest).length > 0 ? guest : undefined,
    nix: Object.keys(nix).length > 0 ? nix : undefined,
    outDir: text('out') === undefined ? undefined : path.resolve(text('out') as string),
    sourceDateEpoch: given['source-date-epoch'] as number | undefined,
    push: list('push'),
  }) as Partial<AppConfig>;
}

function emitOverride(given: GivenFlags, app: AppConfig): AppConfig['emit'] {
  const configured = settingsOf(app.emit ?? ['oci']);
  const chosen = (given.emit as string[] | undefined) ?? [...configured.keys()];
  const changed = Object.values(SETTINGS).some((names) =>
    Object.keys(names).some((flag) => flag in given),
  );
  if (given.emit === undefined && !changed) return undefined;
  return Object.fromEntries(
    EMIT_FLAGS.filter(({ name }) => chosen.includes(name)).map(({ name }) => {
      const own: Record<string, unknown> = { ...configured.get(name) };
      for (const [flag, setting] of Object.entries(SETTINGS[name] ?? {})) {
        if (!(flag in given)) continue;
        own[setting] = flag === 'bin' ? record(given.bin as string[], '--bin') : given[flag];
      }
      return [name, own];
    }),
  ) as AppConfig['emit'];
}

function settingsOf(emit: NonNullable<AppConfig['emit']>): ReadonlyMap<string, object> {
  if (Array.isArray(emit)) return new Map(emit.map((name) => [name, {}]));
  return new Map(
    Object.entries(emit)
      .filter(([, own]) => own !== undefined)
      .map(([name, own]) => [name, own === true ? {} : (own as object)]),
  );
}

function defined<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(value).filter(([, each]) => each !== undefined),
  ) as Partial<T>;
}
