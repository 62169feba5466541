import { spawnSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { digestHex } from '../model/digest.ts';
import type { RuntimeView } from '../oci/documents.ts';
import { readLayout } from '../oci/layout.ts';
import { findImage, unpackPlatform } from '../oci/unpack.ts';
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

const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

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
  const namespaces = options.uid === 0 ? [] : ['--user', '--map-root-user'];
  const proc = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const withProc = spawnSync(unshare, [...namespaces, ...proc, 'true']).status === 0;
  return {
    program: unshare,
    argv: [
      unshare,
      ...namespaces,
      ...(withProc ? proc : []),
      `--root=${path.join(root, 'rootfs')}`,
      `--wd=${runtime?.workdir || '/'}`,
      ...userOf(runtime, options.uid),
      '--',
      ...command,
    ],
    env: environmentOf(runtime, options),
  };
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

/** Numeric users only: names would need the image's own passwd file. In a user namespace there is but one. */
function userOf(runtime: RuntimeView | undefined, uid: number): readonly string[] {
  const [user, group] = (runtime?.user ?? '').split(':');
  if (uid !== 0 || !user || !/^\d+$/.test(user)) return [];
  return [`--setgid=${group && /^\d+$/.test(group) ? group : user}`, `--setuid=${user}`];
}

function environmentOf(
  runtime: RuntimeView | undefined,
  options: RunLayoutOptions,
): Record<string, string> {
  const { TERM } = options.env;
  const pairs = [DEFAULT_PATH, ...(TERM ? [`TERM=${TERM}`] : []), ...(runtime?.env ?? [])];
  const env: Record<string, string> = {};
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    if (equals > 0) env[pair.slice(0, equals)] = pair.slice(equals + 1);
  }
  if (options.debug) env.UPORT_DEBUG = '1';
  if (options.forceEmulation) env.UPORT_PREFER = 'emulated';
  return { ...env, ...options.ownEnv };
}

function findUnshare(env: Readonly<Record<string, string>>): string {
  const folders = [...(env.PATH ?? '').split(':'), '/usr/bin', '/bin'];
  for (const folder of folders) {
    if (!folder.startsWith('/')) continue;
    const file = path.join(folder, 'unshare');
    const { status, stdout } = spawnSync(file, ['--help'], { encoding: 'utf8' });
    if (status === 0 && stdout.includes('--root')) return file;
  }
  throw new UportError({
    code: 'UPORT_NO_UNSHARE',
    category: 'environment',
    message: "util-linux's unshare is not there",
    hint: 'install util-linux, or run the image with a container engine',
  });
}
