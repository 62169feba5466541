// What the tests of the supervisor share: how it is made to work in each of its ways, and how it is found.
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { works } from './launch.ts';

const LIMITED = ['setpriv', '--bounding-set', '-sys_ptrace', '--inh-caps', '-sys_ptrace'];
/** Without the right to become another user, nobody that it may have to attach to is one. */
const CONFINED = [
  ...LIMITED.slice(0, 2),
  '-sys_ptrace,-setuid',
  '--inh-caps',
  '-sys_ptrace,-setuid',
];
const IS_ROOT = process.getuid?.() === 0 && works('setpriv', [...CONFINED.slice(1), 'true']);
const YAMA = '/proc/sys/kernel/yama/ptrace_scope';
const MAY_ATTACH = !existsSync(YAMA) || readFileSync(YAMA, 'latin1').startsWith('0');

/** The supervisor listens where it may attach to everything, and traces elsewhere: see supervise.h. */
export const SUPERVISOR_MODES = [
  { mode: 'listening', listens: true, prefix: [], possible: IS_ROOT },
  {
    mode: 'following',
    listens: false,
    prefix: IS_ROOT ? CONFINED : [],
    possible: MAY_ATTACH,
    needs: `${YAMA} 0`,
  },
  {
    mode: 'tracing',
    listens: false,
    prefix: IS_ROOT ? LIMITED : [],
    possible: IS_ROOT || !MAY_ATTACH,
  },
].map((one) => ({
  ...one,
  name: one.possible ? one.mode : `${one.mode} [needs ${one.needs ?? 'root'}]`,
}));

/** A line of a process's status. */
export function field(pid: number | string, name: string): string | undefined {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1];
}

/** Every process for which this holds; those that end meanwhile are left out. */
export function processes(is: (pid: string) => boolean): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return is(name);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** The one supervisor of this launcher, as soon as it is there. */
export function supervisorOf(launch: string): Promise<number> {
  return onlyProcess('uport-children', launch);
}

/** The same of the guard of one that listens. */
export function guardOf(launch: string): Promise<number> {
  return onlyProcess('uport-guard', launch);
}

async function onlyProcess(name: string, launch: string): Promise<number> {
  for (;;) {
    const found = processes(
      (pid) => field(pid, 'Name') === name && readlinkSync(`/proc/${pid}/exe`) === launch,
    );
    if (found.length === 1) return found[0] ?? 0;
    await sleep(10);
  }
}
