// A binfmt_misc of one process tree, without root: Linux 6.7 and newer give each user namespace its
// own.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { UportError } from '@uport/errors';
import type { EmulatorSearch } from '../run/emulator-program.ts';
import { hostArch } from '../run/host-arch.ts';
import type { RunCommand } from '../run/plan-run.ts';
import { binfmtLine } from './formats.ts';
import { checkForeign } from './guests.ts';
import { findInterpreters, storedLauncher } from './interpreters.ts';
import { type BinfmtRegistration, type BinfmtSubject, binfmtRegistration } from './registration.ts';
import { BINFMT_FOLDER } from './status.ts';

const run = promisify(execFile);

export interface PrivateBinfmtOptions extends EmulatorSearch {
  /** Default: every CPU that the kernel does not run by itself, and FatELF. */
  readonly subjects?: readonly BinfmtSubject[];
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Of the caller. */
  readonly uid: number;
  readonly gid: number;
}

/**
 * Registering needs the user to be root of the namespace, who maps to the user outside; a second
 * namespace gives the user's own identity back. A namespace in which the user was never root may not
 * register (EACCES).
 */
const SCRIPT = `mount -t binfmt_misc binfmt_misc ${BINFMT_FOLDER} || exit
uid=$1 gid=$2; shift 2
while test "$1" != --; do printf %s "$1" >${BINFMT_FOLDER}/register || exit; shift; done
exec unshare --user --map-user="$uid" --map-group="$gid" "$@"`;

/**
 * How to start a command in whose process tree programs of the subjects run.
 *
 * @throws UportError UPORT_BINFMT_PRIVATE_REFUSED when this machine allows no such thing
 */
export async function planPrivateBinfmt(options: PrivateBinfmtOptions): Promise<RunCommand> {
  const host = hostArch();
  const { subjects, command, env, uid, gid, signal } = options;
  checkForeign(subjects ?? [], host);
  const inside = (registrations: readonly BinfmtRegistration[], args: readonly string[]) => [
    ...['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', SCRIPT, 'uport'],
    ...[String(uid), String(gid), ...registrations.map(binfmtLine), '--', ...args],
  ];
  // Before anything is fetched.
  await probe(inside([], ['true']), env, signal);
  const interpreters = await findInterpreters(subjects, host, options);
  const launcher = await storedLauncher(host, interpreters, options);
  const registrations = interpreters.map(({ guest, file }) => binfmtRegistration(guest, file));
  if (subjects === undefined || subjects.includes('fatelf')) {
    registrations.push(binfmtRegistration('fatelf', launcher));
  }
  await probe(inside(registrations, ['true']), env, signal);
  return {
    program: launcher,
    argv: [launcher, '--default-signals', '--', ...inside(registrations, command)],
    env,
  };
}

async function probe(
  [program, ...args]: readonly string[],
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  try {
    await run(program as string, args, { env: { ...env, LC_ALL: 'C' }, signal });
  } catch (cause) {
    signal.throwIfAborted();
    const { code, stderr } = cause as { code?: unknown; stderr?: string };
    const told = stderr?.trim().split('\n').join('; ');
    throw new UportError({
      code: 'UPORT_BINFMT_PRIVATE_REFUSED',
      category: 'environment',
      message:
        code === 'ENOENT'
          ? 'util-linux, whose unshare makes the namespaces, is not installed'
          : `this machine gives no private binfmt_misc${told ? `: ${told}` : ''}`,
      hint: 'it needs Linux 6.7 or newer, user namespaces that are not forbidden (AppArmor, seccomp) and util-linux 2.34 or newer; else, as root: uport binfmt register',
      cause,
    });
  }
}
