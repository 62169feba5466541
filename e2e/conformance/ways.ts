/** How programs of the guest's CPU start others of their CPU. */
export type Way = 'native' | 'binfmt' | 'userns' | 'listen' | 'follow' | 'ptrace' | 'none';

/** In this order: a registration with the kernel stays until it stops. */
export const WAYS: readonly Way[] = [
  ...(['native', 'userns', 'listen', 'follow', 'ptrace', 'none', 'binfmt'] as const),
];

/** `UPORT_EXEC` of each; how its supervisor works is for the launcher to find out. */
export const FORCED_WAYS: Readonly<Record<Exclude<Way, 'native'>, string>> = {
  binfmt: 'binfmt',
  userns: 'userns',
  listen: 'ptrace',
  follow: 'ptrace',
  ptrace: 'ptrace',
  none: 'none',
};

/** What a table calls them. */
export const WAY_TITLES: Readonly<Record<Way, string>> = {
  native: 'without emulation',
  binfmt: "the system's binfmt_misc",
  userns: 'private binfmt_misc',
  listen: 'supervisor, listening',
  follow: 'supervisor, following',
  ptrace: 'supervisor, tracing',
  none: 'plain emulation',
};

/** A machine of the table: a name of `SIMULATED_HOSTS`. */
export interface Machine {
  readonly name: string;
  readonly arch: string;
  readonly guest: string;
  /** A CPU that is neither. */
  readonly third: string;
  readonly ways: readonly Way[];
}

const machine = (name: string, arch: string, third: string, ways: readonly Way[]): Machine => ({
  name,
  arch,
  guest: arch === 'x86_64' ? 'aarch64' : 'x86_64',
  third,
  ways,
});

export const MACHINES: readonly Machine[] = [
  machine('x86_64', 'x86_64', 'arm', WAYS),
  machine('aarch64', 'aarch64', 'riscv64', WAYS),
  // Private registrations came with Linux 6.7.
  machine(
    'aarch64-linux-6.1',
    'aarch64',
    'riscv64',
    WAYS.filter((way) => way !== 'userns'),
  ),
  machine('riscv64', 'riscv64', 'arm', WAYS),
  machine('ppc64le', 'ppc64le', 'arm', WAYS),
  machine('s390x', 's390x', 'arm', WAYS),
];

/** The one whose kernel is this machine's own. */
export const HERE = MACHINES[0] as Machine;
