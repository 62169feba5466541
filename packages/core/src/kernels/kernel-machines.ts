// The machines that qemu-system simulates, each with one of Debian's kernels.
import type { Arch } from '../model/arch.ts';

/** A machine of a host's CPU, as qemu-system starts it. */
export interface KernelMachine {
  readonly qemu: string;
  /** Debian packages that bring the emulator and its firmware. */
  readonly packages: readonly string[];
  readonly args: readonly string[];
  /** The kernel's name of its console. */
  readonly console: string;
  /** The size of the kernel's pages, in bytes. */
  readonly page: number;
  readonly kernel: KernelPackage;
}

/** Where in Debian a kernel lies. */
export interface KernelPackage {
  readonly suites: readonly string[];
  readonly architecture: string;
  readonly name: RegExp;
  /** The kernel's path in the package. */
  readonly path: RegExp;
}

/** The newest kernel of a Debian architecture. */
function newest(architecture: string, flavour = architecture): KernelPackage {
  return {
    suites: ['sid'],
    architecture,
    name: new RegExp(`^linux-binary-[0-9][^-]*-${flavour}$`),
    path: /^usr\/lib\/modules\/[^/]+\/vmlinuz$/,
  };
}

/** By uport's name of the CPU. */
export const KERNEL_MACHINES: Readonly<Record<string, KernelMachine>> = Object.freeze({
  x86_64: {
    qemu: 'qemu-system-x86_64',
    packages: ['qemu-system-x86'],
    args: ['-M', 'q35', '-cpu', 'max', '-vga', 'none'],
    console: 'ttyS0',
    page: 4096,
    kernel: newest('amd64'),
  },
  aarch64: {
    qemu: 'qemu-system-aarch64',
    packages: ['qemu-system-arm'],
    // The architecture's own algorithm of pointer authentication is slow to emulate.
    args: ['-M', 'virt', '-cpu', 'max,pauth-impdef=on'],
    console: 'ttyAMA0',
    page: 4096,
    kernel: newest('arm64'),
  },
  riscv64: {
    qemu: 'qemu-system-riscv64',
    packages: ['qemu-system-misc', 'opensbi'],
    args: ['-M', 'virt', '-bios', 'default'],
    console: 'ttyS0',
    page: 4096,
    kernel: newest('riscv64'),
  },
  s390x: {
    qemu: 'qemu-system-s390x',
    packages: ['qemu-system-misc'],
    args: ['-M', 's390-ccw-virtio'],
    console: 'ttysclp0',
    page: 4096,
    kernel: newest('s390x'),
  },
  ppc64le: {
    qemu: 'qemu-system-ppc64',
    packages: ['qemu-system-ppc'],
    // Its usual firmware, which is interpreted Forth, takes longer than the kernel does.
    args: ['-M', 'pseries,x-vof=on', '-cpu', 'power9', '-vga', 'none'],
    console: 'hvc0',
    // As hosts of this CPU have.
    page: 65536,
    kernel: newest('ppc64el', 'powerpc64le-64k'),
  },
});

/** The machine of a CPU; undefined when none is known. */
export function kernelMachine(arch: Arch): KernelMachine | undefined {
  return Object.hasOwn(KERNEL_MACHINES, arch.name) ? KERNEL_MACHINES[arch.name] : undefined;
}

/**
 * What qemu-system is started with to boot a kernel with an archive as its root, and its console on
 * standard output.
 *
 * @param megabytes of memory
 * @param init the path of the first process
 * @param processors 2 when left out
 */
export function machineArguments(
  machine: KernelMachine,
  files: { readonly kernel: string; readonly initramfs: string },
  options: { readonly megabytes: number; readonly init: string; readonly processors?: number },
): readonly string[] {
  return [
    ...machine.args,
    ...['-m', String(options.megabytes), '-smp', String(options.processors ?? 2)],
    ...['-nic', 'none', '-no-reboot'],
    ...['-display', 'none', '-monitor', 'none', '-serial', 'stdio'],
    ...['-kernel', files.kernel, '-initrd', files.initramfs],
    // As a tmpfs, which is the default, the root could fill half of the memory only.
    ...[
      '-append',
      `console=${machine.console} rootfstype=ramfs rdinit=${options.init} panic=-1 quiet`,
    ],
  ];
}

/**
 * Megabytes for a machine whose root is unpacked of an archive: both lie in memory then, and files take whole
 * pages of it.
 *
 * @param sizes of the files, in bytes
 */
export function memoryFor({ page }: KernelMachine, sizes: readonly number[]): number {
  const bytes = sizes.reduce((sum, size) => sum + size + Math.ceil(size / page) * page, 0);
  return Math.max(1024, 512 + Math.ceil(bytes / 2 ** 20));
}
