import { UportError } from '@uport/errors';

/** e_machine, EI_CLASS and EI_DATA of a CPU's programs, and the e_flags bits that tell it from its twins. */
export interface ElfMachine {
  readonly machine: number;
  readonly bits: 32 | 64;
  readonly order: 'lsb' | 'msb';
  /** A program is of this CPU when `(e_flags & mask) === value`. */
  readonly flags?: { readonly mask: number; readonly value: number };
}

/** A platform as image-spec 1.1 and Go name it. */
export interface OciPlatform {
  readonly os: 'linux';
  readonly architecture: string;
  readonly variant?: string;
}

/** One CPU with the name that each world gives it. A new CPU is one more row in `ROWS`. */
export interface Arch {
  /** QEMU's name: the emulator is `qemu-<name>`. It is the name used inside uport. */
  readonly name: string;
  readonly elf: ElfMachine;
  /** What `uname -m` prints on it, most usual first. */
  readonly uname: readonly string[];
  readonly gnu: string;
  readonly oci?: OciPlatform;
  readonly debian?: string;
  readonly nix?: string;
  readonly node?: string;
  /** Other spellings people use. */
  readonly aliases: readonly string[];
  /** CPUs whose kernel may run this one's programs directly. */
  readonly compatibleWith: readonly string[];
}

type Row = Omit<Arch, 'elf' | 'oci' | 'aliases' | 'compatibleWith'> & {
  readonly elf: readonly [
    machine: number,
    bits: 32 | 64,
    order: 'lsb' | 'msb',
    flags?: readonly [mask: number, value: number],
  ];
  readonly oci?: readonly [architecture: string, variant?: string];
  readonly aliases?: readonly string[];
  readonly compatibleWith?: readonly string[];
};

const EF_MIPS_ABI2 = 0x20;

const ROWS: readonly Row[] = [
  {
    name: 'x86_64',
    elf: [62, 64, 'lsb'],
    uname: ['x86_64'],
    gnu: 'x86_64-linux-gnu',
    oci: ['amd64'],
    debian: 'amd64',
    nix: 'x86_64-linux',
    node: 'x64',
    aliases: ['x86-64'],
  },
  {
    name: 'aarch64',
    elf: [183, 64, 'lsb'],
    uname: ['aarch64'],
    gnu: 'aarch64-linux-gnu',
    oci: ['arm64', 'v8'],
    debian: 'arm64',
    nix: 'aarch64-linux',
    node: 'arm64',
    aliases: ['armv8', 'arm64v8'],
  },
  {
    name: 'riscv64',
    elf: [243, 64, 'lsb'],
    uname: ['riscv64'],
    gnu: 'riscv64-linux-gnu',
    oci: ['riscv64'],
    debian: 'riscv64',
    nix: 'riscv64-linux',
    node: 'riscv64',
    aliases: ['rv64'],
  },
  {
    name: 'ppc64le',
    elf: [21, 64, 'lsb'],
    uname: ['ppc64le'],
    gnu: 'powerpc64le-linux-gnu',
    oci: ['ppc64le'],
    debian: 'ppc64el',
    nix: 'powerpc64le-linux',
    node: 'ppc64',
    aliases: ['powerpc64le'],
  },
  {
    name: 's390x',
    elf: [22, 64, 'msb'],
    uname: ['s390x'],
    gnu: 's390x-linux-gnu',
    oci: ['s390x'],
    debian: 's390x',
    nix: 's390x-linux',
    node: 's390x',
  },
  {
    name: 'loongarch64',
    elf: [258, 64, 'lsb'],
    uname: ['loongarch64'],
    gnu: 'loongarch64-linux-gnu',
    oci: ['loong64'],
    debian: 'loong64',
    nix: 'loongarch64-linux',
    node: 'loong64',
  },
  {
    name: 'i386',
    elf: [3, 32, 'lsb'],
    uname: ['i686', 'i586', 'i486', 'i386'],
    gnu: 'i686-linux-gnu',
    oci: ['386'],
    debian: 'i386',
    nix: 'i686-linux',
    node: 'ia32',
    aliases: ['x86'],
    compatibleWith: ['x86_64'],
  },
  {
    name: 'arm',
    elf: [40, 32, 'lsb'],
    uname: ['armv7l', 'armv8l', 'armv6l', 'armv5tel', 'armv5tejl'],
    gnu: 'arm-linux-gnueabihf',
    oci: ['arm', 'v7'],
    debian: 'armhf',
    nix: 'armv7l-linux',
    node: 'arm',
    aliases: [
      'armv7',
      'armv6',
      'armv5',
      'armel',
      'armv7hf',
      'arm32v7',
      'arm-linux-gnueabi',
      'armv6l-linux',
      'armv5tel-linux',
    ],
    compatibleWith: ['aarch64'],
  },
  { name: 'armeb', elf: [40, 32, 'msb'], uname: ['armv7b', 'armv5b'], gnu: 'armeb-linux-gnueabi' },
  {
    name: 'aarch64_be',
    elf: [183, 64, 'msb'],
    uname: ['aarch64_be'],
    gnu: 'aarch64_be-linux-gnu',
    nix: 'aarch64_be-linux',
  },
  {
    name: 'riscv32',
    elf: [243, 32, 'lsb'],
    uname: ['riscv32'],
    gnu: 'riscv32-linux-gnu',
    nix: 'riscv32-linux',
    aliases: ['rv32'],
  },
  {
    name: 'ppc64',
    elf: [21, 64, 'msb'],
    uname: ['ppc64'],
    gnu: 'powerpc64-linux-gnu',
    oci: ['ppc64'],
    debian: 'ppc64',
    nix: 'powerpc64-linux',
    aliases: ['powerpc64'],
  },
  {
    name: 'ppc',
    elf: [20, 32, 'msb'],
    uname: ['ppc'],
    gnu: 'powerpc-linux-gnu',
    oci: ['ppc'],
    debian: 'powerpc',
    nix: 'powerpc-linux',
    compatibleWith: ['ppc64'],
  },
  {
    name: 'mips64el',
    elf: [8, 64, 'lsb'],
    uname: ['mips64'],
    gnu: 'mips64el-linux-gnuabi64',
    oci: ['mips64le'],
    debian: 'mips64el',
    nix: 'mips64el-linux',
    aliases: ['mips64el-linux-gnu', 'mips64le'],
  },
  {
    name: 'mips64',
    elf: [8, 64, 'msb'],
    uname: [],
    gnu: 'mips64-linux-gnuabi64',
    oci: ['mips64'],
    debian: 'mips64',
    nix: 'mips64-linux',
    aliases: ['mips64-linux-gnu'],
  },
  {
    name: 'mipsel',
    elf: [8, 32, 'lsb', [EF_MIPS_ABI2, 0]],
    uname: ['mips'],
    gnu: 'mipsel-linux-gnu',
    oci: ['mipsle'],
    debian: 'mipsel',
    nix: 'mipsel-linux',
    node: 'mipsel',
    compatibleWith: ['mips64el'],
  },
  {
    name: 'mips',
    elf: [8, 32, 'msb', [EF_MIPS_ABI2, 0]],
    uname: [],
    gnu: 'mips-linux-gnu',
    oci: ['mips'],
    debian: 'mips',
    nix: 'mips-linux',
    node: 'mips',
    compatibleWith: ['mips64'],
  },
  {
    name: 'mipsn32el',
    elf: [8, 32, 'lsb', [EF_MIPS_ABI2, EF_MIPS_ABI2]],
    uname: [],
    gnu: 'mips64el-linux-gnuabin32',
    oci: ['mips64p32le'],
    debian: 'mipsn32el',
    aliases: ['mips64p32le'],
    compatibleWith: ['mips64el'],
  },
  {
    name: 'mipsn32',
    elf: [8, 32, 'msb', [EF_MIPS_ABI2, EF_MIPS_ABI2]],
    uname: [],
    gnu: 'mips64-linux-gnuabin32',
    oci: ['mips64p32'],
    debian: 'mipsn32',
    aliases: ['mips64p32'],
    compatibleWith: ['mips64'],
  },
  {
    name: 'm68k',
    elf: [4, 32, 'msb'],
    uname: ['m68k'],
    gnu: 'm68k-linux-gnu',
    debian: 'm68k',
    nix: 'm68k-linux',
  },
  {
    name: 'sparc64',
    elf: [43, 64, 'msb'],
    uname: ['sparc64'],
    gnu: 'sparc64-linux-gnu',
    oci: ['sparc64'],
    debian: 'sparc64',
    nix: 'sparc64-linux',
  },
  {
    name: 'sparc32plus',
    elf: [18, 32, 'msb'],
    uname: [],
    gnu: 'sparc32plus-linux-gnu',
    aliases: ['sparcv8plus'],
    compatibleWith: ['sparc64'],
  },
  {
    name: 'sparc',
    elf: [2, 32, 'msb'],
    uname: ['sparc'],
    gnu: 'sparc-linux-gnu',
    oci: ['sparc'],
    debian: 'sparc',
    nix: 'sparc-linux',
    compatibleWith: ['sparc64'],
  },
  {
    name: 'alpha',
    elf: [0x9026, 64, 'lsb'],
    uname: ['alpha'],
    gnu: 'alpha-linux-gnu',
    debian: 'alpha',
    nix: 'alpha-linux',
  },
  {
    name: 'hppa',
    elf: [15, 32, 'msb'],
    uname: ['parisc', 'parisc64'],
    gnu: 'hppa-linux-gnu',
    debian: 'hppa',
    aliases: ['pa-risc'],
  },
  {
    name: 'sh4',
    elf: [42, 32, 'lsb'],
    uname: ['sh4', 'sh4a'],
    gnu: 'sh4-linux-gnu',
    debian: 'sh4',
    nix: 'sh4-linux',
  },
  { name: 'sh4eb', elf: [42, 32, 'msb'], uname: ['sh4eb'], gnu: 'sh4eb-linux-gnu' },
  {
    name: 'or1k',
    elf: [92, 32, 'msb'],
    uname: ['openrisc'],
    gnu: 'or1k-linux-gnu',
    nix: 'or1k-linux',
    aliases: ['openrisc'],
  },
  {
    name: 'microblaze',
    elf: [0xbaab, 32, 'msb'],
    uname: ['microblaze'],
    gnu: 'microblaze-linux-gnu',
    nix: 'microblaze-linux',
  },
  {
    name: 'microblazeel',
    elf: [0xbaab, 32, 'lsb'],
    uname: ['microblazeel'],
    gnu: 'microblazeel-linux-gnu',
    nix: 'microblazeel-linux',
  },
  { name: 'xtensa', elf: [94, 32, 'lsb'], uname: ['xtensa'], gnu: 'xtensa-linux-uclibc' },
  { name: 'xtensaeb', elf: [94, 32, 'msb'], uname: [], gnu: 'xtensaeb-linux-uclibc' },
  { name: 'hexagon', elf: [164, 32, 'lsb'], uname: ['hexagon'], gnu: 'hexagon-unknown-linux-musl' },
];

function freeze(row: Row): Arch {
  const { elf, oci, ...names } = row;
  const [machine, bits, order, flags] = elf;
  return Object.freeze({
    ...names,
    elf: Object.freeze({
      machine,
      bits,
      order,
      ...(flags && { flags: Object.freeze({ mask: flags[0], value: flags[1] }) }),
    }),
    ...(oci && {
      oci: Object.freeze({
        os: 'linux' as const,
        architecture: oci[0],
        ...(oci[1] && { variant: oci[1] }),
      }),
    }),
    aliases: Object.freeze([...(row.aliases ?? [])]),
    compatibleWith: Object.freeze([...(row.compatibleWith ?? [])]),
  });
}

/** Every CPU that QEMU user mode has as a guest. */
export const ARCHES: readonly Arch[] = Object.freeze(ROWS.map(freeze));

const bySpelling = new Map<string, Arch>();
for (const pick of [
  (arch: Arch) => [arch.name],
  (arch: Arch) => [arch.debian, arch.gnu, arch.nix, arch.oci?.architecture],
  (arch: Arch) => [...arch.uname, ...arch.aliases],
  (arch: Arch) => [arch.node],
]) {
  for (const arch of ARCHES) {
    for (const spelling of pick(arch)) {
      if (spelling && !bySpelling.has(spelling.toLowerCase())) {
        bySpelling.set(spelling.toLowerCase(), arch);
      }
    }
  }
}

/**
 * Finds a CPU by any usual spelling: QEMU, `uname -m`, OCI platform with or without `linux/` and
 * variant, Debian, Nix system, GNU triplet, Node's `process.arch`.
 *
 * @throws UportError UPORT_ARCH_UNKNOWN
 */
export function parseArch(spelling: string): Arch {
  const arch = findArch(spelling);
  if (arch) return arch;
  throw new UportError({
    code: 'UPORT_ARCH_UNKNOWN',
    category: 'usage',
    message: `no CPU is called ${JSON.stringify(spelling)}`,
    hint: `use one of: ${ARCHES.map((known) => known.name).join(', ')} (Debian, OCI, Nix and GNU names work too)`,
  });
}

/** As `parseArch`, without the error. */
export function findArch(spelling: string): Arch | undefined {
  let name = spelling.trim().toLowerCase();
  if (name.startsWith('linux/')) name = name.slice('linux/'.length);
  const exact = bySpelling.get(name);
  if (exact) return exact;
  const platform = /^([a-z0-9_]+)\/(v[0-9]+)$/.exec(name);
  if (platform) return findVariant(platform[1] as string, platform[2] as string);
  const triplet = /^([a-z0-9_]+)-(?:[a-z0-9_]+-)?linux(?:-(?:gnu|musl|uclibc)[a-z0-9]*)?$/.exec(
    name,
  );
  return triplet ? bySpelling.get(triplet[1] as string) : undefined;
}

const VARIANTS: Readonly<Record<string, RegExp>> = {
  amd64: /^v[1-4]$/,
  arm64: /^v(8|9)$/,
  arm: /^v[5-8]$/,
};

function findVariant(architecture: string, variant: string): Arch | undefined {
  if (!VARIANTS[architecture]?.test(variant)) return undefined;
  return ARCHES.find((arch) => arch.oci?.architecture === architecture);
}

/** The CPU of a program, by its ELF header; undefined when QEMU has no such guest. */
export function archOfElf(elf: {
  readonly machine: number;
  readonly bits: 32 | 64;
  readonly order: 'lsb' | 'msb';
  readonly flags: number;
}): Arch | undefined {
  return ARCHES.find(
    (arch) =>
      arch.elf.machine === elf.machine &&
      arch.elf.bits === elf.bits &&
      arch.elf.order === elf.order &&
      (arch.elf.flags === undefined || (elf.flags & arch.elf.flags.mask) === arch.elf.flags.value),
  );
}

/** `linux/arm64/v8`. */
export function platformName(platform: OciPlatform): string {
  return [platform.os, platform.architecture, platform.variant].filter((part) => part).join('/');
}

/** The hosts that an artifact is made for when nobody says otherwise. */
export const DEFAULT_HOSTS: readonly Arch[] = Object.freeze(
  ['x86_64', 'aarch64', 'riscv64', 'ppc64le', 's390x'].map(parseArch),
);
