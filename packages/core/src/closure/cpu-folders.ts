// Where the dynamic linkers of each CPU look, as the distributions build them.
import type { Elf } from '@uport/elf';
import { archOfElf } from '../model/arch.ts';

/** Debian's multiarch folder name of a program's CPU and calling convention; undefined for CPUs it has no port of. */
export function multiarchTriplet(elf: Pick<Elf, 'identity' | 'abi'>): string | undefined {
  const { identity, abi } = elf;
  if (abi.x32) return 'x86_64-linux-gnux32';
  const arch = archOfElf(identity);
  if (arch?.debian === undefined) return undefined;
  if (arch.name === 'i386') return 'i386-linux-gnu';
  if (arch.name === 'arm') {
    return abi.armFloat === 'soft' ? 'arm-linux-gnueabi' : 'arm-linux-gnueabihf';
  }
  return arch.gnu;
}

/** Debian's name of the architecture of a program, where the calling convention decides it. */
export function debianArchitecture(elf: Pick<Elf, 'identity' | 'abi'>): string | undefined {
  if (elf.abi.x32) return 'x32';
  const arch = archOfElf(elf.identity);
  if (arch?.name === 'arm' && elf.abi.armFloat === 'soft') return 'armel';
  return arch?.debian;
}

/** The folder of 64-bit libraries where it is not `lib`, outside Debian. */
const LIB64: ReadonlySet<string> = new Set([
  'x86_64',
  'aarch64',
  'ppc64le',
  'ppc64',
  's390x',
  'loongarch64',
  'sparc64',
]);

/**
 * The folders that a dynamic linker has built in, best guess: Debian's, then what others use. The
 * linker itself tells better: see `foldersInLinker`.
 */
export function guessedFolders(elf: Pick<Elf, 'identity' | 'abi'>): readonly string[] {
  const triplet = multiarchTriplet(elf);
  const name = archOfElf(elf.identity)?.name ?? '';
  const parts = [
    ...(triplet === undefined ? [] : [`lib/${triplet}`]),
    ...(name === 'riscv64' ? ['lib64/lp64d'] : []),
    ...(LIB64.has(name) ? ['lib64'] : []),
    ...(elf.abi.x32 ? ['libx32'] : []),
    ...(elf.abi.mips === 'n32' ? ['lib32'] : []),
    'lib',
  ];
  return parts.flatMap((part) => [`/${part}`, `/usr/${part}`]);
}

/**
 * The folders that a dynamic linker of glibc has built in: they lie in it one after another, each
 * with a slash at its end. None when it is built otherwise.
 */
export function foldersInLinker(linker: Buffer): readonly string[] {
  const text = linker.toString('latin1');
  const found = /(?:\/[\w./+-]*lib[\w./+-]*\/\0){2,32}/.exec(text)?.[0] ?? '';
  return found
    .split('\0')
    .filter((folder) => folder !== '')
    .map((folder) => folder.slice(0, -1));
}

/** The subfolders of `glibc-hwcaps`, best first (glibc's manual, "Hardware Capability Subdirectories"). */
export const HWCAPS: Readonly<Record<string, readonly string[]>> = {
  x86_64: ['x86-64-v4', 'x86-64-v3', 'x86-64-v2'],
  ppc64le: ['power10', 'power9'],
  s390x: ['z17', 'z16', 'z15', 'z14', 'z13'],
};

/** What `$PLATFORM` stands for on the CPU that QEMU user mode shows by default. */
export const PLATFORMS: Readonly<Record<string, string>> = {
  x86_64: 'x86_64',
  i386: 'i686',
  aarch64: 'aarch64',
  arm: 'v7l',
  ppc64le: 'power9',
  ppc64: 'power9',
  s390x: 'z15',
};
