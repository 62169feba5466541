// A file and its command for a machine with the host's own kernel.
import { constants } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { CpioEntry } from '../kernels/cpio.ts';
import { BUSYBOX } from '../kernels/init-script.ts';
import type { KernelStart } from './host-start.ts';

const APP = 'app';
const TOOLS = ['sh', 'cat', 'env', 'uname', 'id', 'mkdir', 'chmod', 'rm', 'mv', 'sleep'];

/** Text as the bytes that execve is given. */
export function latin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/**
 * A machine with files of this machine's disk, and a small userland for scripts.
 *
 * @param files each with a name of its own
 * @param words what is started, before its arguments
 */
export async function fileOnKernel(
  files: readonly string[],
  words: readonly string[],
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<KernelStart> {
  const entries: CpioEntry[] = [
    directory(APP),
    directory('bin'),
    directory('usr'),
    directory('usr/bin'),
  ];
  for (const tool of TOOLS) entries.push(link(`bin/${tool}`, BUSYBOX));
  entries.push(link('usr/bin/env', BUSYBOX));
  for (const file of files) {
    const { size } = await stat(file);
    entries.push({
      path: `${APP}/${latin1(path.basename(file))}`,
      mode: constants.S_IFREG | 0o755,
      owner: 0,
      size,
      source: { file: latin1(path.resolve(file)) },
    });
  }
  return {
    entries,
    command: {
      argv: [...words, ...args].map(latin1),
      env: asBytes({ ...env, PATH: '/usr/bin:/bin', HOME: '/tmp' }),
      cwd: '/tmp',
    },
  };
}

/** Where `fileOnKernel` puts a file. */
export function placeOnKernel(file: string): string {
  return `/${APP}/${path.basename(file)}`;
}

export function asBytes(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => [latin1(name), latin1(value)]),
  );
}

function directory(name: string): CpioEntry {
  return { path: name, mode: constants.S_IFDIR | 0o755, owner: 0, size: 0 };
}

function link(name: string, target: string): CpioEntry {
  const mode = constants.S_IFLNK | 0o777;
  return { path: name, mode, owner: 0, size: target.length, source: { target } };
}
