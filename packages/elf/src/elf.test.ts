import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ByteSource,
  bytesSource,
  type ElfAbi,
  ET_CORE,
  ET_DYN,
  ET_EXEC,
  ET_REL,
  partOf,
  readElf,
  readElfIdentity,
} from './index.ts';
import { buildElf, type ElfDynamicSpec, type ElfSpec, GUESTS } from './testing/index.ts';

const DF_1_PIE = 0x08000000;
const X86_64 = { machine: 62, bits: 64, order: 'lsb' } as const;
const S390X = { machine: 22, bits: 64, order: 'msb' } as const;

/** Any bytes but NUL, which ends a name, and the colon, which parts folders. */
const name = fc
  .uint8Array({ minLength: 1, maxLength: 40 })
  .map((bytes) =>
    String.fromCharCode(...bytes.map((byte) => (byte === 0 || byte === 58 ? 45 : byte))),
  );
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const optional = { requiredKeys: [] as [] };

const dynamicSpec: fc.Arbitrary<ElfDynamicSpec> = fc.record(
  {
    needed: fc.array(name, { maxLength: 6 }),
    rpath: fc.array(name, { maxLength: 3 }).map((folders) => folders.join(':')),
    runpath: fc.array(name, { maxLength: 3 }).map((folders) => folders.join(':')),
    soname: name,
    flags: u32,
    flags1: u32,
    debug: fc.boolean(),
  },
  optional,
);

const details = fc.record(
  {
    type: fc.constantFrom(ET_EXEC, ET_DYN),
    osabi: fc.integer({ min: 0, max: 255 }),
    osabiVersion: fc.integer({ min: 0, max: 255 }),
    entry: u32.map(BigInt),
    interpreter: name,
    dynamic: dynamicSpec,
    buildId: fc
      .uint8Array({ minLength: 1, maxLength: 32 })
      .map((id) => Buffer.from(id).toString('hex')),
    abiTag: fc.tuple(fc.constantFrom(0, 1, 2, 3, 77), u32, u32, u32),
    body: fc.uint8Array({ maxLength: 64 }),
    notes: fc.array(
      fc.record({
        name: fc.constantFrom('', 'Go', 'stapsdt', 'GNU'),
        type: fc.constantFrom(7, 99),
        desc: fc.uint8Array({ maxLength: 9 }),
      }),
      { maxLength: 3 },
    ),
    extendedCount: fc.boolean(),
  },
  optional,
);

describe.each(GUESTS)('$name', (guest) => {
  test('what is built is what is read', async () => {
    await fc.assert(
      fc.asyncProperty(details, async (given) => {
        const spec: ElfSpec = { ...guest, ...given };
        const elf = await readElf(bytesSource(buildElf(spec)));
        const type = given.type ?? ET_EXEC;
        expect(elf.identity).toMatchObject({
          machine: guest.machine,
          bits: guest.bits,
          order: guest.order,
          flags: guest.flags,
          type,
          osabi: given.osabi ?? 0,
          osabiVersion: given.osabiVersion ?? 0,
        });
        if (given.entry !== undefined) expect(elf.identity.entry).toBe(given.entry);
        expect(elf.interpreter).toBe(given.interpreter);
        expect(elf.buildId).toBe(given.buildId);
        expect(elf.abiTag?.version).toBe(given.abiTag?.slice(1).join('.'));
        expect(elf.dynamic === undefined).toBe(given.dynamic === undefined);
        if (given.dynamic) {
          expect(elf.dynamic).toMatchObject({
            needed: given.dynamic.needed ?? [],
            rpath: given.dynamic.rpath ? given.dynamic.rpath.split(':') : [],
            runpath: given.dynamic.runpath ? given.dynamic.runpath.split(':') : [],
            flags: given.dynamic.flags ?? 0,
            flags1: given.dynamic.flags1 ?? 0,
            debug: given.dynamic.debug ?? false,
          });
          expect(elf.dynamic?.soname).toBe(given.dynamic.soname);
        }
      }),
      { numRuns: 30 },
    );
  });
});

test('both forms of the segment count give the same segments', async () => {
  const spec = { ...S390X, interpreter: '/lib/ld64.so.1' };
  const plain = await readElf(bytesSource(buildElf(spec)));
  const extended = await readElf(bytesSource(buildElf({ ...spec, extendedCount: true })));
  expect(extended.segments.map((segment) => segment.type)).toEqual([1, 3]);
  expect(extended.segments).toEqual(plain.segments);
});

describe('linkage', () => {
  const pie = { flags1: DF_1_PIE };
  const cases: readonly [string, Omit<ElfSpec, 'machine' | 'bits' | 'order'>][] = [
    ['static', { type: ET_EXEC }],
    ['static', { type: ET_EXEC, dynamic: {} }],
    ['dynamic', { type: ET_EXEC, interpreter: '/lib/ld.so', dynamic: { needed: ['libc.so.6'] } }],
    ['dynamic', { type: ET_DYN, interpreter: '/lib/ld.so', dynamic: pie }],
    ['dynamic', { type: ET_DYN, interpreter: '/lib/ld.so', dynamic: { needed: ['libc.so.6'] } }],
    ['dynamic', { type: ET_DYN, interpreter: '/lib/ld.so', dynamic: { ...pie, soname: 'x' } }],
    ['static-pie', { type: ET_DYN, dynamic: pie }],
    ['static-pie', { type: ET_DYN, dynamic: { debug: true } }],
    ['static-pie', { type: ET_DYN }],
    ['shared-object', { type: ET_DYN, dynamic: { soname: 'libx.so.1' } }],
    ['shared-object', { type: ET_DYN, dynamic: { needed: ['libc.so.6'] } }],
    [
      'shared-object',
      { type: ET_DYN, interpreter: '/lib/ld.so', dynamic: { soname: 'libc.so.6' } },
    ],
    ['relocatable', { type: ET_REL }],
    ['core', { type: ET_CORE, segments: [{ type: 4, data: new Uint8Array(20) }] }],
  ];
  test.each(cases)('%s: %o', async (linkage, spec) => {
    const elf = await readElf(bytesSource(buildElf({ ...S390X, ...spec })));
    expect(elf.linkage).toBe(linkage);
  });
});

describe('abi', () => {
  const of = async (guestName: string, more: Partial<ElfSpec> = {}): Promise<ElfAbi> => {
    const guest = GUESTS.find((known) => known.name === guestName);
    if (!guest) throw new Error(`no guest ${guestName}`);
    return (await readElf(bytesSource(buildElf({ ...guest, ...more })))).abi;
  };
  const cases: readonly [string, Partial<ElfSpec>, ElfAbi][] = [
    ['mips', {}, { mips: 'o32', mipsNan: 'legacy', mipsIsa: 'mips32r2' }],
    ['mipsn32el', {}, { mips: 'n32', mipsNan: 'legacy', mipsIsa: 'mips64r2' }],
    ['mips64', {}, { mips: 'n64', mipsNan: 'legacy', mipsIsa: 'mips64r2' }],
    ['mipsel', { flags: 0x90001407 }, { mips: 'o32', mipsNan: '2008', mipsIsa: 'mips32r6' }],
    ['mipsel', { flags: 0x2000 }, { mips: 'o64', mipsNan: 'legacy', mipsIsa: 'mips1' }],
    ['arm', {}, { armEabi: 5, armFloat: 'hard' }],
    ['armeb', {}, { armEabi: 5, armFloat: 'soft' }],
    ['arm', { flags: 0x05000000 }, { armEabi: 5 }],
    [
      'arm',
      { flags: 0x05000000, interpreter: '/lib/ld-linux-armhf.so.3' },
      { armEabi: 5, armFloat: 'hard' },
    ],
    [
      'arm',
      { flags: 0x04000000, interpreter: '/lib/ld-linux.so.3' },
      { armEabi: 4, armFloat: 'soft' },
    ],
    // Before EABI 5 the same bits said other things.
    ['arm', { flags: 0x200 }, { armEabi: 0 }],
    ['ppc64', {}, { ppc64: 1 }],
    ['ppc64le', {}, { ppc64: 2 }],
    ['ppc64', { flags: 0 }, {}],
    ['riscv64', {}, { riscvFloat: 'double' }],
    ['riscv64', { flags: 0 }, { riscvFloat: 'soft' }],
    ['loongarch64', {}, { loongarchFloat: 'double' }],
    ['x86_64', {}, {}],
    ['x86_64', { bits: 32 }, { x32: true }],
    ['s390x', {}, {}],
  ];
  test.each(cases)('%s %o', async (guestName, more, abi) => {
    expect(await of(guestName, more)).toEqual(abi);
  });
});

describe('properties of the GNU note', () => {
  test('4-byte values are read, the others passed over', async () => {
    const desc = Buffer.alloc(16 + 16 + 16);
    desc.writeUInt32LE(0xc0008002, 0);
    desc.writeUInt32LE(4, 4);
    desc.writeUInt32LE(3, 8);
    desc.writeUInt32LE(0x77, 16);
    desc.writeUInt32LE(8, 20);
    desc.writeUInt32LE(0xc0000002, 32);
    desc.writeUInt32LE(4, 36);
    desc.writeUInt32LE(1, 40);
    const elf = await readElf(
      bytesSource(buildElf({ ...X86_64, notes: [{ name: 'GNU', type: 5, desc }] })),
    );
    expect(elf.properties).toEqual([
      { type: 0xc0008002, value: 3 },
      { type: 0xc0000002, value: 1 },
    ]);
  });
});

/** A file of any size whose bytes are `head` at `headOffset` and zeros elsewhere; counts reads. */
function hugeSource(size: number, parts: readonly [offset: number, bytes: Uint8Array][]) {
  const counts = { bytes: 0, reads: 0 };
  const source: ByteSource = {
    size,
    read: async (offset, length) => {
      counts.bytes += length;
      counts.reads += 1;
      const out = new Uint8Array(length);
      for (const [start, bytes] of parts) {
        const from = Math.max(start, offset);
        const to = Math.min(start + bytes.length, offset + length);
        if (from < to) out.set(bytes.subarray(from - start, to - start), from - offset);
      }
      return out;
    },
  };
  return { source, counts };
}

test('of a file of 4 GiB only a few kilobytes are read', async () => {
  const size = 2 ** 32 + 4096;
  const spec: ElfSpec = {
    ...S390X,
    type: ET_DYN,
    interpreter: '/lib/ld64.so.1',
    dynamic: { needed: ['libc.so.6'], runpath: '$ORIGIN/../lib' },
    buildId: '00112233',
  };
  const { source, counts } = hugeSource(size, [[0, buildElf(spec)]]);
  const elf = await readElf(source);
  expect(elf.dynamic?.needed).toEqual(['libc.so.6']);
  expect(elf.dynamic?.runpath).toEqual(['$ORIGIN/../lib']);
  expect(elf.buildId).toBe('00112233');
  expect(counts.bytes).toBeLessThan(4096);
  expect(counts.reads).toBeLessThan(12);
});

test('tables beyond 4 GiB are found', async () => {
  const bytes = buildElf({ ...X86_64, interpreter: '/lib/ld.so' });
  const far = 2 ** 32 + 64;
  const head = Uint8Array.from(bytes.subarray(0, 64));
  new DataView(head.buffer).setBigUint64(32, BigInt(far), true);
  const table = bytes.subarray(64, 64 + 2 * 56);
  const { source } = hugeSource(far + 4096, [
    [0, bytes],
    [0, head],
    [far, table],
  ]);
  const withZeroedHead = await readElf({
    size: source.size,
    read: async (offset, length) =>
      offset === 0 && length <= 64 ? head.subarray(0, length) : source.read(offset, length),
  });
  expect(withZeroedHead.interpreter).toBe('/lib/ld.so');
});

test('the identity needs the header only', async () => {
  const bytes = buildElf({ ...S390X, interpreter: '/lib/ld64.so.1' });
  const { source, counts } = hugeSource(2 ** 40, [[0, bytes.subarray(0, 64)]]);
  expect(await readElfIdentity(source)).toMatchObject({ machine: 22, bits: 64, order: 'msb' });
  expect(counts.bytes).toBeLessThanOrEqual(80);
});

describe('DT_STRTAB through PT_LOAD', () => {
  const tableText = Uint8Array.from(Buffer.from('\0wrong.so\0right.so\0'));
  const spec = (segments: ElfSpec['segments'], strtab: bigint): ElfSpec => ({
    ...X86_64,
    type: ET_DYN,
    dynamic: {
      extra: [
        [1n, 10n],
        [5n, strtab],
        [10n, 19n],
      ],
    },
    ...(segments && { segments }),
  });

  test('a table in a segment of its own', async () => {
    const elf = await readElf(
      bytesSource(
        buildElf(
          spec([{ type: 1, data: tableText, vaddr: 0x70000000n, align: 4096n }], 0x70000000n),
        ),
      ),
    );
    expect(elf.dynamic?.needed).toEqual(['right.so']);
  });

  test('where two segments hold the address, the one mapped last counts', async () => {
    const other = Uint8Array.from(Buffer.from('\0aaaaaaaa\0left.so\0\0'));
    const elf = await readElf(
      bytesSource(
        buildElf(
          spec(
            [
              { type: 1, data: other, vaddr: 0x70000000n, align: 4096n },
              { type: 1, data: tableText, vaddr: 0x70000000n, align: 4096n },
            ],
            0x70000000n,
          ),
        ),
      ),
    );
    expect(elf.dynamic?.needed).toEqual(['right.so']);
  });
});

describe('a part of a source', () => {
  const whole = bytesSource(Uint8Array.of(0, 1, 2, 3, 4, 5));

  test('ends where it ends', async () => {
    const part = partOf(whole, 2, 3);
    expect(part.size).toBe(3);
    expect([...(await part.read(1, 2))]).toEqual([3, 4]);
    expect([...(await part.read(1, 9))]).toEqual([3, 4]);
    expect([...(await part.read(4, 1))]).toEqual([]);
  });

  test.each([
    [-1, 2],
    [0, 7],
    [7, 0],
    [3, -1],
    [Number.NaN, 1],
  ])('offset %d, size %d is not inside', (offset, size) => {
    expect(() => partOf(whole, offset, size)).toThrow(RangeError);
  });
});
