// How each host starts an image: its platform's layers unpacked, and entered with util-linux's unshare.
import { lstatSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { MANIFEST_LIMITS, parseManifest } from '@uport/launcher';
import { folderEntries } from '../kernels/folder-entries.ts';
import { ARCHES, type Arch } from '../model/arch.ts';
import type { Progress } from '../model/progress.ts';
import { openOrdinary } from '../oci/blob-file.ts';
import { imageRoots, readLayout } from '../oci/layout.ts';
import { unpackPlatform } from '../oci/unpack.ts';
import { locateInRoot } from '../rootfs/root-paths.ts';
import { enterRoot, findUnshare, imageEnvironment } from '../run/enter-root.ts';
import { imageUser } from '../run/image-user.ts';
import { TRANSLATOR_RULES } from '../translators/rules.ts';
import type { HostStart, HostStarts } from './host-start.ts';
import { asBytes, latin1 } from './kernel-file.ts';
import { type GuestEmulators, outerManifest, type SimulatedHost } from './simulated-host.ts';
import { TELL } from './taken-emulator.ts';

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
    const said = image.manifest.annotations['dev.uport.emulator'] ?? '';
    const translator = TRANSLATOR_RULES.find(({ kind }) => said.startsWith(`${kind} `))?.kind;
    const runs = emulated ? 'its launcher' : 'native image';
    starts.push({
      ...startOf(host, runs, layout, translator === undefined ? {} : TELL, options),
      ...(translator !== undefined && { translator }),
    });
  }
  return starts;
}

function startOf(
  host: Arch,
  runs: string,
  layout: string,
  told: Readonly<Record<string, string>>,
  options: ImageStartOptions,
): HostStart {
  const { uid } = options;
  return {
    host,
    runs,
    async prepare({ simulated, args, folder, env }) {
      const unshare = findUnshare(env);
      const { root, runtime, command } = await unpack(host, layout, args, folder, options);
      const prefix = simulated.native ? [] : await putLauncher(simulated, root, told);
      const argv = enterRoot({
        unshare,
        root,
        workdir: runtime?.workdir || '/',
        user: runtime?.user ?? '',
        uid,
        command: [...prefix, ...command],
      });
      const own = imageEnvironment(runtime?.env ?? [], env);
      return { argv, env: simulated.native ? { ...own, ...told } : own };
    },
    async onKernel({ args, folder, env }) {
      const { root, runtime, command } = await unpack(host, layout, args, folder, options);
      const { uid, gid } = imageUser(runtime?.user ?? '', root) ?? { uid: 0, gid: 0 };
      const variables = imageEnvironment(runtime?.env ?? [], env);
      return {
        entries: await folderEntries(root),
        command: {
          argv: fromPath(command, root, variables.PATH ?? '').map(latin1),
          env: asBytes({ ...variables, ...told }),
          cwd: latin1(runtime?.workdir || '/'),
          uid,
          gid,
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
function fromPath(command: readonly string[], root: string, searched: string): readonly string[] {
  const [program = '', ...args] = command;
  if (program.includes('/')) return command;
  for (const folder of searched.split(':')) {
    const place = path.posix.join('/', folder, program);
    if (isProgram(root, place)) return [place, ...args];
  }
  return command;
}

function isProgram(root: string, place: string): boolean {
  try {
    const file = locateInRoot(root, place);
    const info = file === undefined ? undefined : lstatSync(file);
    return info?.isFile() === true && (info.mode & 0o111) !== 0;
  } catch {
    // A path through a file.
    return false;
  }
}

/** Puts this machine's launcher and emulator in the root, since nothing outside it is seen there. */
async function putLauncher(
  simulated: SimulatedHost,
  root: string,
  told: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const { launcher, emulator, arch } = simulated;
  const folder = path.join(root, INSIDE);
  await mkdir(folder);
  await copyFile(launcher as string, path.join(folder, 'launch'));
  await copyFile(emulator as string, path.join(folder, `qemu-${arch.name}`));
  const guests = await guestEmulators(root);
  const manifest = outerManifest(simulated, `qemu-${arch.name}`, guests, told);
  await writeFile(path.join(folder, 'manifest'), manifest);
  return [`/${INSIDE}/launch`, '--'];
}

/** What the image's own launcher starts the app's programs with. */
async function guestEmulators(root: string): Promise<GuestEmulators> {
  const file = locateInRoot(root, '.uport/manifest');
  const opened = file === undefined ? undefined : await openOrdinary(file);
  if (opened === undefined) return [];
  const { handle } = opened;
  const bytes = Buffer.alloc(MANIFEST_LIMITS.fileSize + 1);
  const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0).finally(() => handle.close());
  const { emulators } = parseManifest(bytes.toString('latin1', 0, bytesRead));
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
