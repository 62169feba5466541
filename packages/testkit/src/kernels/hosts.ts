import { KERNEL_MACHINES, type KernelMachine } from '@uport/core';

/** A machine that tests run on: this one, or one that qemu-system simulates with a kernel of its own. */
export interface SimulatedHost {
  readonly name: string;
  /** uport's name of its CPU. */
  readonly arch: string;
  /** Left out: this machine itself. */
  readonly machine?: KernelMachine;
}

const { aarch64, riscv64, s390x, ppc64le } = KERNEL_MACHINES as Record<string, KernelMachine>;

/** Every machine that uport's default hosts can be tried on, by its CPU. */
export const SIMULATED_HOSTS: readonly SimulatedHost[] = Object.freeze([
  { name: 'x86_64', arch: 'x86_64' },
  host('aarch64', aarch64),
  {
    // Before Linux 6.7 there is no private binfmt_misc.
    ...host('aarch64', aarch64),
    name: 'aarch64-linux-6.1',
    machine: {
      ...(aarch64 as KernelMachine),
      kernel: {
        suites: ['bookworm'],
        architecture: 'arm64',
        name: /^linux-image-6\.1\.[0-9.]+-[0-9]+-cloud-arm64$/,
        path: /^boot\/vmlinuz-[^/]+$/,
      },
    },
  },
  host('riscv64', riscv64),
  host('s390x', s390x),
  host('ppc64le', ppc64le),
]);

/** Kernels that differ from those in how they show system calls to a tracer: for the exec ladder alone. */
export const OLDER_KERNELS: readonly SimulatedHost[] = Object.freeze([
  {
    // Before the generic system call entry a stop by seccomp shows the first argument elsewhere.
    ...host('ppc64le', ppc64le),
    name: 'ppc64le-linux-6.1',
    machine: {
      ...(ppc64le as KernelMachine),
      kernel: {
        suites: ['bookworm'],
        architecture: 'ppc64el',
        name: /^linux-image-6\.1\.[0-9.]+-[0-9]+-powerpc64le$/,
        path: /^boot\/vmlinux-[^/]+$/,
      },
    },
  },
]);

function host(arch: string, machine: KernelMachine | undefined): SimulatedHost {
  if (machine === undefined) throw new Error(`no machine of ${arch} is known`);
  return { name: arch, arch, machine };
}

/** @throws Error when there is no such row in the tables */
export function simulatedHost(name: string): SimulatedHost {
  const found = [...SIMULATED_HOSTS, ...OLDER_KERNELS].find((host) => host.name === name);
  if (!found) throw new Error(`no simulated host is called ${name}`);
  return found;
}
