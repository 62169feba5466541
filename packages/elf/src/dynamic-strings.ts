// The dynamic string table as a whole: the names of dynamic symbols, for questions such as "does it use dlopen".
import { type ByteSource, readRange } from './byte-source.ts';
import type { Elf } from './elf.ts';
import { type FileRange, mapAddress } from './program-header.ts';

/** The tables of the largest libraries have some MiB. */
const MAX_TABLE = 64n << 20n;

/**
 * The bytes of DT_STRTAB, one character each, cut at 64 MiB; empty where there is none. Every name
 * in it ends with a NUL.
 *
 * @throws UportError UPORT_ELF_TRUNCATED, UPORT_ELF_OUT_OF_BOUNDS
 */
export async function readDynamicStrings(source: ByteSource, elf: Elf): Promise<string> {
  return (await readDynamicStringBytes(source, elf)).toString('latin1');
}

/**
 * The bytes of DT_STRTAB as the source gives them, cut at 64 MiB; none where there is no table.
 *
 * @throws UportError UPORT_ELF_TRUNCATED, UPORT_ELF_OUT_OF_BOUNDS
 */
export async function readDynamicStringBytes(source: ByteSource, elf: Elf): Promise<Buffer> {
  const table = dynamicStringsPlace(elf);
  if (table === undefined) return Buffer.alloc(0);
  const length = smaller(table.length, MAX_TABLE);
  const bytes = await readRange(source, table.offset, length, 'the dynamic string table');
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Where DT_STRTAB lies in the file; undefined where there is none. Not checked against its end. */
export function dynamicStringsPlace(elf: Elf): FileRange | undefined {
  const table = elf.dynamic?.strings;
  const mapped = table && mapAddress(elf.segments, table.address);
  if (!table || !mapped) return undefined;
  const length = smaller(table.size, mapped.length);
  return { offset: mapped.offset, length };
}

function smaller(a: bigint, b: bigint): bigint {
  return [a, b].reduce((least, each) => (each < least ? each : least));
}
