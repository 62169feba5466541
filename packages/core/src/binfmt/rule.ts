// Which files binfmt_misc hands to an interpreter: their first bytes, and which bits of them count.
import type { Arch } from '../model/arch.ts';

/** A file matches when `(byte & mask) === (magic & mask)` for each byte from `offset` on. */
export interface BinfmtRule {
  readonly offset: number;
  readonly magic: Uint8Array;
  /** As long as `magic`; absent when every bit counts. */
  readonly mask?: Uint8Array;
}

const EI_DATA = 5;
const EI_VERSION = 6;
const EI_OSABI = 7;
const E_TYPE = 16;
const E_MACHINE = 18;
const ET_EXEC = 2;

/**
 * AppImages have `AI` and their version in bytes 8 to 10, which are zeros in other programs. They are
 * programs all the same, so these bytes don't count.
 */
const APPIMAGE_BYTES = [8, 9, 10] as const;

/** Where QEMU's own rules for a guest let more pass than the ELF specification asks for. */
const LENIENT: Readonly<Record<string, Readonly<Record<number, number>>>> = {
  i386: { [EI_DATA]: 0xfe, [EI_VERSION]: 0xfe },
  x86_64: { [EI_DATA]: 0xfe, [EI_VERSION]: 0xfe },
  alpha: { [EI_DATA]: 0xfe, [EI_VERSION]: 0xfe },
  m68k: { [EI_VERSION]: 0xfe },
  ppc64le: { [E_MACHINE + 1]: 0x00 },
  loongarch64: { [EI_OSABI]: 0xfc },
};

/** The rule for the programs of a CPU: its ELF header up to e_machine, and e_flags where those decide. */
export function elfBinfmtRule(arch: Arch): BinfmtRule {
  const { machine, bits, order, flags } = arch.elf;
  const flagsAt = bits === 32 ? 36 : 48;
  const magic = Buffer.alloc(flagsAt + 4);
  const mask = Buffer.alloc(flagsAt + 4);
  const put = (bytes: Buffer, value: number, at: number, size: number) =>
    order === 'lsb' ? bytes.writeUIntLE(value, at, size) : bytes.writeUIntBE(value, at, size);

  magic.set([0x7f, 0x45, 0x4c, 0x46, bits === 32 ? 1 : 2, order === 'lsb' ? 1 : 2, 1]);
  put(magic, ET_EXEC, E_TYPE, 2);
  put(magic, machine, E_MACHINE, 2);
  mask.fill(0xff, 0, E_MACHINE + 2);
  mask[EI_OSABI] = 0;
  for (const at of APPIMAGE_BYTES) mask[at] = 0;
  // ET_EXEC is 2 and ET_DYN is 3.
  put(mask, 0xfffe, E_TYPE, 2);
  for (const [at, bitsThatCount] of Object.entries(LENIENT[arch.name] ?? {})) {
    mask[Number(at)] = bitsThatCount;
  }
  if (flags !== undefined) {
    put(magic, flags.value, flagsAt, 4);
    put(mask, flags.mask, flagsAt, 4);
  }
  const size = Math.max(E_MACHINE + 2, mask.findLastIndex((byte) => byte !== 0) + 1);
  return { offset: 0, magic: magic.subarray(0, size), mask: mask.subarray(0, size) };
}

/** FatELF files of version 1. */
export const FATELF_BINFMT_RULE: BinfmtRule = Object.freeze({
  offset: 0,
  magic: Uint8Array.of(0xfa, 0x70, 0x0e, 0x1f, 0x01, 0x00),
});

/** Whether a file that starts with these bytes would be handed to the interpreter. */
export function matchesBinfmtRule(rule: BinfmtRule, head: Uint8Array): boolean {
  return rule.magic.every((byte, i) => {
    const found = head[rule.offset + i];
    return found !== undefined && ((found ^ byte) & (rule.mask?.[i] ?? 0xff)) === 0;
  });
}
