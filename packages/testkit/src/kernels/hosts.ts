/** A machine that tests run on: this one, or one that qemu-system simulates with a kernel of its own. */
export interface SimulatedHost {
  readonly name: string;
  /** uport's name of its CPU. */
  readonly arch: string;
  /** Left out: this machine itself. */
  readonly machine?: {
    readonly qemu: string;
    /** Debian packages that bring the emulator and its firmware. */
    readonly packages: readonly string[];
    readonly args: readonly string[];
    /** The kernel's name of its console. */
    readonly console: string;
    readonly kernel: KernelPackage;
  };
}

/** Where in Debian a kernel lies. */
export interface KernelPackage {
  readonly suites: readonly string[];
  readonly architecture: string;
  readonly name: RegExp;
  /** The kernel's path in the package. */
  readonly path: RegExp;
}

const UNSTABLE_IMAGE = /^usr\/lib\/modules\/[^/]+\/vmlinuz$/;

const ARM64 = {
  qemu: 'qemu-system-aarch64',
  packages: ['qemu-system-arm'],
  args: ['-M', 'virt', '-cpu', 'max,pauth-impdef=on'],
  console: 'ttyAMA0',
};

/** Every machine that uport's default hosts can be tried on, by its CPU. */
export const SIMULATED_HOSTS: readonly SimulatedHost[] = Object.freeze([
  { name: 'x86_64', arch: 'x86_64' },
  {
    name: 'aarch64',
    arch: 'aarch64',
    machine: {
      ...ARM64,
      kernel: {
        suites: ['sid'],
        architecture: 'arm64',
        name: /^linux-binary-[0-9][^-]*-arm64$/,
        path: UNSTABLE_IMAGE,
      },
    },
  },
  {
    // Before Linux 6.7 there is no private binfmt_misc.
    name: 'aarch64-linux-6.1',
    arch: 'aarch64',
    machine: {
      ...ARM64,
      kernel: {
        suites: ['bookworm'],
        architecture: 'arm64',
        name: /^linux-image-6\.1\.[0-9.]+-[0-9]+-cloud-arm64$/,
        path: /^boot\/vmlinuz-[^/]+$/,
      },
    },
  },
  {
    name: 'riscv64',
    arch: 'riscv64',
    machine: {
      qemu: 'qemu-system-riscv64',
      packages: ['qemu-system-misc', 'opensbi'],
      args: ['-M', 'virt', '-bios', 'default'],
      console: 'ttyS0',
      kernel: {
        suites: ['sid'],
        architecture: 'riscv64',
        name: /^linux-binary-[0-9][^-]*-riscv64$/,
        path: UNSTABLE_IMAGE,
      },
    },
  },
  {
    name: 's390x',
    arch: 's390x',
    machine: {
      qemu: 'qemu-system-s390x',
      packages: ['qemu-system-misc'],
      args: ['-M', 's390-ccw-virtio'],
      console: 'ttysclp0',
      kernel: {
        suites: ['sid'],
        architecture: 's390x',
        name: /^linux-binary-[0-9][^-]*-s390x$/,
        path: UNSTABLE_IMAGE,
      },
    },
  },
  {
    // Pages of 64 KiB.
    name: 'ppc64le',
    arch: 'ppc64le',
    machine: {
      qemu: 'qemu-system-ppc64',
      packages: ['qemu-system-ppc'],
      args: ['-M', 'pseries', '-cpu', 'power9', '-vga', 'none'],
      console: 'hvc0',
      kernel: {
        suites: ['sid'],
        architecture: 'ppc64el',
        name: /^linux-binary-[0-9][^-]*-powerpc64le-64k$/,
        path: UNSTABLE_IMAGE,
      },
    },
  },
]);

/** @throws Error when there is no such row in the table */
export function simulatedHost(name: string): SimulatedHost {
  const found = SIMULATED_HOSTS.find((host) => host.name === name);
  if (!found) throw new Error(`no simulated host is called ${name}`);
  return found;
}
