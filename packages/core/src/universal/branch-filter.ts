// Branch filters (docs/formats/universal.md): relative targets of calls in machine code become
// absolute ones, which compress better, and back. The launcher's filter.c does the same.

/** The CPUs that there is a filter for, as the index names them. */
export const BRANCH_FILTERS = Object.freeze(['x86', 'arm64', 'ppc64le', 's390x'] as const);

export type BranchFilter = (typeof BRANCH_FILTERS)[number];

const BY_HOST: Readonly<Record<string, BranchFilter>> = {
  x86_64: 'x86',
  i386: 'x86',
  aarch64: 'arm64',
  ppc64le: 'ppc64le',
  s390x: 's390x',
};

/** The filter for programs of a host, by uport's name of it. */
export function branchFilterFor(host: string): BranchFilter | undefined {
  return BY_HOST[host];
}

type Direction = 1 | -1;
/** Works in place on bytes that begin at `position`; answers how many are done. */
type Step = (bytes: Buffer, position: number, direction: Direction) => number;

/**
 * CALL and JMP with a 32-bit displacement that fits 25 bits with its sign: it still does after. What
 * follows such an opcode is passed over in any case: else a later change could make it look like one
 * that was changed.
 */
const x86: Step = (bytes, position, direction) => {
  let at = 0;
  while (at + 5 <= bytes.length) {
    if (((bytes[at] as number) & 0xfe) !== 0xe8) {
      at++;
      continue;
    }
    const top = bytes[at + 4];
    if (top === 0 || top === 0xff) {
      const target = (bytes.readInt32LE(at + 1) + direction * (position + at + 5)) | 0;
      bytes.writeInt32LE((target << 7) >> 7, at + 1);
    }
    at += 5;
  }
  return at;
};

/** Words of which some bits are a displacement: BL, and ppc64le's bl. */
const words =
  (matches: (word: number) => boolean, mask: number, shift: number): Step =>
  (bytes, position, direction) => {
    let at = 0;
    for (; at + 4 <= bytes.length; at += 4) {
      const word = bytes.readUInt32LE(at);
      if (!matches(word)) continue;
      const target = (word + direction * Math.floor((position + at) / 2 ** shift)) & mask;
      bytes.writeUInt32LE(((word & ~mask) | target) >>> 0, at);
    }
    return at;
  };

/** BRASL and LARL: six bytes, of which the last four are a displacement in halfwords. */
const s390x: Step = (bytes, position, direction) => {
  let at = 0;
  while (at + 6 <= bytes.length) {
    const kind = (bytes[at + 1] as number) & 0x0f;
    if (bytes[at] !== 0xc0 || (kind !== 0 && kind !== 5)) {
      at += 2;
      continue;
    }
    const target = bytes.readInt32BE(at + 2) + direction * Math.floor((position + at) / 2);
    bytes.writeInt32BE(target | 0, at + 2);
    at += 6;
  }
  return at;
};

const STEPS: Readonly<Record<BranchFilter, Step>> = {
  x86,
  arm64: words((word) => word >>> 26 === 0x25, 0x3ffffff, 2),
  ppc64le: words((word) => word >>> 26 === 18 && (word & 3) === 1, 0x3fffffc, 0),
  s390x,
};

async function* filtered(
  chunks: AsyncIterable<Buffer>,
  filter: BranchFilter,
  direction: Direction,
): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  let position = 0;
  for await (const chunk of chunks) {
    // A copy: what came belongs to somebody else, and the work is done in place.
    const bytes = Buffer.concat([rest, chunk]);
    const done = STEPS[filter](bytes, position, direction);
    position += done;
    // A copy too: whoever gets the bytes may free them.
    rest = Buffer.from(bytes.subarray(done));
    if (done > 0) yield bytes.subarray(0, done);
  }
  if (rest.length > 0) yield rest;
}

/** Machine code as it is packed. */
export function applyBranchFilter(
  chunks: AsyncIterable<Buffer>,
  filter: BranchFilter,
): AsyncGenerator<Buffer> {
  return filtered(chunks, filter, 1);
}

/** Machine code as it was. */
export function undoBranchFilter(
  chunks: AsyncIterable<Buffer>,
  filter: BranchFilter,
): AsyncGenerator<Buffer> {
  return filtered(chunks, filter, -1);
}
