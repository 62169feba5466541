import { execFileSync } from 'node:child_process';
import { copyFile, cp, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { findProgram, missingToolchains, REPOSITORY } from '@uport/testkit';
import { nixIn, nixMissing } from './nix.ts';
import { missingTools } from './tools.ts';

/** CPUs whose cross C libraries Debian has, with the loader's name. */
const CPUS = {
  riscv64: { triplet: 'riscv64-linux-gnu', loader: 'ld-linux-riscv64-lp64d.so.1' },
  s390x: { triplet: 's390x-linux-gnu', loader: 'ld64.so.1' },
  ppc64le: { triplet: 'powerpc64le-linux-gnu', loader: 'ld64.so.2' },
  aarch64: { triplet: 'aarch64-linux-gnu', loader: 'ld-linux-aarch64.so.1' },
} as const;

export type ClosureCpu = keyof typeof CPUS;

/** Why no closure of this CPU can be built here. */
export function closureMissing(cpu: ClosureCpu): string | undefined {
  return nixMissing ?? missingTools('busybox') ?? missingToolchains(cpu);
}

/** A dynamic program that Nix built with its loader, libraries and data in store paths of their own. */
export interface DynamicClosure {
  /** The folder in which `nix/store` lies. */
  readonly root: string;
  /** The folder of its `default.nix`. */
  readonly source: string;
  readonly hello: string;
  /** Its program is a link into `hello`. */
  readonly wrapped: string;
  /** Its program is a script; it has sealed files, an empty folder, odd names. */
  readonly odd: string;
  /** All store paths of `wrapped`, sorted, as Nix tells them. */
  readonly requisites: readonly string[];
  readonly nix: ReturnType<typeof nixIn>;
}

/** The Nix sources of `support/closure` in `folder/source`, with busybox as `bin/busybox`. */
export async function copyNixSources(folder: string): Promise<string> {
  const source = path.join(folder, 'source');
  await cp(path.join(REPOSITORY, 'e2e/support/closure'), source, { recursive: true });
  for (const place of [path.join(folder, 'root'), path.join(source, 'bin')]) await mkdir(place);
  await copyFile(findProgram('busybox') as string, path.join(source, 'bin/busybox'));
  return source;
}

/** Compiles and builds it, offline, in an own store below `folder`. */
export async function buildClosure(folder: string, cpu: ClosureCpu): Promise<DynamicClosure> {
  const { triplet, loader } = CPUS[cpu];
  const source = await copyNixSources(folder);
  const root = path.join(folder, 'root');
  await mkdir(path.join(source, 'libc'));
  for (const library of [loader, 'libc.so.6', 'libm.so.6']) {
    await copyFile(`/usr/${triplet}/lib/${library}`, path.join(source, 'libc', library));
  }
  // The names must be there before their files can be linked with the paths of others.
  for (const name of ['hello', 'libgreet.so.1']) await writeFile(path.join(source, name), '');
  const nix = nixIn(root);
  const done = async (command: string, args: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await nix(command, args, { cwd: source });
    if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
    return stdout.trim();
  };
  const outPath = async (name: string): Promise<string> =>
    JSON.parse(
      await done('nix-instantiate', [
        ...['--eval', '--json', '--read-write-mode', '-A', `${name}.outPath`, '.'],
      ]),
    );
  const link = (...args: readonly string[]) =>
    execFileSync(`${triplet}-gcc`, ['-O1', ...args], { cwd: source });
  const libc = await outPath('libc');
  link(
    ...['-shared', '-fPIC', `-DGREETING="hello from ${cpu}"`, 'greet.c', '-o', 'libgreet.so.1'],
    ...['-Wl,-soname,libgreet.so.1', `-Wl,-rpath,${libc}/lib`],
  );
  const greet = await outPath('greet');
  link(
    ...[`-DDATA="${await outPath('data')}"`, 'hello.c', 'libgreet.so.1', '-o', 'hello'],
    ...[`-Wl,--dynamic-linker=${libc}/lib/${loader}`, `-Wl,-rpath,${greet}/lib:${libc}/lib`],
  );
  const wrapped = await done('nix-build', ['--no-out-link', '-A', 'wrapped']);
  const odd = await done('nix-build', ['--no-out-link', '-A', 'odd']);
  const requisites = await done('nix-store', ['--query', '--requisites', wrapped]);
  return {
    root,
    source,
    hello: await outPath('hello'),
    wrapped,
    odd,
    requisites: requisites.split('\n').sort(),
    nix,
  };
}
