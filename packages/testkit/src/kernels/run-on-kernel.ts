import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { cpioArchive, hostArch, machineArguments, memoryFor } from '@uport/core';
import { compile } from '../fixtures/fixture.ts';
import { findProgram, missingToolchains } from '../fixtures/toolchains.ts';
import { type HostFiles, treeEntries, writeTree } from './file-tree.ts';
import { simulatedHost } from './hosts.ts';
import { kernelImage } from './kernel-image.ts';
import { type HostReport, parseReports } from './reports.ts';

const INIT = path.resolve(import.meta.dirname, '../../src/kernels/init.c');

/** A program to run on a simulated host. Strings stand for bytes: Latin-1. */
export interface HostCommand {
  /** The program's absolute path first. */
  readonly argv: readonly string[];
  /** `NAME=VALUE`; empty when left out. */
  readonly env?: readonly string[];
  /** A folder that becomes the command's `/`, as in a container, with a /proc and a small /dev. */
  readonly root?: string;
  readonly cwd?: string;
  /** User and group; 0 when left out. */
  readonly uid?: number;
  readonly readOnly?: boolean;
  /** Be the first process of a PID namespace, as in a container. */
  readonly pidNamespace?: boolean;
  readonly noNewPrivileges?: boolean;
  readonly dropCapabilities?: boolean;
  /** No /proc in `root`. */
  readonly withoutProc?: boolean;
  readonly stdin?: Uint8Array;
  /** 60 when left out. */
  readonly seconds?: number;
}

export interface HostRunOptions {
  /** Of the whole run; 240 when left out. */
  readonly seconds?: number;
  /** Of a simulated machine; 1 when left out, which costs a sixth to a quarter less where emulators run. */
  readonly processors?: number;
  /** Memory for what the commands write, in megabytes. */
  readonly room?: number;
}

/** Why a host can't be simulated here, with the command that brings what is missing. */
export function missingHost(name: string): string | undefined {
  const { arch, machine } = simulatedHost(name);
  if (!machine) {
    if (hostArch().name !== arch) return `this machine is ${hostArch().name}, not ${arch}`;
    if (process.getuid?.() !== 0) return 'mounts need root: run the tests with sudo';
  } else if (!findProgram(machine.qemu)) {
    return `${machine.qemu} missing: apt-get install ${machine.packages.join(' ')}`;
  }
  return missingToolchains(arch);
}

/**
 * Starts a host with these files, runs the commands one after another and stops it. One start
 * carries any number of commands; a command that outlives its time is killed and the next one runs.
 *
 * @param name a name of `SIMULATED_HOSTS` or `OLDER_KERNELS`
 * @throws Error when the host can't be had or doesn't answer
 */
export async function runOnKernel(
  name: string,
  files: HostFiles,
  commands: readonly HostCommand[],
  options: HostRunOptions = {},
): Promise<HostReport> {
  const host = simulatedHost(name);
  const init = await compile(INIT, host.arch);
  const inputs: Record<string, { content: Uint8Array }> = {};
  commands.forEach((command, index) => {
    if (command.stdin) inputs[inputPath(index)] = { content: command.stdin };
  });
  const entries = await treeEntries({
    ...files,
    ...inputs,
    '/init': { copy: init, mode: 0o755, owner: 0 },
    '/.testkit/commands': { content: encodeCommands(commands) },
  });
  const folder = await mkdtemp(path.join(tmpdir(), 'uport-host-'));
  const timeout = AbortSignal.timeout((options.seconds ?? 240) * 1000);
  try {
    if (!host.machine) {
      await writeTree(entries, folder);
      return parseReports(await listen(path.join(folder, 'init'), [folder], timeout));
    }
    const archive = path.join(folder, 'initramfs');
    await pipeline(Readable.from(cpioArchive(entries)), createWriteStream(archive));
    const sizes = entries.map((entry) => entry.size);
    const kernel = await kernelImage(host.name, host.machine.kernel, timeout);
    return parseReports(
      await listen(
        host.machine.qemu,
        machineArguments(
          host.machine,
          { kernel, initramfs: archive },
          {
            megabytes: memoryFor(host.machine, sizes) + (options.room ?? 0),
            init: '/init',
            processors: options.processors ?? 1,
          },
        ),
        timeout,
      ),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs a program to its end; answers what it printed. */
function listen(program: string, args: readonly string[], signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
      killSignal: 'SIGKILL',
    });
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
    let fault: Error | undefined;
    child.on('error', (error) => {
      fault = error;
    });
    child.on('close', () => {
      const text = Buffer.concat(output).toString('latin1');
      if (text.includes('\n@@ end') || !fault)
        resolve(`${Buffer.concat(errors).toString('latin1')}\n${text}`);
      else
        reject(
          new Error(`${program}: ${fault.message}\n${text.slice(-4000)}${Buffer.concat(errors)}`),
        );
    });
  });
}

function inputPath(index: number): string {
  return `/.testkit/input-${index}`;
}

/** The list that `init.c` reads. */
function encodeCommands(commands: readonly HostCommand[]): Uint8Array {
  const strings = commands.flatMap((command, index) => [
    command.root ?? '/',
    command.cwd ?? '/',
    [
      command.readOnly && 'r',
      command.pidNamespace && 'p',
      command.noNewPrivileges && 'n',
      command.dropCapabilities && 'c',
      command.withoutProc && 'd',
    ]
      .filter((letter) => letter)
      .join(''),
    String(command.uid ?? 0),
    String(command.uid ?? 0),
    String(command.seconds ?? 60),
    command.stdin ? inputPath(index) : '',
    String(command.argv.length),
    ...command.argv,
    String(command.env?.length ?? 0),
    ...(command.env ?? []),
  ]);
  for (const text of strings) if (text.includes('\0')) throw new Error('a string with a NUL');
  return Buffer.from(strings.map((text) => `${text}\0`).join(''), 'latin1');
}
