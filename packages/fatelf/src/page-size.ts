/** Every record of a valid container starts at a multiple of this, whatever its CPU. */
export const SMALLEST_PAGE = 4096;

const KIB = 1024;

/**
 * The largest page that Linux can be built with, by e_machine. An ELF must start on a page boundary
 * to be mapped out of its container, and which page size a machine's kernel has is not known when
 * the container is made, so the largest counts. CPUs not listed get 64 KiB.
 */
const LARGEST_PAGE: ReadonlyMap<number, number> = new Map([
  [3, 4 * KIB], // i386
  [62, 4 * KIB], // x86_64
  [22, 4 * KIB], // s390, s390x
  [243, 4 * KIB], // RISC-V
  [4, 8 * KIB], // m68k: 8 KiB on ColdFire and Sun 3
  [2, 8 * KIB], // SPARC, run by 64-bit kernels too
  [18, 8 * KIB],
  [43, 8 * KIB],
  [0x9026, 8 * KIB], // Alpha
  [92, 8 * KIB], // OpenRISC
  [164, 256 * KIB], // Hexagon
]);

/** The boundary, in bytes, on which `glueFatElf` and the editing functions place an ELF. */
export function pageSizeOf(machine: number): number {
  return LARGEST_PAGE.get(machine) ?? 64 * KIB;
}
