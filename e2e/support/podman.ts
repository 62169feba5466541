import path from 'node:path';
import type { CommandResult } from '@uport/testkit';
import { type RunBytesOptions, runBytes } from './run-bytes.ts';
import { removeFolder, temporaryFolder } from './temporary-folder.ts';
import { type Finished, start } from './uport.ts';

/** A podman of the tests' own, with its images in a temporary folder. */
export interface Podman {
  /** Brings an image of a layout in; answers its id. */
  pull(layout: string): Promise<string>;
  /** Runs a container to its end; arguments are bytes as Latin-1. */
  run(image: string, args: readonly string[], options?: RunOptions): Promise<CommandResult>;
  /** Sends a signal to the first process of a running container. */
  signal(container: string, name: string): Promise<void>;
  /** Any other podman command, with the images and containers of these tests. */
  call(...args: readonly string[]): Promise<Finished>;
  remove(): Promise<void>;
}

export interface RunOptions extends RunBytesOptions {
  readonly flags?: readonly string[];
}

/** Without the limits, podman asks for more than an unprivileged build machine may give. */
export const CONTAINER_FLAGS: readonly string[] = [
  ...['--runtime', 'runc', '--network=none'],
  ...['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'],
];

export async function openPodman(): Promise<Podman> {
  const folder = await temporaryFolder();
  const common = [
    ...['--root', path.join(folder, 'root'), '--runroot', path.join(folder, 'run')],
    ...['--storage-driver', 'overlay', '--cgroup-manager=cgroupfs'],
  ];
  const container = ['run', '--rm', '--interactive', ...CONTAINER_FLAGS, '--hostname', 'box'];
  return {
    async pull(layout) {
      const pulled = await start('podman', [...common, 'pull', '-q', `oci:${layout}:latest`]);
      if (pulled.status !== 0) throw new Error(`podman pull ${layout}: ${pulled.stderr}`);
      return pulled.stdout.trim();
    },
    async run(image, args, options = {}) {
      const { flags = [] } = options;
      return runBytes(['podman', ...common, ...container, ...flags, image, ...args], options);
    },
    async signal(container, name) {
      const sent = await start('podman', [...common, 'kill', '--signal', name, container]);
      if (sent.status !== 0) throw new Error(`podman kill: ${sent.stderr}`);
    },
    call: (...args) => start('podman', [...common, ...args]),
    async remove() {
      await start('podman', [...common, 'rm', '--all', '--force']);
      await start('podman', [...common, 'rmi', '--all', '--force']);
      await start('umount', [path.join(folder, 'root', 'overlay')]);
      await removeFolder(folder);
    },
  };
}
