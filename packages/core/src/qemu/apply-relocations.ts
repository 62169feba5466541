// Turns a static-pie program into one with a fixed address whose relative relocations are applied. A
// static QEMU has about 100,000 of them, a third of its start.
import { Buffer } from 'node:buffer';

/**
 * Where the program will lie: below 2^38, which is all that a riscv64 of three page table levels and an
 * arm64 with 39-bit addresses have; above the 4 GiB of 32-bit guests and what static 64-bit guests
 * use; below QEMU's own first choice for what a guest maps (2^38). A multiple of any page size.
 */
export const FIXED_BASE = 0x30_0000_0000n;
/** How far from there a program may reach, so that its heap has room too. */
const MAX_SPAN = 1n << 30n;

const HEADER_SIZE = 64;
const PROGRAM_HEADER_SIZE = 56;
const DYNAMIC_ENTRY_SIZE = 16;
const RELA_SIZE = 24;
const ET_EXEC = 2;
const ET_DYN = 3;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const PF_W = 2;
const DT_NULL = 0n;
const DT_NEEDED = 1n;
const DT_RELA = 7n;
const DT_RELASZ = 8n;
const DT_RELAENT = 9n;
const DT_REL = 17n;
const DT_TEXTREL = 22n;
const DT_RELR = 36n;
const DT_RELACOUNT = 0x6ffffff9n;
const DT_PLTGOT = 3n;
const DT_JMPREL = 23n;
const DT_PLTRELSZ = 2n;
/** Tags whose value is an address: PLTGOT, HASH, STRTAB, SYMTAB, RELA, INIT, FINI, JMPREL, the arrays, GNU_HASH. */
const ADDRESSES: ReadonlySet<bigint> = new Set(
  [3, 4, 5, 6, 7, 12, 13, 23, 25, 26, 32, 0x6ffffef5].map(BigInt),
);

/** R_*_RELATIVE by e_machine. */
const RELATIVE: ReadonlyMap<number, bigint> = new Map([
  [22, 12n], // s390x
  [62, 8n], // x86-64
  [183, 1027n], // aarch64
  [243, 3n], // riscv64
]);

interface Load {
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
  readonly writable: boolean;
}

/** Reads and writes numbers in the file's byte order. */
class Fields {
  readonly #bytes: Buffer;
  readonly #little: boolean;

  constructor(bytes: Buffer, little: boolean) {
    this.#bytes = bytes;
    this.#little = little;
  }

  u16(at: number): number {
    return this.#little ? this.#bytes.readUInt16LE(at) : this.#bytes.readUInt16BE(at);
  }

  u32(at: number): number {
    return this.#little ? this.#bytes.readUInt32LE(at) : this.#bytes.readUInt32BE(at);
  }

  u64(at: number): bigint {
    return this.#little ? this.#bytes.readBigUInt64LE(at) : this.#bytes.readBigUInt64BE(at);
  }

  putU16(value: number, at: number): void {
    if (this.#little) this.#bytes.writeUInt16LE(value, at);
    else this.#bytes.writeUInt16BE(value, at);
  }

  /** A u64 below MAX_SPAN; numbers are several times as quick as bigints. */
  small(at: number): number | undefined {
    const [high, low] = this.#little ? [at + 4, at] : [at, at + 4];
    const value = this.u32(low);
    return this.u32(high) === 0 && value < Number(MAX_SPAN) ? value : undefined;
  }

  /** FIXED_BASE + value, for a value below 2^32. */
  putBased(value: number, at: number): void {
    const high = Number(FIXED_BASE >> 32n);
    if (this.#little) {
      this.#bytes.writeUInt32LE(value, at);
      this.#bytes.writeUInt32LE(high, at + 4);
    } else {
      this.#bytes.writeUInt32BE(high, at);
      this.#bytes.writeUInt32BE(value, at + 4);
    }
  }

  putU64(value: bigint, at: number): void {
    if (this.#little) this.#bytes.writeBigUInt64LE(value, at);
    else this.#bytes.writeBigUInt64BE(value, at);
  }
}

/**
 * What the C library's startup takes for the distance between linked and loaded addresses, which it
 * adds to all addresses that the file still has:
 * `own-place`: where the program begins, as for a static-pie. These addresses stay as they are.
 * `headers`: the same less the address of the first PT_LOAD, so zero. They are moved too.
 */
export type LoadAddressSource = 'own-place' | 'headers';

/**
 * Makes the program a fixed-address one, in place; false when it is none that this can be done to (a
 * 64-bit static-pie with a table of relative relocations with addends), its bytes are spoilt then.
 */
export function applyRelocations(program: Uint8Array, source: LoadAddressSource): boolean {
  const bytes = Buffer.from(program.buffer, program.byteOffset, program.byteLength);
  try {
    return relocate(bytes, source === 'headers');
  } catch (error) {
    // A table that points out of the file.
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function relocate(bytes: Buffer, everything: boolean): boolean {
  if (bytes.length < HEADER_SIZE || bytes.toString('latin1', 0, 4) !== '\x7fELF') return false;
  const order = bytes[5];
  if (bytes[4] !== 2 || (order !== 1 && order !== 2)) return false;
  const file = new Fields(bytes, order === 1);
  const relative = RELATIVE.get(file.u16(18));
  if (file.u16(16) !== ET_DYN || relative === undefined) return false;

  const headers = programHeaders(file);
  if (headers === undefined) return false;
  const loads: Load[] = [];
  for (const at of headers.filter((header) => file.u32(header) === PT_LOAD)) {
    const load = readLoad(file, at);
    if (load === undefined) return false;
    loads.push(load);
  }
  const dynamicHeader = headers.find((header) => file.u32(header) === PT_DYNAMIC);
  if (dynamicHeader === undefined || loads.length === 0) return false;
  if (headers.some((header) => file.u32(header) === PT_INTERP)) return false;

  const dynamic = readDynamic(file, dynamicHeader);
  const [table, size, count] = [DT_RELA, DT_RELASZ, DT_RELACOUNT].map((tag) => dynamic.get(tag));
  const entrySize = dynamic.get(DT_RELAENT);
  const others = [DT_NEEDED, DT_REL, DT_RELR, DT_TEXTREL].some((tag) => dynamic.has(tag));
  if (others || table === undefined || size === undefined || count === undefined) return false;
  if (entrySize === undefined || file.u64(entrySize) !== BigInt(RELA_SIZE)) return false;
  const done = file.u64(count) * BigInt(RELA_SIZE);
  if (done === 0n || done > file.u64(size)) return false;
  const start = placeIn(loads, file.u64(table), Number(done));
  if (start === undefined) return false;

  for (let at = start; at < start + Number(done); at += RELA_SIZE) {
    const place = placeOf(loads, file.small(at));
    const addend = file.small(at + 16);
    if (file.u64(at + 8) !== relative || place === undefined || addend === undefined) return false;
    file.putBased(addend, place);
  }
  // Nothing reads them any more; zeros compress to nothing.
  bytes.fill(0, start, start + Number(done));
  file.putU64(file.u64(table) + done, table);
  file.putU64(file.u64(size) - done, size);
  file.putU64(0n, count);
  if (everything && !moveLeftovers(file, loads, dynamic, file.u64(dynamicHeader + 16)))
    return false;

  file.putU16(ET_EXEC, 16);
  move(file, 24);
  for (const at of headers) {
    const loaded = file.u64(at + 40) > 0n;
    if (file.u32(at) !== PT_LOAD && !(everything && loaded)) continue;
    for (const field of [at + 16, at + 24]) move(file, field);
  }
  return true;
}

/** What is left for the C library: other relocations, and the addresses that it finds its way by. */
function moveLeftovers(
  file: Fields,
  loads: readonly Load[],
  dynamic: ReadonlyMap<bigint, number>,
  dynamicAddress: bigint,
): boolean {
  const value = (tag: bigint) => {
    const at = dynamic.get(tag);
    return at === undefined ? 0n : file.u64(at);
  };
  const ranges = [
    [value(DT_RELA), value(DT_RELASZ)],
    [value(DT_JMPREL), value(DT_PLTRELSZ)],
  ] as const;
  const moved = new Set<number>();
  for (const [address, size] of ranges) {
    if (size === 0n) continue;
    const start = placeIn(loads, address, Number(size));
    if (start === undefined || size % BigInt(RELA_SIZE) !== 0n) return false;
    for (let at = start; at < start + Number(size); at += RELA_SIZE) {
      // The second table may be the end of the first one. R_*_NONE is zero everywhere.
      if (moved.has(at) || file.u64(at + 8) === 0n) continue;
      moved.add(at);
      move(file, at);
      move(file, at + 16);
    }
  }
  // The linked address of the dynamic section: riscv64 and s390x compare it with the real one.
  const got = placeIn(loads, value(DT_PLTGOT), 8);
  if (got !== undefined && file.u64(got) === dynamicAddress) move(file, got);
  for (const [tag, at] of dynamic) if (ADDRESSES.has(tag)) move(file, at);
  return true;
}

function move(file: Fields, at: number): void {
  file.putU64(BigInt.asUintN(64, file.u64(at) + FIXED_BASE), at);
}

/** Where each program header lies in the file. */
function programHeaders(file: Fields): readonly number[] | undefined {
  const [offset, entrySize, count] = [file.u64(32), file.u16(54), file.u16(56)];
  if (entrySize !== PROGRAM_HEADER_SIZE || offset > MAX_SPAN || count > 1024) return undefined;
  return Array.from({ length: count }, (_, i) => Number(offset) + i * entrySize);
}

function readLoad(file: Fields, at: number): Load | undefined {
  const [offset, address] = [file.u64(at + 8), file.u64(at + 16)];
  const [fileSize, memorySize] = [file.u64(at + 32), file.u64(at + 40)];
  if ([offset, address, fileSize, memorySize].some((value) => value > MAX_SPAN)) return undefined;
  return {
    offset: Number(offset),
    address: Number(address),
    fileSize: Number(fileSize),
    writable: (file.u32(at + 4) & PF_W) !== 0,
  };
}

/** Where the value of each tag of the dynamic section lies in the file. */
function readDynamic(file: Fields, header: number): ReadonlyMap<bigint, number> {
  const [offset, size] = [Number(file.u64(header + 8)), Number(file.u64(header + 32))];
  const places = new Map<bigint, number>();
  for (let at = offset; at + DYNAMIC_ENTRY_SIZE <= offset + size; at += DYNAMIC_ENTRY_SIZE) {
    const tag = file.u64(at);
    if (tag === DT_NULL) break;
    places.set(tag, at + 8);
  }
  return places;
}

/** Where bytes that are loaded at an address lie in the file. */
function placeIn(loads: readonly Load[], address: bigint, size: number): number | undefined {
  for (const load of loads) {
    const inside = address - BigInt(load.address);
    if (inside < 0n || inside + BigInt(size) > BigInt(load.fileSize)) continue;
    return load.offset + Number(inside);
  }
  return undefined;
}

/** The same for a relocation's eight bytes, which must be writable. */
function placeOf(loads: readonly Load[], address: number | undefined): number | undefined {
  if (address === undefined) return undefined;
  for (const load of loads) {
    const inside = address - load.address;
    if (load.writable && inside >= 0 && inside + 8 <= load.fileSize) return load.offset + inside;
  }
  return undefined;
}
