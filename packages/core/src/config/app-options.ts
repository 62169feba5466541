// From an app of a configuration to the options of a build.
import path from 'node:path';
import type { BuildOptions } from '../build.ts';
import type { EmitRequest } from '../emitters/emitter.ts';
import { fatelf, nixPackage, oci, universal } from '../emitters/index.ts';
import { parseArch } from '../model/arch.ts';
import type { NixImportOptions } from '../nix-closure/load-nix-app.ts';
import { parseEmulatorProvider } from '../qemu/providers.ts';
import { parseEmulatorChoice } from '../translators/rules.ts';
import type { AppConfig } from './schema.ts';

/** What a configuration says of a build; the rest is the caller's. */
export type ConfiguredOptions = Omit<
  BuildOptions,
  'store' | 'progress' | 'signal' | 'warn' | 'outDir'
>;

type Words = string | readonly string[];

/**
 * @param folder what the configuration's relative paths are relative to
 * @throws UportError for CPUs and sources of emulators that there are not
 */
export function appOptions(app: AppConfig, folder: string): ConfiguredOptions {
  const at = (file: string) => path.resolve(folder, file);
  const { image = {}, guest = {} } = app;
  const input = /^[a-z][a-z-]*:/.test(app.input) ? app.input : at(app.input);
  return {
    input,
    emit: emitRequests(app),
    ...(app.name !== undefined && { name: app.name }),
    ...(app.entrypoint !== undefined && { entrypoint: listOf(app.entrypoint) }),
    ...(app.hosts && { hosts: app.hosts.map(parseArch) }),
    ...(app.slices && {
      slices: new Map(
        Object.entries(app.slices).map(([cpu, file]) => [parseArch(cpu), at(file)] as const),
      ),
    }),
    ...(app.emulators && { providers: app.emulators.map((spec) => provider(spec, folder)) }),
    ...(app.emulator && { emulators: app.emulator.map(parseEmulatorChoice) }),
    image: {
      ...(image.cmd !== undefined && { cmd: listOf(image.cmd) }),
      ...(image.env && { env: pairs(image.env) }),
      ...(image.workdir !== undefined && { workdir: image.workdir }),
      ...(image.user !== undefined && { user: image.user }),
      ...(image.labels && { labels: image.labels }),
      ...(image.expose && { exposedPorts: image.expose }),
      ...(image.volumes && { volumes: image.volumes }),
      ...(image.stopSignal !== undefined && { stopSignal: image.stopSignal }),
      ...(image.annotations && { annotations: image.annotations }),
    },
    guest: {
      ...(guest.env && { env: pairs(guest.env) }),
      ...(guest.unset && { unset: guest.unset }),
      ...(guest.lib && { libraries: guest.lib.map(at) }),
      ...(guest.cpu !== undefined && { cpu: guest.cpu }),
      ...(guest.preload && { preload: guest.preload.map(at) }),
    },
    ...librariesOf(app, at),
    ...(app.nix && { nix: nixOf(app.nix, at) }),
    ...(app.sourceDateEpoch !== undefined && { sourceDateEpoch: app.sourceDateEpoch }),
  };
}

function librariesOf(
  { fromDebian }: AppConfig,
  at: (file: string) => string,
): Pick<BuildOptions, 'libraries' | 'debian'> {
  if (fromDebian === undefined) return {};
  const { suites, packages, openedLibraries, mirror, keyring, archived } = fromDebian;
  return {
    libraries: {
      suites,
      ...(packages && { packages }),
      ...(openedLibraries !== undefined && { openedLibraries }),
    },
    debian: {
      ...(mirror !== undefined && { mirror }),
      ...(keyring !== undefined && { keyring: at(keyring) }),
      ...(archived !== undefined && { archived }),
    },
  };
}

function nixOf(
  { store, trustedKeys, references, storePrefix }: NonNullable<AppConfig['nix']>,
  at: (file: string) => string,
): NixImportOptions {
  const isAddress = store !== undefined && /^[a-z][a-z0-9+.-]*:\/\//i.test(store);
  return {
    ...(store !== undefined && { store: isAddress ? store : at(store) }),
    ...(trustedKeys && { trustedKeys }),
    ...(references && { references }),
    ...(storePrefix !== undefined && { storePrefix }),
  };
}

/** Settings may be absent; then so are the options. */
type Maker = (settings: never) => EmitRequest;

const MAKERS: Readonly<Record<string, Maker>> = {
  oci: oci as Maker,
  universal: universal as Maker,
  fatelf: fatelf as Maker,
  nix: nixPackage as Maker,
};

function emitRequests({ emit = ['oci'] }: AppConfig): readonly EmitRequest[] {
  const settings = new Map<string, unknown>(
    Array.isArray(emit) ? emit.map((name) => [name, true]) : Object.entries(emit),
  );
  return Object.entries(MAKERS).flatMap(([name, make]) => {
    const own = settings.get(name);
    if (own === undefined) return [];
    return [make((own === true ? {} : own) as never)];
  });
}

function provider(spec: string, folder: string) {
  // What nix: takes out of a cache has its address before a #.
  const [, kind, place] = /^(dir|nix(?!:[^#]*#)):(.+)$/s.exec(spec) ?? [];
  return parseEmulatorProvider(
    place === undefined ? spec : `${kind}:${path.resolve(folder, place)}`,
  );
}

function listOf(words: Words): readonly string[] {
  return typeof words === 'string' ? [words] : words;
}

function pairs(map: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(map).map(([name, value]) => `${name}=${value}`);
}
