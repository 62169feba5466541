// The ELF header (Elf32_Ehdr, Elf64_Ehdr): System V gABI, chapter 4 "ELF Header".
import { type ByteSource, readRange } from './byte-source.ts';
import { invalid, notElf, truncated } from './errors.ts';
import { byteString, type ElfFormat, fieldsOf } from './fields.ts';

/** What a kernel looks at to tell whose program it is. */
export interface ElfIdentity {
  /** e_machine. */
  readonly machine: number;
  readonly bits: 32 | 64;
  readonly order: 'lsb' | 'msb';
  /** EI_OSABI. */
  readonly osabi: number;
  /** EI_ABIVERSION. */
  readonly osabiVersion: number;
  /** e_type. */
  readonly type: number;
  /** e_flags. */
  readonly flags: number;
  /** e_entry. */
  readonly entry: bigint;
}

/** Where the tables lie, as the header says; not yet checked against the file. */
export interface ElfTables {
  readonly phoff: bigint;
  readonly phentsize: number;
  readonly phnum: number;
  readonly shoff: bigint;
  readonly shentsize: number;
}

export interface ElfHeader {
  readonly identity: ElfIdentity;
  readonly tables: ElfTables;
}

export const ET_REL = 1;
export const ET_EXEC = 2;
export const ET_DYN = 3;
export const ET_CORE = 4;

const IDENT_SIZE = 16;

/** Bytes of the header of this class. */
export function headerSize(bits: 32 | 64): 52 | 64 {
  return bits === 64 ? 64 : 52;
}

/** Bytes of one program header of this class. */
export function programHeaderSize(bits: 32 | 64): 32 | 56 {
  return bits === 64 ? 56 : 32;
}

/** Bytes of one section header of this class. */
export function sectionHeaderSize(bits: 32 | 64): 40 | 64 {
  return bits === 64 ? 64 : 40;
}

export async function readHeader(source: ByteSource): Promise<ElfHeader> {
  const ident = await source.read(0, Math.min(IDENT_SIZE, source.size));
  checkMagic(ident);
  if (ident.length < IDENT_SIZE) {
    throw truncated('the ELF header', 0n, BigInt(IDENT_SIZE), source.size);
  }
  const format = readFormat(ident);
  const size = headerSize(format.bits);
  const fields = fieldsOf(await readRange(source, 0n, BigInt(size), 'the ELF header'), format);
  const wide = format.bits === 64;
  return {
    identity: Object.freeze({
      machine: fields.u16(18),
      ...format,
      osabi: fields.u8(7),
      osabiVersion: fields.u8(8),
      type: fields.u16(16),
      flags: fields.u32(wide ? 48 : 36),
      entry: fields.word(24),
    }),
    tables: {
      phoff: fields.word(wide ? 32 : 28),
      shoff: fields.word(wide ? 40 : 32),
      phentsize: fields.u16(wide ? 54 : 42),
      phnum: fields.u16(wide ? 56 : 44),
      shentsize: fields.u16(wide ? 58 : 46),
    },
  };
}

function checkMagic(ident: Uint8Array): void {
  const start = byteString(ident.subarray(0, 4));
  if (start === '\x7fELF') return;
  if (start === '') throw notElf('the file is empty', 'give an ELF program');
  if ('\x7fELF'.startsWith(start)) {
    throw truncated('the ELF header', 0n, BigInt(IDENT_SIZE), ident.length);
  }
  if (start.startsWith('#!')) {
    throw notElf('the file is a script, not an ELF program', 'give the interpreter it names');
  }
  if (start === '\xfa\x70\x0e\x1f') {
    throw notElf('the file is a FatELF container', 'take one ELF program out of it first');
  }
  if (start.startsWith('MZ')) {
    throw notElf('the file is a Windows or DOS program', 'give a Linux program');
  }
  throw notElf('the file does not start with the ELF magic', 'give an ELF program');
}

function readFormat(ident: Uint8Array): ElfFormat {
  const [elfClass, data, version] = [ident[4], ident[5], ident[6]];
  if (elfClass !== 1 && elfClass !== 2) {
    throw invalid(`EI_CLASS is ${elfClass}, neither 32-bit (1) nor 64-bit (2)`, 4);
  }
  if (data !== 1 && data !== 2) {
    throw invalid(`EI_DATA is ${data}, neither little (1) nor big endian (2)`, 5);
  }
  if (version !== 1) throw invalid(`EI_VERSION is ${version}; only version 1 exists`, 6);
  return { bits: elfClass === 2 ? 64 : 32, order: data === 1 ? 'lsb' : 'msb' };
}
