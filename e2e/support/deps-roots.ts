// Root file systems of several CPUs with many dynamic programs, from Debian's packages.
import { existsSync, lstatSync, readdirSync, realpathSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { inspectElf } from '@uport/core/inspect';
import { cacheFolder } from '@uport/testkit';
import { uport } from './uport.ts';

/** A CPU, by Debian's name and QEMU's, and the suite that has it. */
export interface DepsCpu {
  readonly debian: string;
  readonly qemu: string;
  readonly suite: string;
  /** Of the cross compiler. */
  readonly gnu: string;
  /** musl's name of the CPU, and Debian's folder for its library. */
  readonly musl: string;
  readonly muslFolder: string;
}

export const DEPS_CPUS: readonly DepsCpu[] = [
  {
    debian: 'arm64',
    qemu: 'aarch64',
    suite: 'bookworm',
    gnu: 'aarch64-linux-gnu',
    musl: 'aarch64',
    muslFolder: 'aarch64-linux-musl',
  },
  {
    debian: 'riscv64',
    qemu: 'riscv64',
    suite: 'sid',
    gnu: 'riscv64-linux-gnu',
    musl: 'riscv64',
    muslFolder: 'riscv64-linux-musl',
  },
  {
    debian: 's390x',
    qemu: 's390x',
    suite: 'bookworm',
    gnu: 's390x-linux-gnu',
    musl: 's390x',
    muslFolder: 's390x-linux-musl',
  },
  {
    ...{ debian: 'ppc64el', qemu: 'ppc64le', suite: 'bookworm' },
    ...{ gnu: 'powerpc64le-linux-gnu', musl: 'powerpc64le', muslFolder: 'powerpc64le-linux-musl' },
  },
  {
    ...{ debian: 'armhf', qemu: 'arm', suite: 'bookworm' },
    ...{ gnu: 'arm-linux-gnueabihf', musl: 'armhf', muslFolder: 'arm-linux-musleabihf' },
  },
];

const FEW = ['git', 'openssl', 'libc-bin', 'musl'];
const MANY = [
  ...['coreutils', 'util-linux', 'curl', 'gnupg', 'python3', 'perl-base', 'procps', 'iproute2'],
  ...['e2fsprogs', 'bsdextrautils', 'tar', 'openssh-client'],
];

/** The root of a CPU: kept, since its packages have tens of megabytes. */
export async function depsRoot({ debian, suite }: DepsCpu, many: boolean): Promise<string> {
  const root = path.join(cacheFolder('deps-roots'), `${debian}-${suite}-${many ? 'many' : 'few'}`);
  if (existsSync(root)) return root;
  const temporary = `${root}.${process.pid}`;
  await mkdir(path.dirname(root), { recursive: true });
  await rm(temporary, { recursive: true, force: true });
  const packages = (many ? [...FEW, ...MANY] : FEW).join(',');
  const made = await uport(
    [
      ...['rootfs', 'create', '--arch', debian, '--suite', suite, '--variant', 'extract'],
      ...['--include', packages, '-o', temporary],
    ],
    { seconds: 600 },
  );
  if (made.status !== 0) throw new Error(made.stderr);
  await rename(temporary, root);
  return root;
}

/** The dynamic programs of a root, by their paths in it, each file once. */
export async function dynamicPrograms(root: string): Promise<readonly string[]> {
  const found = new Map<string, string>();
  for (const folder of ['usr/bin', 'usr/sbin', 'usr/lib/git-core']) {
    const place = path.join(root, folder);
    if (!existsSync(place)) continue;
    for (const name of readdirSync(place).sort()) {
      const file = path.join(place, name);
      if (!lstatSync(file).isFile()) continue;
      const read = await inspectElf(file).catch(() => undefined);
      if (read?.elf.linkage === 'dynamic') found.set(realpathSync(file), `/${folder}/${name}`);
    }
  }
  return [...found.values()];
}
