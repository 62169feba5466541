import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { digestHex } from '../model/digest.ts';
import type { RuntimeView } from '../oci/documents.ts';
import { readLayout } from '../oci/layout.ts';
import { findImage, unpackPlatform } from '../oci/unpack.ts';
import { enterRoot, findUnshare, imageEnvironment } from './enter-root.ts';
import { hostArch } from './host-arch.ts';
import type { RunCommand, RunContext } from './plan-run.ts';
import { runFolder } from './run-folder.ts';

export interface RunLayoutOptions extends Omit<RunContext, 'providers'> {
  /** An OCI image layout folder. */
  readonly layout: string;
  /** Which image of it; needed when it holds several. */
  readonly tag?: string;
  /** Replace the image's default arguments, when there are any. */
  readonly args: readonly string[];
  /** Variables on top of the image's own. */
  readonly ownEnv: Readonly<Record<string, string>>;
  /** Uid of the caller: root enters with chroot, others in a user namespace. */
  readonly uid: number;
}

/**
 * How to run an image of this machine's platform without a container engine: unpacked once into the
 * store, entered with util-linux's unshare. A network or other isolation is not made.
 *
 * @throws UportError UPORT_OCI_*, UPORT_NO_UNSHARE, UPORT_IMAGE_WITHOUT_COMMAND
 */
export async function planRunLayout(options: RunLayoutOptions): Promise<RunCommand> {
  const { layout, tag, signal, progress } = options;
  const platform = hostArch().oci;
  if (platform === undefined) {
    throw new UportError({
      code: 'UPORT_OCI_PLATFORM_MISSING',
      category: 'input',
      message: `images have no platform for ${hostArch().name}`,
      hint: 'run the program itself: uport run FILE',
    });
  }
  const unshare = findUnshare(options.env);
  const image = findImage(await readLayout(layout, { signal }), platform, tag);
  const runtime = image.config?.runtime;
  const command = commandOf(runtime, options.args, layout);
  const root = await runFolder(
    options.store,
    `image-${digestHex(image.descriptor.digest)}`,
    async (folder) => {
      const rootfs = path.join(folder, 'rootfs');
      await unpackPlatform(layout, platform, rootfs, {
        signal,
        progress,
        ...(tag !== undefined && { tag }),
      });
      // Where /proc goes; engines make it too.
      await mkdir(path.join(rootfs, 'proc'), { recursive: true });
    },
  );
  const argv = enterRoot({
    unshare,
    root: path.join(root, 'rootfs'),
    workdir: runtime?.workdir || '/',
    user: runtime?.user ?? '',
    uid: options.uid,
    command,
  });
  return { program: unshare, argv, env: environmentOf(runtime, options) };
}

function commandOf(
  runtime: RuntimeView | undefined,
  args: readonly string[],
  layout: string,
): readonly string[] {
  const rest = args.length > 0 ? args : (runtime?.cmd ?? []);
  const command = [...(runtime?.entrypoint ?? []), ...rest];
  if (command.length > 0) return command;
  throw new UportError({
    code: 'UPORT_IMAGE_WITHOUT_COMMAND',
    category: 'input',
    message: 'the image says nothing about what to start',
    hint: 'name a program of it after the layout',
    file: layout,
  });
}

function environmentOf(
  runtime: RuntimeView | undefined,
  options: RunLayoutOptions,
): Record<string, string> {
  const env = imageEnvironment(runtime?.env ?? [], options.env);
  if (options.debug) env.UPORT_DEBUG = '1';
  if (options.forceEmulation) env.UPORT_PREFER = 'emulated';
  return { ...env, ...options.ownEnv };
}
