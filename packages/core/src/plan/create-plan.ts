import { UportError } from '@uport/errors';
import type { App } from '../app/app.ts';
import { displayBytes, pathBytes } from '../model/byte-path.ts';
import type { BytePath, PayloadEntry } from '../model/payload-tree.ts';
import { resolveEntry } from '../model/resolve-entry.ts';
import type { MatrixRow } from './arch-matrix.ts';
import { defaultGuestCpu } from './default-guest-cpu.ts';
import type {
  GuestSettings,
  HostPlan,
  ImageSettings,
  NativeSlice,
  PinnedEmulator,
  PinnedFile,
  PinnedPackage,
  PinnedTranslator,
  Plan,
} from './plan.ts';

/** What was found for the hosts, by the host's name. */
export interface HostParts {
  /** Native builds: of the target, and of other files. */
  readonly slices: ReadonlyMap<string, readonly NativeSlice[]>;
  readonly launchers: ReadonlyMap<string, PinnedFile>;
  readonly emulators: ReadonlyMap<string, PinnedEmulator>;
  readonly translators?: ReadonlyMap<string, PinnedTranslator>;
}

export interface PlanInputs {
  readonly app: App;
  /** Debian packages whose files were put into the payload. */
  readonly packages?: readonly PinnedPackage[];
  readonly matrix: readonly MatrixRow[];
  readonly parts: HostParts;
  /** What the user set. */
  readonly image: Partial<Omit<ImageSettings, 'entrypoint'>>;
  /** Replaces the app's own entrypoint. */
  readonly entrypoint: readonly string[] | undefined;
  /** Follow the app's program in its own entrypoint. */
  readonly firstArguments: readonly string[];
  readonly guest?: GuestSettings;
  /** The guest CPU for emulators, as QEMU's `-cpu` takes it. */
  readonly cpu?: string;
  readonly sourceDateEpoch: number;
}

/**
 * Decides everything, from what was read and found. Pure.
 *
 * @throws UportError UPORT_HOST_UNSUPPORTED when a host of the matrix cannot run the app
 */
export function createPlan(inputs: PlanInputs): Plan {
  const { app, matrix, parts, image } = inputs;
  const unsupported = matrix.filter((row) => row.way === 'unsupported');
  if (unsupported.length > 0) {
    throw new UportError({
      code: 'UPORT_HOST_UNSUPPORTED',
      category: 'input',
      message: `${app.guest.name} programs cannot be made to run on ${unsupported
        .map((row) => `${row.host.name} (${row.reason})`)
        .join(', ')}`,
      hint: 'leave these hosts out with --host, or give a native build with --slice HOST=FILE, or emulators with --emulators dir:PATH',
    });
  }
  return {
    version: 1,
    app: {
      name: app.name,
      guest: app.guest.name,
      linkage: app.linkage,
      ...(app.folder !== undefined && { folder: app.folder }),
      ...(app.wholeRoot && { wholeRoot: true as const }),
      program: app.program,
      target: app.target,
      ...loaderOf(app),
      ...(app.libraryFolders !== undefined && { libraryFolders: app.libraryFolders }),
    },
    payload: app.payload,
    ...(inputs.packages && inputs.packages.length > 0 && { packages: inputs.packages }),
    hosts: matrix.map((row) => hostPlan(row, parts, inputs.cpu)),
    image: {
      entrypoint: inputs.entrypoint ?? [`/${asText(app.program)}`, ...inputs.firstArguments],
      cmd: image.cmd ?? [],
      env: image.env ?? [],
      workdir: image.workdir ?? '/',
      ...(image.user !== undefined && { user: image.user }),
      labels: image.labels ?? {},
      exposedPorts: image.exposedPorts ?? [],
      volumes: image.volumes ?? [],
      ...(image.stopSignal !== undefined && { stopSignal: image.stopSignal }),
      annotations: image.annotations ?? {},
    },
    ...(inputs.guest && isUsed(inputs.guest) && { guest: inputs.guest }),
    sourceDateEpoch: inputs.sourceDateEpoch,
  };
}

function isUsed(guest: GuestSettings): boolean {
  return Object.values(guest).some((list: readonly unknown[]) => list.length > 0);
}

function hostPlan(row: MatrixRow, parts: HostParts, cpu: string | undefined): HostPlan {
  const host = row.host.name;
  const launcher = parts.launchers.get(host);
  if (row.way === 'native') {
    const slices = parts.slices.get(host) ?? [];
    return { host, way: 'native', slices, ...(launcher && { launcher }) };
  }
  const emulator = parts.emulators.get(host);
  if (row.way === 'unsupported' || launcher === undefined || emulator === undefined) {
    throw new TypeError(`${host}: the matrix says ${row.way} but its parts are not there`);
  }
  const told = cpu ?? defaultGuestCpu(emulator);
  const translator = parts.translators?.get(host);
  return {
    host,
    way: row.way,
    launcher,
    emulator,
    ...(translator && { translator }),
    ...(told !== undefined && { cpu: told }),
  };
}

/** The dynamic linker that the target names, if it travels along. */
function loaderOf(app: App): { readonly loader?: BytePath } {
  const { interpreter } = app;
  if (interpreter === undefined || !interpreter.startsWith('/')) return {};
  const entries = new Map<string, PayloadEntry>(
    app.payload.entries.map((entry) => [entry.path, entry]),
  );
  const found = resolveEntry(entries, interpreter.slice(1) as BytePath);
  return found?.type === 'file' ? { loader: found.path } : {};
}

/** An image's config is JSON: a program whose name is not UTF-8 cannot be named in it. */
function asText(path: BytePath): string {
  const text = pathBytes(path).toString('utf8');
  if (Buffer.from(text, 'utf8').equals(pathBytes(path))) return text;
  throw new UportError({
    code: 'UPORT_ENTRYPOINT_NOT_TEXT',
    category: 'input',
    message: `the name of the program, ${displayBytes(path)}, is not UTF-8`,
    hint: 'rename it, or start it through a symbolic link with a UTF-8 name',
  });
}
