import type { ElfSpec } from './elf-builder.ts';

/** The identity of one CPU's programs, as far as a builder must know it. */
export type GuestFormat = Required<Pick<ElfSpec, 'machine' | 'bits' | 'order' | 'flags'>> & {
  readonly name: string;
};

const guest = (
  name: string,
  machine: number,
  bits: 32 | 64,
  order: 'lsb' | 'msb',
  flags = 0,
): GuestFormat => ({ name, machine, bits, order, flags });

/** Every CPU of QEMU user mode, with the e_flags its programs usually have. */
export const GUESTS: readonly GuestFormat[] = [
  guest('i386', 3, 32, 'lsb'),
  guest('x86_64', 62, 64, 'lsb'),
  guest('arm', 40, 32, 'lsb', 0x05000400),
  guest('armeb', 40, 32, 'msb', 0x05000200),
  guest('aarch64', 183, 64, 'lsb'),
  guest('aarch64_be', 183, 64, 'msb'),
  guest('riscv32', 243, 32, 'lsb', 0x5),
  guest('riscv64', 243, 64, 'lsb', 0x5),
  guest('ppc', 20, 32, 'msb'),
  guest('ppc64', 21, 64, 'msb', 0x1),
  guest('ppc64le', 21, 64, 'lsb', 0x2),
  guest('s390x', 22, 64, 'msb'),
  guest('loongarch64', 258, 64, 'lsb', 0x43),
  guest('mips', 8, 32, 'msb', 0x70001007),
  guest('mipsel', 8, 32, 'lsb', 0x70001007),
  guest('mipsn32', 8, 32, 'msb', 0x80000027),
  guest('mipsn32el', 8, 32, 'lsb', 0x80000027),
  guest('mips64', 8, 64, 'msb', 0x80000007),
  guest('mips64el', 8, 64, 'lsb', 0x80000007),
  guest('m68k', 4, 32, 'msb'),
  guest('sparc', 2, 32, 'msb'),
  guest('sparc32plus', 18, 32, 'msb', 0x100),
  guest('sparc64', 43, 64, 'msb'),
  guest('alpha', 0x9026, 64, 'lsb'),
  guest('hppa', 15, 32, 'msb', 0x210),
  guest('sh4', 42, 32, 'lsb', 0x9),
  guest('sh4eb', 42, 32, 'msb', 0x9),
  guest('or1k', 92, 32, 'msb'),
  guest('microblaze', 0xbaab, 32, 'msb'),
  guest('microblazeel', 0xbaab, 32, 'lsb'),
  guest('xtensa', 94, 32, 'lsb'),
  guest('xtensaeb', 94, 32, 'msb'),
  guest('hexagon', 164, 32, 'lsb', 0x68),
];
