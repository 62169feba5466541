import { createHash } from 'node:crypto';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { launcherFor } from '@uport/launcher';
import type { Artifact } from '../emitters/emitter.ts';
import { universal } from '../emitters/index.ts';
import { makeFolder } from '../make-folder.ts';
import { ARCHES, type Arch, DEFAULT_HOSTS } from '../model/arch.ts';
import { textPath } from '../model/byte-path.ts';
import { type Digest, sha256Digest } from '../model/digest.ts';
import { type Progress, silentProgress } from '../model/progress.ts';
import { createNotice, noticedEmulator } from '../notices/create-notice.ts';
import type { HostPlan, PinnedEmulator, Plan } from '../plan/plan.ts';
import { Store } from '../store/index.ts';
import type { EmulatorProvider } from './provider.ts';
import { findEmulators, parseEmulatorProvider } from './providers.ts';

export interface BundleOptions {
  readonly guest: Arch;
  /** Default: amd64, arm64, riscv64, ppc64le and s390x. */
  readonly hosts?: readonly Arch[];
  /** The file to write. */
  readonly file: string;
  /** Default: `debian`. */
  readonly providers?: readonly EmulatorProvider[];
  /** zstd's level, 1 to 19. */
  readonly level?: number;
  readonly store?: Store;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
  readonly warn?: (message: string) => void;
}

export interface BundleResult {
  readonly artifact: Artifact;
  readonly emulators: readonly PinnedEmulator[];
}

/**
 * Makes one file that is QEMU's emulator of a guest on every host: a universal file whose native
 * slices are the emulators. It takes what `qemu-<guest>` takes.
 *
 * @throws UportError UPORT_EMULATOR_NOT_FOUND, UPORT_NO_LAUNCHER and those of providers
 */
export async function bundleQemu(options: BundleOptions): Promise<BundleResult> {
  const { guest } = options;
  const progress = options.progress ?? silentProgress;
  const signal = options.signal ?? new AbortController().signal;
  const store = options.store ?? (await Store.open());
  const wanted = options.hosts ?? DEFAULT_HOSTS;
  const hosts = ARCHES.filter((arch) => wanted.includes(arch));
  const providers = options.providers ?? [parseEmulatorProvider('debian')];
  const found = await findEmulators(guest, hosts, providers, {
    store,
    progress,
    signal,
    warn: options.warn,
  });
  const absent = hosts.filter((host) => !found.has(host.name));
  if (absent.length > 0) {
    throw new UportError({
      code: 'UPORT_EMULATOR_NOT_FOUND',
      category: 'input',
      message: `no provider has a qemu-${guest.name} for ${absent.map(({ name }) => name).join(', ')}`,
      hint: 'leave these hosts out with --host, or name another provider with --emulators',
    });
  }
  const emulators = hosts.map((host) => found.get(host.name) as PinnedEmulator);
  const launchers = new Map<Digest, string>();
  const file = path.resolve(options.file);
  const context = { store, progress, signal, warn: options.warn };
  const noticed = [];
  for (const emulator of emulators) noticed.push(await noticedEmulator(emulator, context));
  const plan = {
    ...bundlePlan(path.basename(file), guest, emulators, launchers),
    notice: await createNotice(noticed, context),
  };
  const outDir = path.dirname(file);
  await makeFolder(outDir);
  const [artifact] = await universal({
    ...(options.level !== undefined && { level: options.level }),
  }).emit(plan, {
    content: {
      locate: (digest) => launchers.get(digest) ?? store.locate(digest) ?? emptyFile(digest),
    },
    store,
    outDir,
    progress,
    signal,
  });
  return { artifact: artifact as Artifact, emulators };
}

/** In the tree the program is an empty file, and each host's slice takes its place. */
function bundlePlan(
  name: string,
  guest: Arch,
  emulators: readonly PinnedEmulator[],
  launchers: Map<Digest, string>,
): Plan {
  const program = textPath(`app/${name}`);
  return {
    version: 1,
    app: { name, guest: guest.name, linkage: 'static', program, target: program },
    payload: {
      entries: [
        { type: 'directory', path: textPath('app'), mode: 0o755 },
        { type: 'file', path: program, mode: 0o755, size: 0, digest: EMPTY },
      ],
    },
    hosts: emulators.map((emulator): HostPlan => {
      const launcher = launcherFor(emulator.host);
      if (launcher === undefined) {
        throw new UportError({
          code: 'UPORT_NO_LAUNCHER',
          category: 'input',
          message: `there is no launcher for ${emulator.host}`,
          hint: 'leave this host out with --host',
        });
      }
      const digest = sha256Digest(launcher.sha256);
      launchers.set(digest, launcher.path);
      return {
        host: emulator.host,
        way: 'native',
        slices: [{ path: program, file: { digest: emulator.digest, size: emulator.size } }],
        launcher: { digest, size: launcher.size },
      };
    }),
    image: {
      entrypoint: [`/${program}`],
      cmd: [],
      env: [],
      workdir: '/',
      labels: {},
      exposedPorts: [],
      volumes: [],
      annotations: {},
    },
    sourceDateEpoch: 0,
  };
}

const EMPTY = sha256Digest(createHash('sha256').digest('hex'));

function emptyFile(digest: Digest): string | undefined {
  return digest === EMPTY ? '/dev/null' : undefined;
}
