// Universal files for the tests: this machine's launcher with a payload of the test's own.
import { readFileSync } from 'node:fs';
import { launcherFor } from '../launcher.ts';
import { type Bench, CPUS, type Ran, type RunOptions, run, SHOW_ARGUMENTS } from './launch.ts';
import {
  encodePayload,
  type Node,
  type Payload,
  singleHost,
  type Twist,
  type Universal,
} from './payload.ts';

export function launcherBytes(host: string): Buffer {
  const found = launcherFor(host);
  if (!found) throw new Error(`no launcher for ${host}`);
  return readFileSync(found.path);
}

/** An app with a program of another CPU, whose emulator shows its arguments, and a script. */
export const TREE: readonly Node[] = [
  { dir: 'bin', mode: 0o555 },
  { file: 'bin/foreign', content: foreign() },
  { file: 'bin/script', content: SHOW_ARGUMENTS, mode: 0o500 },
  { dir: 'data', mode: 0o750 },
  { file: 'data/empty', content: '', mode: 0o644 },
  { file: 'data/\xff %\n', content: 'any byte', mode: 0o640 },
  { dir: 'data/none', mode: 0o000 },
  { symlink: 'data/away', target: '/nowhere' },
  { symlink: 'here', target: 'bin/script' },
  { link: 'bin/again', target: 'bin/script' },
];

function foreign(): Buffer {
  const header = Buffer.alloc(5000, 'x');
  header.set([0x7f, 0x45, 0x4c, 0x46, 1, 2, 1]);
  header.writeUInt16BE(2, 16);
  header.writeUInt16BE(CPUS.m68k.machine, 18);
  header.writeUInt32BE(0, 36);
  return header;
}

export function exampleApp(host: string, change: Partial<Universal> = {}): Universal {
  const m68k = { name: 'm68k', elf: CPUS.m68k, content: SHOW_ARGUMENTS, args: ['-cpu', 'a b'] };
  return {
    hosts: [{ name: host, launcher: launcherBytes(host), emulators: [m68k] }],
    programs: [
      { name: 'foreign', path: 'bin/foreign' },
      { name: 'script', path: 'bin/script' },
      { name: 'here', path: 'here' },
    ],
    nodes: TREE,
    ...change,
  };
}

/** A single-host file on a bench, and what it leaves in the cache there. */
export interface App {
  readonly file: string;
  readonly payload: Payload;
  /** Where it lies unpacked, by its own cache. */
  readonly folder: string;
  start(args?: readonly string[], options?: RunOptions): Ran;
}

export function writeApp(
  bench: Bench,
  host: string,
  universal: Universal,
  name = 'app',
  twist: Twist = {},
): App {
  const payload = encodePayload(universal, twist);
  const launcher = universal.hosts.find((one) => one.name === host)?.launcher;
  const file = bench.program(name, singleHost(launcher ?? launcherBytes(host), payload));
  const cache = bench.at(`${name}.cache`);
  return {
    file,
    payload,
    folder: `${cache}/${payload.id}-${host}`,
    start: (args = [], options = {}) =>
      run(file, args, { ...options, env: { UPORT_CACHE_DIR: cache, ...options.env } }),
  };
}
