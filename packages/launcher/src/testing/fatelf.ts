// FatELF files for the tests, made by hand: packages below the launcher's import nothing of it.
import type { ManifestCpu } from '../manifest.ts';

export interface FatPart {
  readonly cpu: ManifestCpu;
  /** The ELF file. */
  readonly bytes: Uint8Array;
}

const ALIGNMENT = 4096;

/** A container of these parts, with trailing data. */
export function encodeFatElf(parts: readonly FatPart[], trailing = ''): Buffer {
  let end = Math.ceil((8 + 24 * parts.length) / ALIGNMENT) * ALIGNMENT;
  const table = Buffer.alloc(end);
  table.set([0xfa, 0x70, 0x0e, 0x1f, 1, 0, parts.length, 0]);
  const pieces = [table];
  parts.forEach(({ cpu, bytes }, i) => {
    const at = 8 + 24 * i;
    table.writeUInt16LE(cpu.machine, at);
    table.set(bytes.subarray(7, 9), at + 2);
    table[at + 4] = cpu.bits === 32 ? 1 : 2;
    table[at + 5] = cpu.order === 'lsb' ? 1 : 2;
    table.writeBigUInt64LE(BigInt(end), at + 8);
    table.writeBigUInt64LE(BigInt(bytes.length), at + 16);
    const last = i === parts.length - 1;
    const size = last ? bytes.length : Math.ceil(bytes.length / ALIGNMENT) * ALIGNMENT;
    const piece = Buffer.alloc(size);
    piece.set(bytes);
    pieces.push(piece);
    end += size;
  });
  return Buffer.concat([...pieces, Buffer.from(trailing, 'latin1')]);
}
