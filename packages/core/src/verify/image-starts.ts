// How each host starts an image: its platform's layers unpacked, and entered with util-linux's unshare.
import { copyFile, lstat, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { parseManifest } from '@uport/launcher';
import { folderEntries } from '../kernels/folder-entries.ts';
import { ARCHES, type Arch } from '../model/arch.ts';
import type { Progress } from '../model/progress.ts';
import { imageRoots, readLayout } from '../oci/layout.ts';
import { unpackPlatform } from '../oci/unpack.ts';
import { locateInRoot } from '../rootfs/root-paths.ts';
import { enterRoot, findUnshare, imageEnvironment } from '../run/enter-root.ts';
import type { HostStart, HostStarts } from './host-start.ts';
import { asBytes, latin1 } from './kernel-file.ts';
import { type GuestEmulators, outerManifest, type SimulatedHost } from './simulated-host.ts';

export interface ImageStartOptions {
  readonly tag?: string;
  /** Of the caller. */
  readonly uid: number;
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

/** Where the outer launcher lies in a simulated host's root. */
const INSIDE = '.uport-verify';

/** The platforms of the image in a layout. @throws UportError UPORT_OCI_* */
export async function imageStarts(layout: string, options: ImageStartOptions): Promise<HostStarts> {
  const { signal, tag } = options;
  const images = imageRoots(await readLayout(layout, { signal }))
    .filter((root) => tag === undefined || root.tag === tag)
    .flatMap((root) => root.images);
  const starts: HostStart[] = [];
  for (const host of ARCHES) {
    const { oci } = host;
    if (oci === undefined) continue;
    const image = images.find(
      ({ platform, config }) =>
        config !== undefined &&
        platform?.os === oci.os &&
        platform.architecture === oci.architecture &&
        (!platform.variant || !oci.variant || platform.variant === oci.variant),
    );
    if (image === undefined) continue;
    const emulated = image.config?.runtime.entrypoint?.[0] === '/.uport/launch';
    starts.push(startOf(host, emulated ? 'its launcher' : 'native image', layout, options));
  }
  return starts;
}

function startOf(host: Arch, runs: string, layout: string, options: ImageStartOptions): HostStart {
  const { uid } = options;
  return {
    host,
    runs,
    async prepare({ simulated, args, folder, env }) {
      const unshare = findUnshare(env);
      const { root, runtime, command } = await unpack(host, layout, args, folder, options);
      const prefix = simulated.native ? [] : await putLauncher(simulated, root);
      const argv = enterRoot({
        unshare,
        root,
        workdir: runtime?.workdir || '/',
        user: runtime?.user ?? '',
        uid,
        command: [...prefix, ...command],
      });
      return { argv, env: imageEnvironment(runtime?.env ?? [], env) };
    },
    async onKernel({ args, folder, env }) {
      const { root, runtime, command } = await unpack(host, layout, args, folder, options);
      const [user, group] = (runtime?.user ?? '').split(':');
      const id = (text: string | undefined) => (/^\d{1,10}$/.test(text ?? '') ? Number(text) : 0);
      const variables = imageEnvironment(runtime?.env ?? [], env);
      return {
        entries: await folderEntries(root),
        command: {
          argv: (await fromPath(command, root, variables.PATH ?? '')).map(latin1),
          env: asBytes(variables),
          cwd: latin1(runtime?.workdir || '/'),
          uid: id(user),
          gid: id(group || user),
        },
      };
    },
  };
}

/** The image's root in a folder, and what is to be started in it. */
async function unpack(
  host: Arch,
  layout: string,
  args: readonly string[],
  folder: string,
  { tag, signal, progress }: ImageStartOptions,
) {
  const root = path.join(folder, 'root');
  const { image } = await unpackPlatform(layout, host.oci as NonNullable<Arch['oci']>, root, {
    signal,
    progress,
    ...(tag !== undefined && { tag }),
  });
  const runtime = image.config?.runtime;
  const own = args.length > 0 ? args : (runtime?.cmd ?? []);
  const command = [...(runtime?.entrypoint ?? []), ...own];
  if (command.length === 0) throw withoutCommand(layout);
  await mkdir(path.join(root, 'proc'), { recursive: true });
  await mkdir(path.join(root, 'tmp'), { recursive: true });
  return { root, runtime, command };
}

/** An engine looks a name up in PATH, inside the image. */
async function fromPath(
  command: readonly string[],
  root: string,
  searched: string,
): Promise<readonly string[]> {
  const [program = '', ...args] = command;
  if (program.includes('/')) return command;
  for (const folder of searched.split(':')) {
    const place = path.posix.join('/', folder, program);
    // A link may be one that only the image's own root resolves: it counts as there.
    const found = await lstat(path.join(root, place)).catch(() => undefined);
    if (found?.isFile() || found?.isSymbolicLink()) return [place, ...args];
  }
  return command;
}

/** Puts this machine's launcher and emulator in the root, since nothing outside it is seen there. */
async function putLauncher(simulated: SimulatedHost, root: string): Promise<readonly string[]> {
  const { launcher, emulator, arch } = simulated;
  const folder = path.join(root, INSIDE);
  await mkdir(folder);
  await copyFile(launcher as string, path.join(folder, 'launch'));
  await copyFile(emulator as string, path.join(folder, `qemu-${arch.name}`));
  const guests = await guestEmulators(root);
  const manifest = outerManifest(simulated, `qemu-${arch.name}`, guests);
  await writeFile(path.join(folder, 'manifest'), manifest);
  return [`/${INSIDE}/launch`, '--'];
}

/** What the image's own launcher starts the app's programs with. */
async function guestEmulators(root: string): Promise<GuestEmulators> {
  const file = locateInRoot(root, '.uport/manifest');
  if (file === undefined) return [];
  const { emulators } = parseManifest(await readFile(file, 'latin1'));
  return emulators.map((each) => ({ ...each, path: path.posix.resolve('/.uport', each.path) }));
}

function withoutCommand(layout: string): UportError {
  return new UportError({
    code: 'UPORT_IMAGE_WITHOUT_COMMAND',
    category: 'input',
    message: 'the image says nothing about what to start',
    hint: 'name a program of it after --',
    file: layout,
  });
}
