import { existsSync } from 'node:fs';
import { readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import {
  binfmtLine,
  binfmtRegistration,
  hostArch,
  parseArch,
  parseEmulatorProvider,
  silentProgress,
} from '@uport/core';
import {
  compile,
  emulatorFolder,
  type FixtureOptions,
  type HostFile,
  missingHost,
  missingMusl,
  missingToolchains,
  REPOSITORY,
  TOOLCHAINS,
  testStore,
} from '@uport/testkit';
import { busybox } from '../support/busybox.ts';
import type { Machine } from './ways.ts';

const PROGRAMS = path.join(import.meta.dirname, 'programs');

/** The cross compiler's name for a CPU. */
const toolchainOf = (arch: string) => (arch === 'arm' ? 'armhf' : arch);

/** Why the suite can't run on a machine, with the command that brings what is missing. */
export function missingMachine({ name, guest, third }: Machine): string | undefined {
  const missing = missingHost(name) ?? missingToolchains(guest, toolchainOf(third));
  return missing ?? (hasSmallTool(guest) ? missingMusl(guest) : undefined);
}

/**
 * Whether the guest's static tool is linked with musl. It is started a thousand times: the start of a
 * glibc program costs QEMU seven times as much, which a simulated machine takes a second for.
 */
const hasSmallTool = (guest: string) => guest === hostArch().name;

function program(source: string, arch: string, options: FixtureOptions = {}) {
  return compile(path.join(PROGRAMS, `${source}.c`), toolchainOf(arch), options);
}

/** The C library of a cross compiler, by the places where its programs look for it. */
async function libraries(arch: string): Promise<Record<string, HostFile>> {
  const row = TOOLCHAINS.find(({ name }) => name === toolchainOf(arch));
  if (!row) throw new Error(`no toolchain for ${arch}`);
  const { triplet } = row;
  // A compiler of the machine's own CPU has the machine's libraries.
  const cross = `/usr/${triplet}/lib`;
  const from = existsSync(path.join(cross, 'libc.so.6')) ? cross : `/lib/${triplet}`;
  const loader = interpreterOf(
    await readFile(await program('tool', arch, { linkage: 'dynamic' })),
  ).text;
  return {
    [loader]: { copy: await realpath(path.join(from, path.basename(loader))), mode: 0o755 },
    [`/lib/${triplet}/libc.so.6`]: { copy: await realpath(path.join(from, 'libc.so.6')) },
  };
}

/** Where a dynamically linked program names its loader. */
function interpreterOf(elf: Buffer): { text: string; offset: number } {
  const offset = elf.indexOf('/lib');
  return { offset, text: elf.toString('latin1', offset, elf.indexOf(0, offset)) };
}

/** An emulator as packages have it, with its relocations applied where that is proven. */
async function emulator(guest: string, host: string, signal: AbortSignal): Promise<string> {
  const store = await testStore();
  const provider = parseEmulatorProvider(`dir:${await emulatorFolder([guest], signal)}`);
  const context = { store, progress: silentProgress, signal };
  const found = await provider.find(parseArch(guest), parseArch(host), context);
  if (!found) throw new Error(`Debian has no emulator of ${guest} for ${host}`);
  return store.pathOf(found.digest);
}

/** The root file system `/box` of a machine: the launcher with its emulators, and the suite. */
export async function boxFiles(
  machine: Machine,
  signal: AbortSignal,
): Promise<Record<string, HostFile>> {
  const { arch, guest, third } = machine;
  const executable = async (file: string | Promise<string>, mode = 0o755) => ({
    copy: await file,
    mode,
    owner: 0,
  });
  const manifest = [guest, third].map((name) => {
    const { machine: e, bits, order } = parseArch(name).elf;
    return `emulator ${name} ${e} ${bits} ${order} 0 0 qemu-${name}\n`;
  });
  const files: Record<string, HostFile> = {
    '/uport/launch': await executable(
      path.join(REPOSITORY, 'packages/launcher/prebuilt', arch, 'launch'),
    ),
    '/uport/manifest': { content: `uport-manifest 1\n${manifest.join('')}` },
    [`/uport/qemu-${guest}`]: await executable(emulator(guest, arch, signal)),
    [`/uport/qemu-${third}`]: await executable(emulator(third, arch, signal)),
    '/opt/enter': await executable(program('enter', arch)),
    '/suite/outside': await executable(program('outside', arch)),
    '/bin/busybox': await executable(busybox(arch, signal)),
    '/suite/guest/sh': await executable(busybox(guest, signal)),
    '/suite/suite': await executable(program('suite', guest)),
    '/suite/tool-no-loader': { content: await withoutLoader(guest), mode: 0o755 },
    '/suite/preload.so': await executable(program('preload', guest, { linkage: 'shared' }), 0o644),
    '/suite/third-tool': await executable(program('tool', third)),
    ...(await libraries(arch)),
    ...(await libraries(guest)),
    '/tmp': { directory: true, mode: 0o1777 },
    '/proc': { directory: true },
    '/etc/passwd': { content: 'root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n' },
  };
  for (const name of ['one', 'two', 'three']) {
    files[`/suite/folder/${name}`] = { content: `${name}\n` };
  }
  for (const [prefix, cpu] of [
    ['', guest],
    ['host-', arch],
  ] as const) {
    const library = cpu === guest && hasSmallTool(guest) ? 'musl' : 'glibc';
    files[`/suite/${prefix}tool`] = await executable(program('tool', cpu, { library }));
    files[`/suite/${prefix}tool-dynamic`] = await executable(
      program('tool', cpu, { linkage: 'dynamic' }),
    );
    // bookworm's cross C libraries have its start files for these only.
    const linkage = /^(?:x86_64|aarch64)$/.test(cpu) ? 'static-pie' : 'static';
    files[`/suite/${prefix}tool-pie`] = await executable(program('tool', cpu, { linkage }));
    files[`/suite/${prefix}tool-setuid`] = await executable(program('tool', cpu), 0o4755);
  }
  for (const applet of ['sh', 'env', 'find', 'sort', 'xargs', 'yes', 'head', 'readlink', 'kill']) {
    files[`/bin/${applet}`] = LINK_TO_BUSYBOX;
  }
  files['/usr/bin/env'] = LINK_TO_BUSYBOX;
  return files;
}

/** The same for the host's own CPU, whose programs take the guest's places; without the launcher. */
export async function nativeBoxFiles(
  machine: Machine,
  signal: AbortSignal,
): Promise<Record<string, HostFile>> {
  const { arch } = machine;
  const all = await boxFiles(machine, signal);
  const own: Record<string, HostFile> = {
    '/suite/tool-no-loader': { content: await withoutLoader(arch), mode: 0o755 },
    '/suite/preload.so': {
      copy: await program('preload', arch, { linkage: 'shared' }),
      mode: 0o644,
      owner: 0,
    },
    '/suite/guest/sh': all['/bin/busybox'] as HostFile,
    '/suite/suite': { copy: await program('suite', arch), mode: 0o755, owner: 0 },
    '/suite/third-tool': all['/suite/host-tool'] as HostFile,
  };
  for (const name of ['tool', 'tool-dynamic', 'tool-pie', 'tool-setuid']) {
    own[`/suite/${name}`] = all[`/suite/host-${name}`] as HostFile;
  }
  return Object.fromEntries(
    Object.entries({ ...all, ...own }).filter(([name]) => !name.startsWith('/uport/')),
  );
}

/** A program whose loader is nowhere. */
async function withoutLoader(arch: string): Promise<Buffer> {
  const elf = await readFile(await program('tool', arch, { linkage: 'dynamic' }));
  elf.write('/nil', interpreterOf(elf).offset);
  return elf;
}

const LINK_TO_BUSYBOX: HostFile = { link: '/bin/busybox' };

/** The lines that register a machine's emulators, as `uport binfmt register` writes them. */
export function registrations({ guest, third }: Machine): readonly string[] {
  return [guest, third].map((name) =>
    binfmtLine(binfmtRegistration(parseArch(name), `/uport/qemu-${name}`)),
  );
}
