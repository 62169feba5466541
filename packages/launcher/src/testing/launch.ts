// What the launcher's tests share: a folder with a launcher, a manifest and small programs.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { launcherFor } from '../launcher.ts';
import { encodeManifest, type ManifestCpu, type ManifestEmulator } from '../manifest.ts';

const HOST_OF_NODE: Readonly<Record<string, string>> = {
  x64: 'x86_64',
  arm64: 'aarch64',
  riscv64: 'riscv64',
  ppc64: 'ppc64le',
  s390x: 's390x',
  loong64: 'loongarch64',
  arm: 'arm',
  ia32: 'i386',
};

/** uport's name of the CPU the tests run on; undefined where there is no launcher for it. */
export const THIS_HOST: string | undefined =
  process.platform === 'linux' ? HOST_OF_NODE[process.arch] : undefined;

export const CPUS = {
  x86_64: { machine: 62, bits: 64, order: 'lsb' },
  aarch64: { machine: 183, bits: 64, order: 'lsb' },
  riscv64: { machine: 243, bits: 64, order: 'lsb' },
  ppc64le: { machine: 21, bits: 64, order: 'lsb' },
  s390x: { machine: 22, bits: 64, order: 'msb' },
  loongarch64: { machine: 258, bits: 64, order: 'lsb' },
  arm: { machine: 40, bits: 32, order: 'lsb' },
  i386: { machine: 3, bits: 32, order: 'lsb' },
  m68k: { machine: 4, bits: 32, order: 'msb' },
  mips: { machine: 8, bits: 32, order: 'msb', flags: { mask: 32, value: 0 } },
  mipsn32: { machine: 8, bits: 32, order: 'msb', flags: { mask: 32, value: 32 } },
  hppa: { machine: 15, bits: 32, order: 'msb' },
} as const satisfies Record<string, ManifestCpu>;

/** The ELF header of a program for a CPU, and no more: enough for the launcher to choose. */
export function elfHeader(cpu: ManifestCpu, type = 2): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, cpu.bits === 32 ? 1 : 2, cpu.order === 'lsb' ? 1 : 2, 1]);
  const flagsAt = cpu.bits === 32 ? 36 : 48;
  const put = (value: number, at: number, size: number) =>
    cpu.order === 'lsb' ? bytes.writeUIntLE(value, at, size) : bytes.writeUIntBE(value, at, size);
  put(type, 16, 2);
  put(cpu.machine, 18, 2);
  put(1, 20, 4);
  put(cpu.flags?.value ?? 0, flagsAt, 4);
  return bytes;
}

export interface Ran {
  readonly status: number | null;
  readonly signal: string | null;
  /** Bytes as Latin-1. */
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Milliseconds; 20 s unless given. */
  readonly timeout?: number;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export function run(command: string, args: readonly string[], options: RunOptions = {}): Ran {
  const { status, signal, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'latin1',
    // These emulators are scripts; children of the app have tests of their own.
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', UPORT_EXEC: 'none', ...options.env },
    timeout: options.timeout ?? 20_000,
    killSignal: 'SIGKILL',
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  if (error) throw error;
  return { status, signal, stdout, stderr };
}

/** The fields of a text in which a NUL ends each. */
export function fields(text: string): readonly string[] {
  return text.split('\0').slice(0, -1);
}

/** A folder for files of a test; everything in it goes away with `remove`. */
export interface Bench {
  readonly folder: string;
  /** Absolute path of a file in the folder. */
  at(name: string): string;
  /** Writes an executable file; a string is Latin-1 bytes. */
  program(name: string, content: string | Uint8Array, mode?: number): string;
  /** Puts a host's launcher into the folder `name`, with a manifest beside it. */
  launcher(host: string, emulators: readonly ManifestEmulator[], name?: string): string;
  remove(): void;
}

export function makeBench(): Bench {
  const folder = mkdtempSync(join(tmpdir(), 'uport-launcher-'));
  const at = (name: string) => join(folder, name);
  return {
    folder,
    at,
    program(name, content, mode = 0o755) {
      mkdirSync(dirname(at(name)), { recursive: true });
      const bytes = typeof content === 'string' ? Buffer.from(content, 'latin1') : content;
      writeFileSync(at(name), bytes, { mode });
      return at(name);
    },
    launcher(host, emulators, name = '.uport') {
      const found = launcherFor(host);
      if (!found) throw new Error(`no launcher for ${host}`);
      mkdirSync(at(name), { recursive: true });
      copyFileSync(found.path, at(`${name}/launch`));
      writeFileSync(at(`${name}/manifest`), encodeManifest({ emulators }), 'latin1');
      return at(`${name}/launch`);
    },
    remove() {
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A stand-in for an emulator: prints its own arguments, a NUL after each. */
export const SHOW_ARGUMENTS = '#!/bin/sh\nprintf \'%s\\0\' "$@"\n';

/** Runs a shell script that may hold any byte, which `run`'s arguments cannot. */
export function runShell(bench: Bench, script: string, options: RunOptions = {}): Ran {
  return run('/bin/sh', [bench.program('commands.sh', script)], options);
}

/** A word for the shell that stands for exactly these bytes. */
export function quote(bytes: string): string {
  return `'${bytes.replaceAll("'", "'\\''")}'`;
}

/** Whether a command is there and ends well. */
export function works(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}
