import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { CommandResult } from '@uport/testkit';
import { removeFolder, temporaryFolder } from './temporary-folder.ts';
import { start } from './uport.ts';

/** A podman of the tests' own, with its images in a temporary folder. */
export interface Podman {
  /** Brings an image of a layout in; answers its id. */
  pull(layout: string): Promise<string>;
  /** Runs a container to its end; arguments are bytes as Latin-1. */
  run(image: string, args: readonly string[], options?: RunOptions): Promise<CommandResult>;
  /** Sends a signal to the first process of a running container. */
  signal(container: string, name: string): Promise<void>;
  remove(): Promise<void>;
}

export interface RunOptions {
  readonly flags?: readonly string[];
  readonly stdin?: Uint8Array;
  /** Told each piece of standard output as it comes. */
  readonly onOutput?: (text: string) => void;
}

export async function openPodman(): Promise<Podman> {
  const folder = await temporaryFolder();
  const common = [
    ...['--root', path.join(folder, 'root'), '--runroot', path.join(folder, 'run')],
    ...['--storage-driver', 'overlay', '--cgroup-manager=cgroupfs'],
  ];
  // Without the limits, podman asks for more than an unprivileged build machine may give.
  const container = [
    ...['run', '--rm', '--interactive', '--runtime', 'runc', '--network=none'],
    ...['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024', '--hostname', 'box'],
  ];
  let scripts = 0;
  return {
    async pull(layout) {
      const pulled = await start('podman', [...common, 'pull', '-q', `oci:${layout}:latest`]);
      if (pulled.status !== 0) throw new Error(`podman pull ${layout}: ${pulled.stderr}`);
      return pulled.stdout.trim();
    },
    async run(image, args, options = {}) {
      const { flags = [] } = options;
      const command = ['podman', ...common, ...container, ...flags, image, ...args];
      // Node passes arguments as UTF-8 only; a script can hold any bytes.
      const script = path.join(folder, `${scripts++}.sh`);
      const words = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`);
      await writeFile(script, `exec ${words.join(' ')}\n`, 'latin1');
      return runScript(script, options);
    },
    async signal(container, name) {
      const sent = await start('podman', [...common, 'kill', '--signal', name, container]);
      if (sent.status !== 0) throw new Error(`podman kill: ${sent.stderr}`);
    },
    async remove() {
      await start('podman', [...common, 'rm', '--all', '--force']);
      await start('podman', [...common, 'rmi', '--all', '--force']);
      await start('umount', [path.join(folder, 'root', 'overlay')]);
      await removeFolder(folder);
    },
  };
}

function runScript(script: string, options: RunOptions): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', [script], { timeout: 60_000, killSignal: 'SIGKILL' });
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => {
      output.push(chunk);
      options.onOutput?.(chunk.toString());
    });
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
    child.on('error', reject);
    child.on('close', (status) =>
      resolve({
        stdout: Buffer.concat(output),
        stderr: Buffer.concat(errors),
        status: status ?? -1,
        signal: 0,
      }),
    );
    // A container that doesn't read its input closes the pipe.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.stdin ?? Buffer.of());
  });
}
