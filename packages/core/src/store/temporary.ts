import { createHash, randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';

const DAY = 24 * 60 * 60 * 1000;

let here: string | undefined;

/** Tells process ids of this machine and pid namespace from those of others that share the folder. */
function machineToken(): string {
  here ??= createHash('sha256')
    .update([hostname(), read('/proc/sys/kernel/random/boot_id'), pidNamespace()].join('\n'))
    .digest('hex')
    .slice(0, 12);
  return here;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1').trim();
  } catch {
    return '';
  }
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

/** When a process began, in clock ticks since boot; empty where nothing tells it. */
function startOf(pid: number): string {
  const stat = read(`/proc/${pid}/stat`);
  // The second field is the program's name and may hold spaces and parentheses.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

let ownStart: string | undefined;

/** A name that nobody else uses and that tells which process made it. */
export function temporaryName(): string {
  ownStart ??= startOf(process.pid);
  return `${machineToken()}-${process.pid}-${ownStart || '0'}-${randomUUID()}`;
}

/** Whether the process that made this name still runs; undefined when it cannot be known from here. */
export function makerLives(name: string): boolean | undefined {
  const parts = /^([0-9a-f]{12})-([0-9]{1,10})-([0-9]{1,20})-/.exec(name);
  if (parts?.[1] !== machineToken()) return undefined;
  const pid = Number(parts[2]);
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const start = startOf(pid);
  return start === '' || parts[3] === '0' || start === parts[3];
}

/** Temporary files of the store whose makers are dead. */
export async function abandonedTemporaries(root: string, now: number): Promise<readonly string[]> {
  const folder = path.join(root, 'tmp');
  const abandoned: string[] = [];
  for (const name of (await readdir(folder).catch(() => [])).sort()) {
    const lives = makerLives(name);
    if (lives) continue;
    const file = path.join(folder, name);
    const status = await lstat(file).catch(() => undefined);
    // Made on another machine that shares the folder, so only age can tell.
    if (!status || (lives === undefined && status.mtimeMs > now - DAY)) continue;
    abandoned.push(file);
  }
  return abandoned;
}
