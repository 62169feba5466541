// The program of the guest that a translator is tried with. Pure.

const BASE = 0x400000;
/** The sizes of an ELF header and a program header of 64 bits. */
const HEADER = 64;
const SEGMENT = 56;

/** xor edi, edi; mov eax, 231 (exit_group); syscall */
const CODE = [0x31, 0xff, 0xb8, 231, 0, 0, 0, 0x0f, 0x05];

/** A static x86_64 program of one segment (System V gABI) that ends with status 0. */
export function x86Probe(): Buffer {
  const size = HEADER + SEGMENT + CODE.length;
  const bytes = Buffer.alloc(size);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  bytes.writeUInt16LE(2, 16); // ET_EXEC
  bytes.writeUInt16LE(62, 18); // EM_X86_64
  bytes.writeUInt32LE(1, 20);
  bytes.writeBigUInt64LE(BigInt(BASE + HEADER + SEGMENT), 24);
  bytes.writeBigUInt64LE(BigInt(HEADER), 32);
  bytes.writeUInt16LE(HEADER, 52);
  bytes.writeUInt16LE(SEGMENT, 54);
  bytes.writeUInt16LE(1, 56);
  bytes.writeUInt32LE(1, HEADER); // PT_LOAD
  bytes.writeUInt32LE(5, HEADER + 4); // readable, executable
  bytes.writeBigUInt64LE(BigInt(BASE), HEADER + 16);
  bytes.writeBigUInt64LE(BigInt(BASE), HEADER + 24);
  bytes.writeBigUInt64LE(BigInt(size), HEADER + 32);
  bytes.writeBigUInt64LE(BigInt(size), HEADER + 40);
  bytes.writeBigUInt64LE(4096n, HEADER + 48);
  bytes.set(CODE, HEADER + SEGMENT);
  return bytes;
}
