import { UportError } from '@uport/errors';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ByteSource, bytesSource, ET_DYN, readElf, readElfIdentity } from './index.ts';
import { buildElf, type ElfSpec, GUESTS } from './testing/index.ts';

/** How many mutated files the last test reads; set it to try harder. */
const MUTATIONS = Number(process.env.UPORT_TEST_MUTATIONS ?? 20_000);

const X86_64 = { machine: 62, bits: 64, order: 'lsb' } as const;
const FULL: ElfSpec = {
  ...X86_64,
  type: ET_DYN,
  interpreter: '/lib64/ld-linux-x86-64.so.2',
  dynamic: { needed: ['libc.so.6', 'libm.so.6'], runpath: '$ORIGIN:/opt/lib', soname: 'libx.so' },
  buildId: '0123456789abcdef',
  abiTag: [0, 3, 2, 0],
};

const PHDR = 64;
/** Program headers of FULL: PT_LOAD, PT_INTERP, PT_NOTE, PT_DYNAMIC. */
const LOAD = PHDR;
const INTERP = PHDR + 56;
const NOTE = PHDR + 2 * 56;
const DYNAMIC = PHDR + 3 * 56;
const P_OFFSET = 8;
const P_VADDR = 16;
const P_FILESZ = 32;
const P_MEMSZ = 40;

type Patch = (view: DataView) => void;
const u16 =
  (offset: number, value: number): Patch =>
  (view) =>
    view.setUint16(offset, value, true);
const u32 =
  (offset: number, value: number): Patch =>
  (view) =>
    view.setUint32(offset, value, true);
const u64 =
  (offset: number, value: bigint): Patch =>
  (view) =>
    view.setBigUint64(offset, value, true);
const u8 =
  (offset: number, value: number): Patch =>
  (view) =>
    view.setUint8(offset, value);

function patched(spec: ElfSpec, ...patches: readonly Patch[]): Uint8Array {
  const bytes = buildElf(spec);
  const view = new DataView(bytes.buffer);
  for (const patch of patches) patch(view);
  return bytes;
}

async function failure(bytes: Uint8Array): Promise<UportError> {
  const result = await readElf(bytesSource(bytes)).catch((error: unknown) => error);
  if (result instanceof UportError) return result;
  throw new Error(`no UportError: ${String(result)}`, { cause: result });
}

async function code(bytes: Uint8Array): Promise<string> {
  return (await failure(bytes)).code;
}

const dynamicEntry = (index: number) => {
  const view = new DataView(buildElf(FULL).buffer);
  return Number(view.getBigUint64(DYNAMIC + P_OFFSET, true)) + 16 * index;
};
/** Entries of FULL: 2 NEEDED, SONAME, RUNPATH, STRTAB, STRSZ, NULL. */
const STRTAB = dynamicEntry(4);
const STRSZ = dynamicEntry(5);

describe('not ELF', () => {
  test.each([
    ['an empty file', ''],
    ['a script', '#!/bin/sh\n'],
    ['a FatELF container', '\xfa\x70\x0e\x1f\x01\0\0\0'],
    ['a Windows program', 'MZ\x90\0'],
    ['text', 'hello, world, this is no program at all, and it is long enough for a header'],
    ['one byte', 'x'],
  ])('%s', async (_what, text) => {
    const error = await failure(Buffer.from(text, 'latin1'));
    expect(error.code).toBe('UPORT_ELF_NOT_ELF');
    expect(error.hint).not.toBe('');
  });
});

test('every shorter form of a file is an error that says so', async () => {
  const whole = buildElf(FULL);
  for (let length = 1; length < whole.length; length += 1) {
    const error = await failure(whole.subarray(0, length));
    expect(['UPORT_ELF_TRUNCATED', 'UPORT_ELF_OUT_OF_BOUNDS']).toContain(error.code);
  }
});

test('a source that gives less than asked', async () => {
  const bytes = buildElf(FULL);
  const short: ByteSource = {
    size: bytes.length,
    read: async (offset, length) => bytes.subarray(offset, offset + Math.min(length, 60)),
  };
  await expect(readElf(short)).rejects.toMatchObject({ code: 'UPORT_ELF_TRUNCATED' });
});

describe('each lie has its code', () => {
  const cases: readonly [string, string, Uint8Array][] = [
    ['a third class', 'INVALID', patched(FULL, u8(4, 3))],
    ['no byte order', 'INVALID', patched(FULL, u8(5, 0))],
    ['version 2', 'INVALID', patched(FULL, u8(6, 2))],
    ['an unknown e_type', 'INVALID', patched(FULL, u16(16, 0xfe01))],
    ['e_phentsize 0', 'INVALID', patched(FULL, u16(54, 0))],
    ['e_phentsize of the other class', 'INVALID', patched(FULL, u16(54, 32))],
    ['no program headers', 'INVALID', patched(FULL, u16(56, 0))],
    ['more program headers than the file holds', 'TRUNCATED', patched(FULL, u16(56, 5000))],
    ['a table past the end', 'OUT_OF_BOUNDS', patched(FULL, u64(32, 0x100000n))],
    ['a table at 2^63', 'OUT_OF_BOUNDS', patched(FULL, u64(32, 2n ** 63n))],
    ['a table at 2^64 - 1', 'OUT_OF_BOUNDS', patched(FULL, u64(32, 2n ** 64n - 1n))],
    ['PN_XNUM without sections', 'INVALID', patched(FULL, u16(56, 0xffff))],
    [
      'PN_XNUM with a section header past the end',
      'OUT_OF_BOUNDS',
      patched(FULL, u16(56, 0xffff), u64(40, 2n ** 40n)),
    ],
    [
      'PN_XNUM with 2^32 - 1 segments',
      'INVALID',
      patched({ ...FULL, extendedCount: true }, (view) =>
        view.setUint32(Number(view.getBigUint64(40, true)) + 44, 0xffffffff, true),
      ),
    ],
    ['a segment past the end', 'OUT_OF_BOUNDS', patched(FULL, u64(LOAD + P_OFFSET, 1n << 50n))],
    ['a segment that ends past the end', 'TRUNCATED', patched(FULL, u64(INTERP + P_FILESZ, 4000n))],
    ['a note segment of 2^63 bytes', 'TRUNCATED', patched(FULL, u64(NOTE + P_FILESZ, 2n ** 63n))],
    ['more in the file than in memory', 'INVALID', patched(FULL, u64(LOAD + P_MEMSZ, 1n))],
    [
      'a segment past the end of memory',
      'INVALID',
      patched(FULL, u64(LOAD + P_VADDR, 2n ** 64n - 1n)),
    ],
    ['a second PT_INTERP', 'INVALID', patched(FULL, u32(NOTE, 3))],
    ['a second PT_DYNAMIC', 'INVALID', patched(FULL, u32(NOTE, 2))],
    ['an empty interpreter', 'INVALID', patched(FULL, u64(INTERP + P_FILESZ, 1n))],
    ['an interpreter without NUL', 'INVALID', patched(FULL, u64(INTERP + P_FILESZ, 8n))],
    ['a dynamic section without end', 'INVALID', patched(FULL, u64(DYNAMIC + P_FILESZ, 32n))],
    ['a file of debugging information only', 'INVALID', patched(FULL, u64(DYNAMIC + P_FILESZ, 0n))],
    ['an address for names in no segment', 'INVALID', patched(FULL, u64(STRTAB + 8, 1n << 62n))],
    ['no DT_STRTAB', 'INVALID', patched(FULL, u64(STRTAB, 99n))],
    ['a DT_STRSZ of 2^63', 'OUT_OF_BOUNDS', patched(FULL, u64(STRSZ + 8, 2n ** 63n))],
    ['a name past the table', 'OUT_OF_BOUNDS', patched(FULL, u64(dynamicEntry(0) + 8, 9999n))],
    [
      'a name at 2^64 - 1',
      'OUT_OF_BOUNDS',
      patched(FULL, u64(dynamicEntry(0) + 8, 2n ** 64n - 1n)),
    ],
    [
      'a name that runs out of the table',
      'INVALID',
      patched(
        FULL,
        u64(STRSZ + 8, 5n),
        u64(dynamicEntry(1) + 8, 1n),
        u64(dynamicEntry(2) + 8, 1n),
        u64(dynamicEntry(3) + 8, 1n),
      ),
    ],
  ];
  test.each(cases)('%s: UPORT_ELF_%s', async (_what, suffix, bytes) => {
    const error = await failure(bytes);
    expect(error.code).toBe(`UPORT_ELF_${suffix}`);
    expect(error.offset).toBeDefined();
    expect(error.hint).not.toBe('');
  });
});

describe('what would eat memory or time', () => {
  const big = (more: Partial<ElfSpec>) => buildElf({ ...X86_64, ...more });

  test('an interpreter longer than Linux takes', async () => {
    expect(await code(big({ interpreter: 'x'.repeat(5000) }))).toBe('UPORT_ELF_INVALID');
  });

  test('a name of a megabyte', async () => {
    expect(await code(big({ dynamic: { needed: ['x'.repeat(1 << 20)] } }))).toBe(
      'UPORT_ELF_INVALID',
    );
  });

  test('a thousand long names that share their bytes', async () => {
    const extra = Array.from({ length: 1000 }, (_, index) => [1n, BigInt(1 + index)] as const);
    expect(await code(big({ dynamic: { soname: 'x'.repeat(60_000), extra } }))).toBe(
      'UPORT_ELF_INVALID',
    );
  });

  test('a hundred thousand entries', async () => {
    const extra = Array.from({ length: 100_000 }, () => [0x6ffffef5n, 0n] as const);
    expect(await code(big({ dynamic: { extra } }))).toBe('UPORT_ELF_INVALID');
  });

  test('twenty thousand libraries', async () => {
    const needed = Array.from({ length: 20_000 }, () => 'a');
    expect(await code(big({ dynamic: { needed } }))).toBe('UPORT_ELF_INVALID');
  });

  test('notes that never end are passed over', async () => {
    const notes = Array.from({ length: 40_000 }, () => ({
      name: '',
      type: 0,
      desc: new Uint8Array(0),
    }));
    const elf = await readElf(bytesSource(big({ notes, buildId: 'ff' })));
    expect(elf.buildId).toBeUndefined();
  });

  test('a note that claims 4 GiB ends the list', async () => {
    const desc = new Uint8Array(12).fill(0xff);
    const bytes = big({ segments: [{ type: 4, data: desc }], buildId: 'ff' });
    expect((await readElf(bytesSource(bytes))).buildId).toBe('ff');
  });
});

test('segments over each other and over the header are read as they stand', async () => {
  const bytes = patched(FULL, u64(NOTE + P_OFFSET, 0n), u64(NOTE + P_FILESZ, 64n));
  const elf = await readElf(bytesSource(bytes));
  expect(elf.buildId).toBeUndefined();
  expect(elf.dynamic?.needed).toEqual(['libc.so.6', 'libm.so.6']);
});

test('mutated files of every CPU are read or refused with a UportError', async () => {
  const seeds = GUESTS.map((guest) => buildElf({ ...FULL, ...guest, extendedCount: false }));
  const interesting = [0, 1, 2, 3, 4, 0x7f, 0x80, 0xff];
  const mutation = fc.tuple(
    fc.nat({ max: seeds.length - 1 }),
    fc.array(
      fc.tuple(
        // Headers, tables and names are at the front, so are most of the changes.
        fc.nat({ max: 700 }),
        fc.oneof(fc.constantFrom(...interesting), fc.nat({ max: 255 })),
        fc.constantFrom(1, 1, 1, 2, 4, 8),
      ),
      { minLength: 1, maxLength: 6 },
    ),
    fc.option(fc.nat({ max: 700 })),
  );
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(mutation, async ([seed, changes, cut]) => {
      const bytes = Uint8Array.from(seeds[seed] as Uint8Array);
      for (const [offset, value, length] of changes) bytes.fill(value, offset, offset + length);
      const source = bytesSource(cut === null ? bytes : bytes.subarray(0, cut));
      for (const read of [readElf, readElfIdentity]) {
        try {
          await read(source);
        } catch (error) {
          if (!(error instanceof UportError) || !error.code.startsWith('UPORT_ELF_')) throw error;
          refused += 1;
        }
      }
    }),
    { numRuns: MUTATIONS },
  );
  expect(refused).toBeGreaterThan(0);
}, 300_000);
