// What e_flags says about the calling convention, per CPU: the processor supplements to the gABI.
import type { ElfIdentity } from './header.ts';

export type MipsAbi = 'o32' | 'n32' | 'n64' | 'o64' | 'eabi32' | 'eabi64';
export type FloatAbi = 'soft' | 'single' | 'double' | 'quad';

/** Only what the CPU has. Two programs that differ here need other libraries. */
export interface ElfAbi {
  readonly mips?: MipsAbi;
  /** How MIPS marks a NaN: IEEE 754-2008 or the older way. Its dynamic linkers have other names. */
  readonly mipsNan?: '2008' | 'legacy';
  /** `mips1` to `mips64r6`. */
  readonly mipsIsa?: string;
  /** Arm: whether floats travel in VFP registers; undefined where the file does not say. */
  readonly armFloat?: 'hard' | 'soft';
  /** Arm EABI version, 0 for the older ABI. */
  readonly armEabi?: number;
  /** PowerPC 64: ELFv1 (with function descriptors) or ELFv2; undefined where unmarked. */
  readonly ppc64?: 1 | 2;
  readonly riscvFloat?: FloatAbi;
  readonly loongarchFloat?: 'soft' | 'single' | 'double';
  /** x86_64 with 32-bit pointers. */
  readonly x32?: true;
}

const EM_MIPS = 8;
const EM_PPC64 = 21;
const EM_ARM = 40;
const EM_X86_64 = 62;
const EM_RISCV = 243;
const EM_LOONGARCH = 258;

const EF_MIPS_ABI2 = 0x20;
const EF_MIPS_NAN2008 = 0x400;
const MIPS_ABIS: readonly MipsAbi[] = ['o32', 'o64', 'eabi32', 'eabi64'];
const MIPS_ISAS = [
  'mips1',
  'mips2',
  'mips3',
  'mips4',
  'mips5',
  'mips32',
  'mips64',
  'mips32r2',
  'mips64r2',
  'mips32r6',
  'mips64r6',
];

const EF_ARM_ABI_FLOAT_SOFT = 0x200;
const EF_ARM_ABI_FLOAT_HARD = 0x400;

const RISCV_FLOATS: readonly FloatAbi[] = ['soft', 'single', 'double', 'quad'];
const LOONGARCH_FLOATS = [undefined, 'soft', 'single', 'double'] as const;

/** The interpreter tells hard from soft float on Arm where an older linker left e_flags bare. */
export function readAbi(identity: ElfIdentity, interpreter: string | undefined): ElfAbi {
  const { machine, flags, bits } = identity;
  switch (machine) {
    case EM_MIPS:
      return mips(flags, bits);
    case EM_ARM:
      return arm(flags, interpreter);
    case EM_PPC64: {
      const version = flags & 3;
      return version === 1 || version === 2 ? { ppc64: version } : {};
    }
    case EM_RISCV:
      return { riscvFloat: RISCV_FLOATS[(flags >>> 1) & 3] as FloatAbi };
    case EM_LOONGARCH: {
      const float = LOONGARCH_FLOATS[flags & 7];
      return float ? { loongarchFloat: float } : {};
    }
    case EM_X86_64:
      return bits === 32 ? { x32: true } : {};
    default:
      return {};
  }
}

function mips(flags: number, bits: 32 | 64): ElfAbi {
  const marked = MIPS_ABIS[((flags >>> 12) & 0xf) - 1];
  const unmarked = bits === 64 ? 'n64' : flags & EF_MIPS_ABI2 ? 'n32' : 'o32';
  const isa = MIPS_ISAS[flags >>> 28];
  return {
    mips: marked ?? unmarked,
    mipsNan: flags & EF_MIPS_NAN2008 ? '2008' : 'legacy',
    ...(isa && { mipsIsa: isa }),
  };
}

function arm(flags: number, interpreter: string | undefined): ElfAbi {
  const eabi = flags >>> 24;
  const float = armFloat(eabi === 5 ? flags : 0, interpreter);
  return { armEabi: eabi, ...(float && { armFloat: float }) };
}

function armFloat(flags: number, interpreter: string | undefined): 'hard' | 'soft' | undefined {
  if (flags & EF_ARM_ABI_FLOAT_HARD) return 'hard';
  if (flags & EF_ARM_ABI_FLOAT_SOFT) return 'soft';
  const name = interpreter?.slice(interpreter.lastIndexOf('/') + 1);
  if (name === 'ld-linux-armhf.so.3' || name === 'ld-musl-armhf.so.1') return 'hard';
  if (name === 'ld-linux.so.3' || name === 'ld-musl-arm.so.1') return 'soft';
  return undefined;
}
