// Boots a simulated machine of a host's CPU with its own kernel, and runs one command on it.
import { spawn } from 'node:child_process';
import { accessSync, constants, createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { UportError } from '@uport/errors';
import type { DebianContext } from '../debian/context.ts';
import type { Arch } from '../model/arch.ts';
import { systemError } from '../system-error.ts';
import { type CpioEntry, cpioArchive } from './cpio.ts';
import { debianBusybox, debianKernel } from './debian-file.ts';
import { INIT, initEntries, type KernelCommand } from './init-script.ts';
import {
  type KernelMachine,
  kernelMachine,
  machineArguments,
  memoryFor,
} from './kernel-machines.ts';
import { type KernelReport, readReport } from './read-report.ts';

/** For the machine's own start and end, on a busy machine. */
const BOOT_SECONDS = 240;
/** Of a console that says more than it should. */
const MAX_CONSOLE = 64 << 20;

/**
 * The machine of a host's CPU, when it can be started here.
 *
 * @param env where PATH says in which folders qemu-system is looked for
 * @throws UportError UPORT_KERNEL_UNKNOWN, UPORT_NO_QEMU_SYSTEM
 */
export function findMachine(
  host: Arch,
  env: Readonly<Record<string, string>>,
): { readonly machine: KernelMachine; readonly program: string } {
  const machine = kernelMachine(host);
  if (machine === undefined) {
    throw new UportError({
      code: 'UPORT_KERNEL_UNKNOWN',
      category: 'usage',
      message: `no kernel is known for ${host.name}`,
      hint: 'leave it out with --hosts, or verify without --kernel',
    });
  }
  const program = (env.PATH ?? '/usr/local/bin:/usr/bin')
    .split(':')
    .filter((folder) => folder.startsWith('/'))
    .map((folder) => path.join(folder, machine.qemu))
    .find(isProgram);
  if (program !== undefined) return { machine, program };
  throw new UportError({
    code: 'UPORT_NO_QEMU_SYSTEM',
    category: 'environment',
    message: `${machine.qemu} is not there, which simulates a machine of ${host.name}`,
    hint: `apt-get install ${machine.packages.join(' ')}`,
  });
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface RunOnKernelOptions {
  readonly host: Arch;
  /** The machine's root, parents first. */
  readonly entries: readonly CpioEntry[];
  readonly command: KernelCommand;
  /** Of the caller. */
  readonly env: Readonly<Record<string, string>>;
  readonly context: DebianContext;
}

/**
 * @throws UportError UPORT_KERNEL_UNKNOWN, UPORT_NO_QEMU_SYSTEM, UPORT_KERNEL_FAILED,
 * UPORT_KERNEL_MEMORY, UPORT_DEBIAN_*, UPORT_CPIO_LIMIT
 */
export async function runOnKernel(options: RunOnKernelOptions): Promise<KernelReport> {
  const { host, command, context, env } = options;
  const { machine, program } = findMachine(host, env);
  const kernel = await debianKernel(machine.kernel, context);
  const busybox = await debianBusybox(host, context);
  const { size } = await stat(busybox);
  const entries = [...initEntries(command, { file: busybox, size }), ...options.entries];
  const folder = await mkdtemp(path.join(os.tmpdir(), 'uport-kernel-'));
  try {
    const initramfs = path.join(folder, 'initramfs');
    const needed = memoryFor(
      machine,
      entries.map((entry) => entry.size),
    );
    if (needed * 2 ** 20 > os.totalmem() * 0.9) throw tooLarge(needed);
    await pipeline(Readable.from(cpioArchive(entries)), createWriteStream(initramfs), {
      signal: context.signal,
    });
    const args = machineArguments(
      machine,
      { kernel, initramfs },
      { megabytes: needed, init: INIT },
    );
    const seconds = command.seconds + BOOT_SECONDS;
    return readReport(await consoleOf(program, args, seconds, context.signal));
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

function tooLarge(megabytes: number): UportError {
  return new UportError({
    code: 'UPORT_KERNEL_MEMORY',
    category: 'environment',
    message: `the app lies in the simulated machine's memory, which would have to be ${megabytes} MiB: more than this machine has`,
    hint: 'verify without --kernel',
  });
}

/** What the machine says until it stops. */
function consoleOf(
  program: string,
  args: readonly string[],
  seconds: number,
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks: Buffer[] = [];
    let size = 0;
    const kill = () => child.kill('SIGKILL');
    const timer = setTimeout(kill, seconds * 1000);
    signal.addEventListener('abort', kill, { once: true });
    const keep = (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_CONSOLE) kill();
      else chunks.push(chunk);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', kill);
    };
    child.on('error', (error) => {
      done();
      reject(systemError(error, program));
    });
    child.on('close', () => {
      done();
      if (signal.aborted) reject(signal.reason);
      else resolve(Buffer.concat(chunks).toString('latin1'));
    });
  });
}
