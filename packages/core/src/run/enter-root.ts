// Entering a root file system without a container engine: util-linux's unshare.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { imageUser } from './image-user.ts';

export interface EnterRootOptions {
  /** As `findUnshare` gives it. */
  readonly unshare: string;
  /** The folder that becomes `/`; it has a folder `proc`. */
  readonly root: string;
  readonly workdir: string;
  /** The image's own: `UID[:GID]`, or empty. */
  readonly user: string;
  /** Of the caller: root enters with chroot, others in a user namespace. */
  readonly uid: number;
  readonly command: readonly string[];
}

/** What engines put in a container: a /proc, and the devices that every program may count on. */
const SCRIPT = `root=$1; shift
mkdir -p "$root/dev"
for each in null zero full random urandom tty; do
  test -e "$root/dev/$each" || : >"$root/dev/$each"
  mount --bind "/dev/$each" "$root/dev/$each"
done 2>/dev/null
mount -t proc proc "$root/proc" || exit
exec "$@"`;

/** The arguments of unshare, itself first. Where it may not mount, /proc and /dev are the image's own. */
export function enterRoot(options: EnterRootOptions): readonly string[] {
  const { unshare, root, workdir, user, uid, command } = options;
  const namespaces = uid === 0 ? [] : ['--user', '--map-root-user'];
  const mounts = ['--mount', '--pid', '--fork', '--kill-child'];
  const enter = [
    `--root=${root}`,
    `--wd=${workdir}`,
    ...userFlags(user, uid, root),
    '--',
    ...command,
  ];
  const probe = [...namespaces, ...mounts, '--mount-proc', 'true'];
  if (spawnSync(unshare, probe).status !== 0) return [unshare, ...namespaces, ...enter];
  const prepare = ['--', '/bin/sh', '-c', SCRIPT, 'sh', root];
  return [unshare, ...namespaces, ...mounts, ...prepare, unshare, ...enter];
}

/** Numeric users only. In a user namespace there is but one. */
function userFlags(user: string, uid: number, root: string): readonly string[] {
  const own = uid === 0 ? imageUser(user, root) : undefined;
  return own ? [`--setgid=${own.gid}`, `--setuid=${own.uid}`] : [];
}

const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What an image's program sees: the image's variables, and the caller's TERM. */
export function imageEnvironment(
  variables: readonly string[],
  caller: Readonly<Record<string, string>>,
): Record<string, string> {
  const { TERM } = caller;
  const env: Record<string, string> = {};
  for (const pair of [DEFAULT_PATH, ...(TERM ? [`TERM=${TERM}`] : []), ...variables]) {
    const equals = pair.indexOf('=');
    if (equals > 0) env[pair.slice(0, equals)] = pair.slice(equals + 1);
  }
  return env;
}

/** @throws UportError UPORT_NO_UNSHARE */
export function findUnshare(env: Readonly<Record<string, string>>): string {
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
