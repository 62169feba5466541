import { bytesSource } from '@uport/elf';
import { GUESTS, type GuestFormat } from '@uport/elf/testing';
import { UportError } from '@uport/errors';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  extractFatElf,
  infoFatElf,
  readFatElf,
  removeFatElf,
  replaceFatElf,
  splitFatElf,
  validateFatElf,
  verifyFatElf,
} from './index.ts';
import { collect, glued, program } from './testing/bytes.ts';

/** How many mutated containers the last test reads; set it to try harder. */
const MUTATIONS = Number(process.env.UPORT_TEST_MUTATIONS ?? 5_000);

const guest = (name: string) => GUESTS.find((known) => known.name === name) as GuestFormat;
const PROGRAMS = [
  program(guest('x86_64'), 1),
  program(guest('s390x'), 2),
  program(guest('i386'), 3),
];
const TAIL = Uint8Array.from(Buffer.from('shared data'));
const CONTAINER = await glued(PROGRAMS, TAIL);

type Patch = (bytes: Buffer) => void;
const RECORD = (index: number) => 8 + 24 * index;
const offsetOf = (index: number) => Buffer.from(CONTAINER).readBigUInt64LE(RECORD(index) + 8);

function patched(...patches: readonly Patch[]): Uint8Array {
  const bytes = Buffer.from(CONTAINER);
  for (const patch of patches) patch(bytes);
  return Uint8Array.from(bytes);
}
const u8 =
  (offset: number, value: number): Patch =>
  (bytes) =>
    bytes.writeUInt8(value, offset);
const u16 =
  (offset: number, value: number): Patch =>
  (bytes) =>
    bytes.writeUInt16LE(value, offset);
const u64 =
  (offset: number, value: bigint): Patch =>
  (bytes) =>
    bytes.writeBigUInt64LE(value, offset);

async function codes(bytes: Uint8Array): Promise<string[]> {
  const faults = await validateFatElf(bytesSource(bytes));
  for (const fault of faults) {
    expect(fault.hint).not.toBe('');
    expect(fault.offset).toBeDefined();
  }
  return faults.map((fault) => fault.code.replace('UPORT_FATELF_', ''));
}

test('the container that the others are made from is valid', async () => {
  expect(await codes(CONTAINER)).toEqual([]);
});

describe('each fault is found, and stops every tool', () => {
  const cases: readonly [string, readonly string[], Uint8Array][] = [
    ['an empty file', ['NOT_FATELF'], new Uint8Array(0)],
    ['seven bytes', ['NOT_FATELF'], CONTAINER.subarray(0, 7)],
    ['one ELF', ['NOT_FATELF'], PROGRAMS[0] as Uint8Array],
    ['the magic in the other order', ['NOT_FATELF'], patched(u8(0, 0x1f), u8(3, 0xfa))],
    ['version 0', ['VERSION'], patched(u16(4, 0))],
    ['version 2', ['VERSION'], patched(u16(4, 2))],
    ['a table past the end', ['TRUNCATED'], CONTAINER.subarray(0, 8 + 24 * 2)],
    ['a reserved byte', ['RESERVED'], patched(u8(7, 1))],
    ['reserved bytes of a record', ['RESERVED'], patched(u16(RECORD(1) + 6, 0x100))],
    ['another word size', ['RECORD', 'MISMATCH'], patched(u8(RECORD(0) + 4, 3))],
    ['another byte order', ['RECORD', 'MISMATCH'], patched(u8(RECORD(0) + 5, 0))],
    ['a record of another CPU', ['MISMATCH'], patched(u16(RECORD(0), 183))],
    ['a record of another class', ['MISMATCH'], patched(u8(RECORD(0) + 4, 1))],
    ['an ELF that is none', ['MISMATCH'], patched(u8(Number(offsetOf(1)), 0))],
    [
      'an ELF off its page',
      ['UNALIGNED', 'MISMATCH', 'PADDING'],
      patched(u64(RECORD(0) + 8, offsetOf(0) + 1n)),
    ],
    ['an offset past the end', ['OUT_OF_BOUNDS'], patched(u64(RECORD(2) + 8, 1n << 40n))],
    ['an offset of 2^64 - 4096', ['OUT_OF_BOUNDS'], patched(u64(RECORD(2) + 8, 2n ** 64n - 4096n))],
    ['a size past the end', ['OUT_OF_BOUNDS'], patched(u64(RECORD(2) + 16, 1n << 32n))],
    ['a size of 2^64 - 1', ['OUT_OF_BOUNDS'], patched(u64(RECORD(2) + 16, 2n ** 64n - 1n))],
    ['an ELF over the next one', ['OVERLAP'], patched(u64(RECORD(0) + 16, 4097n))],
    [
      'two records of one ELF',
      ['OVERLAP', 'MISMATCH'],
      patched(u64(RECORD(1) + 8, offsetOf(0)), (bytes) =>
        bytes.fill(0, Number(offsetOf(1)), Number(offsetOf(2))),
      ),
    ],
    [
      'an ELF over the table',
      ['OVERLAP', 'MISMATCH'],
      patched(u64(RECORD(0) + 8, 0n), (bytes) =>
        bytes.fill(0, Number(offsetOf(0)), Number(offsetOf(1))),
      ),
    ],
    ['no bytes at all', ['MISMATCH'], patched(u64(RECORD(2) + 16, 0n))],
  ];
  test.each(cases)('%s: %s', async (_what, expected, bytes) => {
    expect(await codes(bytes)).toEqual(expected);
    const source = bytesSource(bytes);
    for (const use of [
      () => readFatElf(source),
      () => verifyFatElf(source, 'x86_64'),
      () => extractFatElf(source, 'record0'),
      () => splitFatElf(source),
      () => removeFatElf(source, 'record0'),
      () => replaceFatElf(source, { source: bytesSource(PROGRAMS[0] as Uint8Array) }),
    ]) {
      await expect(use()).rejects.toMatchObject({ code: `UPORT_FATELF_${expected[0]}` });
    }
  });
});

test('a target that is there twice', async () => {
  const container = await glued([
    program(guest('x86_64'), 1),
    program({ ...guest('x86_64'), machine: 183 }, 2),
  ]);
  container[RECORD(1)] = 62;
  const elf = Buffer.from(container).readBigUInt64LE(RECORD(1) + 8);
  container[Number(elf) + 18] = 62;
  expect(await codes(container)).toEqual(['DUPLICATE']);
});

test('a program cut short by its record is found by the validator', async () => {
  const size = Buffer.from(CONTAINER).readBigUInt64LE(RECORD(0) + 16);
  // The rest of the program is then in the gap, which should be zeros.
  const bytes = patched(u64(RECORD(0) + 16, size - 20n));
  expect(await codes(bytes)).toEqual(['CUT', 'PADDING']);
});

test('bytes in a gap are found, and editing does not lose them silently', async () => {
  const bytes = patched(u8(Number(offsetOf(1)) - 1, 7));
  expect(await codes(bytes)).toEqual(['PADDING']);
  await expect(removeFatElf(bytesSource(bytes), 'record0')).rejects.toMatchObject({
    code: 'UPORT_FATELF_PADDING',
    offset: Number(offsetOf(1)) - 1,
  });
  expect((await readFatElf(bytesSource(bytes))).records.length).toBe(3);
});

test('all faults are told at once, and info still shows the table', async () => {
  const bytes = patched(
    u8(7, 9),
    u16(RECORD(0) + 6, 1),
    u64(RECORD(1) + 8, 1n << 63n),
    u16(RECORD(2), 40),
  );
  expect(await codes(bytes)).toEqual(['RESERVED', 'RESERVED', 'OUT_OF_BOUNDS', 'MISMATCH']);
  const error = await readFatElf(bytesSource(bytes)).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: 'UPORT_FATELF_RESERVED' });
  expect((error as UportError).message).toContain('3 more');
  expect(((error as UportError).cause as AggregateError).errors.length).toBe(4);
  const info = await infoFatElf(bytesSource(bytes));
  expect(info.records.map(({ machine }) => machine)).toEqual([62, 22, 40]);
  expect(info.faults.length).toBe(4);
});

test('255 records over each other stay few faults', async () => {
  const bytes = Buffer.alloc(8192);
  bytes.set([0xfa, 0x70, 0x0e, 0x1f, 1, 0, 255, 0]);
  for (let index = 0; index < 255; index += 1) {
    bytes.writeUInt16LE(index, RECORD(index));
    bytes.writeUInt8(2, RECORD(index) + 4);
    bytes.writeUInt8(1, RECORD(index) + 5);
    bytes.writeBigUInt64LE(4096n, RECORD(index) + 8);
    bytes.writeBigUInt64LE(4096n, RECORD(index) + 16);
  }
  const faults = await validateFatElf(bytesSource(Uint8Array.from(bytes)));
  expect(faults.length).toBeLessThan(255 * 4);
});

test('mutated containers are read or refused, and every tool agrees with the validator', async () => {
  const seeds = [
    CONTAINER,
    await glued(PROGRAMS.slice(0, 1)),
    await glued(PROGRAMS.slice(1), TAIL),
  ];
  const interesting = [0, 1, 2, 0x10, 0x20, 0x7f, 0x80, 0xff];
  const place = fc.oneof(
    { weight: 6, arbitrary: fc.nat({ max: 8 + 24 * 3 }) },
    { weight: 1, arbitrary: fc.integer({ min: 4096, max: 4096 + 300 }) },
    { weight: 1, arbitrary: fc.nat({ max: 20_000 }) },
  );
  const mutation = fc.record({
    seed: fc.nat({ max: seeds.length - 1 }),
    changes: fc.array(
      fc.tuple(
        place,
        fc.oneof(fc.constantFrom(...interesting), fc.nat({ max: 255 })),
        fc.constantFrom(1, 1, 2, 8),
      ),
      { minLength: 1, maxLength: 5 },
    ),
    cut: fc.option(fc.nat({ max: 20_000 }), { freq: 8 }),
  });
  const outcome = async (run: () => Promise<unknown>): Promise<string> => {
    try {
      await run();
      return 'ok';
    } catch (error) {
      if (error instanceof UportError && error.code.startsWith('UPORT_FATELF_')) return error.code;
      throw error;
    }
  };
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(mutation, async ({ seed, changes, cut }) => {
      const bytes = Uint8Array.from(seeds[seed] as Uint8Array);
      for (const [offset, value, length] of changes) bytes.fill(value, offset, offset + length);
      const source = bytesSource(cut === null ? bytes : bytes.subarray(0, cut));
      const faults = await validateFatElf(source);
      const read = await outcome(() => readFatElf(source));
      if (faults.length > 0) refused += 1;
      // What is only wrong inside a program or a gap does not stop reading.
      const stopping = faults.filter(({ code }) => !/_(CUT|PADDING)$/.test(code));
      expect(read).toBe(stopping[0]?.code ?? 'ok');
      await outcome(() => infoFatElf(source));
      const extracted = await outcome(async () => collect(await extractFatElf(source, 'record0')));
      if (read !== 'ok') expect(extracted).toBe(read);
      const removed = await outcome(async () => {
        const after = await collect(await removeFatElf(source, 'record0'));
        // A program cut short by its record stays so; nothing new may be wrong.
        const left = await validateFatElf(bytesSource(after));
        expect(left.filter(({ code }) => !code.endsWith('_CUT'))).toEqual([]);
      });
      if (read !== 'ok') expect(removed).toBe(read);
    }),
    { numRuns: MUTATIONS },
  );
  expect(refused).toBeGreaterThan(MUTATIONS / 2);
}, 600_000);
