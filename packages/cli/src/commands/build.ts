import { existsSync } from 'node:fs';
import { Args, Flags, type Interfaces } from '@oclif/core';
import {
  type Arch,
  type Artifact,
  type BuildImageResult,
  type BuildResult,
  build,
  buildFromImage,
  buildImage,
  buildRootfs,
  describeChange,
  type ImageInput,
  type PinnedEmulator,
  type PinnedTranslator,
  type PushResult,
  parseArch,
  parseEmulatorChoice,
  parseImageInput,
  parseReference,
  platformName,
  pushLayout,
  type ReferenceReport,
  Store,
} from '@uport/core';
import type { LoadedConfig } from '@uport/core/config';
import { BaseCommand } from '../base-command.ts';
import { configFlag, frozenFlag, noConfig, readConfig } from '../config-flags.ts';
import { configOverrides, NOT_WITH_CONFIG } from '../config-overrides.ts';
import { describeImage } from '../describe-image.ts';
import { describePush } from '../describe-push.ts';
import {
  EMIT_FLAGS,
  nixFlags,
  ociFlags,
  refuseOthersFlags,
  universalFlags,
} from '../emit/index.ts';

import { guestFlags, guestOptions } from '../guest-flags.ts';
import { hostFlag } from '../host-flag.ts';
import { imageConfigFlags, imageSettings, words } from '../image-config-flags.ts';
import { imageFlags, refuseImageFlags, shimRequest } from '../image-flags.ts';
import { librariesOf, libraryFlags } from '../library-flags.ts';
import { nixImport, nixImportFlags } from '../nix-import-flags.ts';
import { pairOf, usage } from '../pairs.ts';
import { humanSize } from '../progress-bar.ts';
import {
  emulatorFlag,
  emulatorsFlag,
  preparationFlag,
  providersOf,
  pushFlags,
} from '../shared-flags.ts';

const NOT_FOR_ROOTS = [
  'config',
  'nix-store',
  'nix-trusted-key',
  'store-references',
  'store-prefix',
] as const;

export default class Build extends BaseCommand {
  static override summary = 'Make artifacts that run on every CPU from a program for one CPU.';

  static override description =
    'The input is an ELF program, a folder with the program named by --entrypoint, or a Nix store path, which comes with its closure (also nix-export:FILE, made by nix-store --export), or a NAR (also .nar.xz, .nar.zst, .nar.gz). Needs no root, no container engine and no emulation.';

  static override examples = [
    '<%= config.bin %> build ./nqueens --emit oci -o dist',
    '<%= config.bin %> build ./vendor-app --entrypoint bin/app --emit oci --host amd64,arm64 -o dist',
    '<%= config.bin %> build ./app --emit oci -o dist --push registry.example/team/app:1.0',
    '<%= config.bin %> build docker://registry.example/app:1.2 --push registry.example/app:1.2-multi',
    '<%= config.bin %> build ./nqueens --emit universal,fatelf -o dist',
    '<%= config.bin %> build ./app --emit nix --version-string 1.2 --license unfree -o dist',
    '<%= config.bin %> build ./result --emit oci,universal -o dist',
    '<%= config.bin %> build --rootfs root.tar --entrypoint /usr/bin/python3 --emit oci -o dist',
    '<%= config.bin %> build ./app-riscv64 --slice amd64=./app-amd64 --emit oci -o dist',
  ];

  static override args = {
    input: Args.string({
      ignoreStdin: true,
      description:
        'an ELF program, a folder, a Nix store path, a NAR, or an image: oci:DIR[:TAG], docker://REF, docker-archive:FILE; or an app of the configuration. Default: what uport.config says',
    }),
  };

  static override flags = {
    rootfs: Flags.string({
      summary:
        'A whole root file system, in place of a program: a folder, or a tar (also .gz, .xz, .zst). --entrypoint names what starts.',
      helpValue: 'DIR|TAR',
    }),
    emit: Flags.option({
      summary: 'What to make.',
      options: EMIT_FLAGS.map((entry) => entry.name),
      multiple: true,
      multipleNonGreedy: true,
      delimiter: ',',
      default: ['oci'],
    })(),
    out: Flags.string({
      char: 'o',
      summary: 'The folder to write to.',
      default: 'dist',
      helpValue: 'DIR',
    }),
    host: hostFlag(),
    slice: Flags.string({
      summary: 'A native build of the program for one host.',
      helpValue: 'CPU=FILE',
      multiple: true,
      multipleNonGreedy: true,
    }),
    emulators: emulatorsFlag(),
    emulator: emulatorFlag(),
    ...libraryFlags,
    'emulator-preparation': preparationFlag(),
    'compression-level': Flags.integer({
      summary: 'How hard to compress: gzip 1 to 9, zstd 1 to 19. Default: what fits the artifact.',
      min: 1,
      max: 19,
      helpValue: 'N',
    }),
    name: Flags.string({ summary: "The app's name. Default: the input's file name." }),
    'source-date-epoch': Flags.integer({
      summary: 'The time written into artifacts, in seconds since 1970.',
      env: 'SOURCE_DATE_EPOCH',
      default: 0,
      min: 0,
      helpValue: 'SECONDS',
    }),
    ...imageConfigFlags,
    ...guestFlags,
    ...imageFlags,
    ...ociFlags.flags,
    ...universalFlags.flags,
    ...nixFlags.flags,
    ...nixImportFlags,
    push: Flags.string({
      summary: 'Push the image there.',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'REGISTRY/REPO:TAG',
      helpGroup: 'PUSH',
    }),
    ...pushFlags,
    config: configFlag(),
    frozen: frozenFlag,
  };

  async run(): Promise<unknown> {
    const { args, flags, metadata } = await this.parse(Build);
    const config =
      flags.rootfs === undefined ? await this.#configFor(args.input, flags) : undefined;
    if (config) return this.#buildConfig(config, args.input, flags, metadata.flags);
    const input = inputOf(args.input, flags.rootfs);
    const strange = [
      ...(flags.rootfs === undefined ? [] : NOT_FOR_ROOTS),
      ...(flags.rootfs === undefined && parseImageInput(input) ? [] : (['from-platform'] as const)),
    ].filter((name) => flags[name] !== undefined);
    if (strange.length > 0) {
      throw usage(
        `${strange.map((name) => `--${name}`).join(', ')} cannot be used with this input`,
        'leave it out',
      );
    }
    if (flags.frozen) throw usage('--frozen needs a configuration', 'run uport init first');
    if (flags.push && !flags.emit.includes(ociFlags.name)) {
      throw usage('--push needs --emit oci', 'add oci to --emit');
    }
    const shim = shimRequest(flags.shim);
    if (shim && !flags.emit.includes(ociFlags.name)) {
      throw usage('--shim is for images', 'add oci to --emit');
    }
    refuseOthersFlags(flags.emit, flags, metadata.flags);
    // Before the work, not after it.
    for (const reference of flags.push ?? []) parseReference(reference);
    const image = flags.rootfs === undefined ? parseImageInput(input) : undefined;
    if (image) {
      const made = flags.emit.includes(ociFlags.name);
      refuseImageFlags(flags, metadata.flags, made);
      // Without -o a pushed image needs nothing on this machine.
      const local = !flags.push || metadata.flags.out?.setFromDefault !== true;
      const built = made ? await this.#buildImage(image, flags, local) : undefined;
      const others = flags.emit.filter((name) => name !== ociFlags.name);
      const more = others.length > 0 ? await this.#buildFromImage(image, flags, others) : undefined;
      return {
        ...more,
        ...built,
        artifacts: [...(built?.artifacts ?? []), ...(more?.artifacts ?? [])],
      };
    }
    const entrypoint =
      flags.entrypoint === undefined ? undefined : words(flags.entrypoint, '--entrypoint');
    const store = await Store.open();
    const result = await (flags.rootfs === undefined ? build : buildRootfs)({
      input,
      outDir: flags.out,
      emit: EMIT_FLAGS.filter((entry) => flags.emit.includes(entry.name)).map((entry) =>
        entry.request(flags),
      ),
      ...(entrypoint && { entrypoint }),
      nix: nixImport(flags),
      ...(flags.name !== undefined && { name: flags.name }),
      ...(flags.host && { hosts: flags.host }),
      ...(flags.slice && { slices: slices(flags.slice) }),
      ...(shim && { shim }),
      ...providersOf(flags),
      ...(flags.emulator && { emulators: flags.emulator.map(parseEmulatorChoice) }),
      image: imageSettings(flags),
      guest: guestOptions(flags),
      ...librariesOf(flags),
      sourceDateEpoch: flags['source-date-epoch'],
      store,
      progress: this.progress,
      signal: this.signal,
      warn: this.tell,
    });
    const pushed = await this.#push(flags.push ?? [], result.artifacts, flags);
    this.#report(result);
    for (const push of pushed) {
      this.log(describePush(push));
    }
    const { artifacts, plan, storeReferences } = result;
    return {
      artifacts,
      hosts: plan.hosts,
      app: plan.app,
      ...(storeReferences && { storeReferences }),
      pushed,
    };
  }

  /** A configuration is used when nothing else is named, or one of its apps is. */
  async #configFor(
    input: string | undefined,
    flags: Interfaces.InferredFlags<typeof Build.flags>,
  ): Promise<LoadedConfig | undefined> {
    if (input === undefined || flags.config !== undefined) return readConfig(flags.config);
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(input) || existsSync(input)) return undefined;
    const config = await readConfig(undefined);
    return config?.apps.some(({ name }) => name === input) ? config : undefined;
  }

  async #buildConfig(
    config: LoadedConfig,
    app: string | undefined,
    flags: Interfaces.InferredFlags<typeof Build.flags>,
    metadata: Readonly<Record<string, { readonly setFromDefault?: boolean } | undefined>>,
  ): Promise<unknown> {
    const given = Object.fromEntries(
      Object.entries(flags).filter(
        ([name, value]) => value !== undefined && metadata[name]?.setFromDefault !== true,
      ),
    );
    const wrong = NOT_WITH_CONFIG.filter((name) => name in given);
    if (wrong.length > 0) {
      throw usage(
        `${wrong.map((name) => `--${name}`).join(', ')} cannot be used with a configuration`,
        'leave it out, or name the input',
      );
    }
    const chosen = config.apps.filter(({ name }) => app === undefined || name === app);
    for (const { config: own } of chosen) {
      const { push = [], emit = ['oci'] } = { ...own, ...configOverrides(given, own) };
      const emitters = Array.isArray(emit) ? emit : Object.keys(emit);
      if (push.length > 0 && !emitters.includes(ociFlags.name)) {
        throw usage('--push needs --emit oci', 'add oci to emit');
      }
      refuseOthersFlags(emitters, flags, metadata);
      for (const reference of push) parseReference(reference);
    }
    // With it comes the reader of schemas, which other builds do without.
    const { buildConfig } = await import('@uport/core/config');
    const { apps, changes, newLock } = await buildConfig({
      config,
      ...(app !== undefined && { apps: [app] }),
      overrides: (each) => configOverrides(given, each),
      frozen: flags.frozen,
      insecure: flags.insecure,
      ...(flags['mount-from'] && { mountFrom: flags['mount-from'] }),
      store: await Store.open(),
      progress: this.progress,
      signal: this.signal,
      warn: this.tell,
    });
    const pushed = [];
    for (const each of apps) {
      if (chosen.length > 1 || config.apps.length > 1) this.log(`${each.name}:`);
      const { planned, image, artifacts } = each;
      pushed.push(...each.pushed);
      if (image) for (const line of describeImage(image)) this.log(line);
      else pushed.push(...(await this.#push(each.config.push ?? [], artifacts, flags)));
      if (planned) this.#report({ ...planned, artifacts });
      else this.#list(artifacts);
    }
    for (const push of pushed) this.log(describePush(push));
    if (newLock) this.tell('uport.lock written: keep it in version control');
    else for (const change of changes) this.tell(`uport.lock: ${describeChange(change)}`);
    return {
      apps: apps.map(({ name, artifacts, planned, image }) => ({
        name,
        artifacts,
        ...(planned && { hosts: planned.plan.hosts, app: planned.plan.app }),
        ...(image && { image: imageJson(image) }),
      })),
      pushed,
      lockChanges: changes,
    };
  }

  async #push(
    references: readonly string[],
    artifacts: readonly Artifact[],
    flags: { readonly insecure: boolean; readonly 'mount-from'?: string[] | undefined },
  ): Promise<readonly PushResult[]> {
    const layout = artifacts.find((artifact) => artifact.emitter === ociFlags.name);
    const pushed: PushResult[] = [];
    for (const reference of references) {
      if (layout === undefined) break;
      pushed.push(
        await pushLayout({
          layout: layout.path,
          reference,
          insecure: flags.insecure,
          ...(flags['mount-from'] && { mountFrom: flags['mount-from'] }),
          progress: this.progress,
          signal: this.signal,
        }),
      );
    }
    return pushed;
  }

  /** Other artifacts from what the image holds. */
  async #buildFromImage(
    input: ImageInput,
    flags: Interfaces.InferredFlags<typeof Build.flags>,
    emitters: readonly string[],
  ) {
    const entrypoint =
      flags.entrypoint === undefined ? undefined : words(flags.entrypoint, '--entrypoint');
    const result = await buildFromImage({
      input,
      outDir: flags.out,
      emit: EMIT_FLAGS.filter(({ name }) => emitters.includes(name)).map((entry) =>
        entry.request(flags),
      ),
      ...(entrypoint && { entrypoint }),
      ...(flags.name !== undefined && { name: flags.name }),
      ...(flags.host && { hosts: flags.host }),
      ...(flags['from-platform'] && { fromPlatform: flags['from-platform'] }),
      ...providersOf(flags),
      insecure: flags.insecure,
      sourceDateEpoch: flags['source-date-epoch'],
      store: await Store.open(),
      progress: this.progress,
      signal: this.signal,
      warn: this.tell,
    });
    this.#report(result);
    return { artifacts: result.artifacts, hosts: result.plan.hosts, app: result.plan.app };
  }

  async #buildImage(
    input: ImageInput,
    flags: Interfaces.InferredFlags<typeof Build.flags>,
    local: boolean,
  ) {
    const shim = shimRequest(flags.shim);
    const result = await buildImage({
      input,
      ...(local && { outDir: flags.out }),
      ...(flags.name !== undefined && { name: flags.name }),
      ...(flags.host && { hosts: flags.host }),
      ...(shim && { shim }),
      ...(flags['from-platform'] && { fromPlatform: flags['from-platform'] }),
      ...providersOf(flags),
      sbom: flags.sbom,
      tags: flags.tag,
      push: flags.push ?? [],
      insecure: flags.insecure,
      ...(flags['mount-from'] && { mountFrom: flags['mount-from'] }),
      sourceDateEpoch: flags['source-date-epoch'],
      store: await Store.open(),
      progress: this.progress,
      signal: this.signal,
      warn: this.tell,
    });
    for (const line of describeImage(result)) this.log(line);
    this.#list(result.artifacts);
    for (const push of result.pushed) this.log(describePush(push));
    const { artifacts, pushed } = result;
    return { image: imageJson(result), artifacts, pushed };
  }

  #report({ plan, matrix, artifacts, storeReferences }: BuildResult): void {
    if (storeReferences) this.log(describeMove(storeReferences));
    for (const [index, row] of matrix.entries()) {
      const host = plan.hosts[index];
      const emulator =
        host && 'emulator' in host
          ? [host.translator, host.emulator].flatMap(emulatorName).join(', else ')
          : row.reason;
      const platform = row.host.oci ? platformName(row.host.oci) : row.host.name;
      this.log(`${platform.padEnd(16)} ${row.way.padEnd(11)} ${emulator}`);
    }
    this.#list(artifacts);
  }

  #list(artifacts: readonly Artifact[]): void {
    for (const artifact of artifacts) {
      this.log(`${artifact.path}  ${artifact.digest}  ${humanSize(artifact.size)}`);
      const hint = EMIT_FLAGS.find(({ name }) => name === artifact.emitter)?.hint?.(artifact);
      if (hint !== undefined) this.log(`  ${hint}`);
    }
  }
}

function imageJson({ plan, digest }: Pick<BuildImageResult, 'plan' | 'digest'>) {
  return { name: plan.name, digest, kept: plan.kept, added: plan.added };
}

function emulatorName(each: PinnedEmulator | PinnedTranslator | undefined): readonly string[] {
  if (each === undefined) return [];
  return [
    each.kind === 'qemu' ? `qemu-${each.guest} ${each.version}` : `${each.kind} ${each.version}`,
  ];
}

function describeMove({ prefix, relative, links, absolute }: ReferenceReport): string {
  return `store paths now lie in ${prefix}: ${absolute} references name it, ${relative} search paths and ${links} links are relative`;
}

function slices(pairs: readonly string[]): ReadonlyMap<Arch, string> {
  return new Map(
    pairs.map((pair) => {
      const [cpu, file] = pairOf(pair, '--slice');
      return [parseArch(cpu), file];
    }),
  );
}

function inputOf(input: string | undefined, rootfs: string | undefined): string {
  if (input !== undefined && rootfs !== undefined) {
    throw usage('a root file system takes the place of the input', 'leave one of the two out');
  }
  const given = input ?? rootfs;
  if (given === undefined) throw noConfig('no input is named');
  return given;
}
