import { bytesSource } from '@uport/elf';
import { GUESTS, type GuestFormat } from '@uport/elf/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  extractFatElf,
  formatTarget,
  glueFatElf,
  infoFatElf,
  pageSizeOf,
  readFatElf,
  removeFatElf,
  replaceFatElf,
  splitFatElf,
  validateFatElf,
  verifyFatElf,
} from './index.ts';
import { collect, glued, program } from './testing/bytes.ts';

/** FatELF cannot tell n32 from o32: their records are equal. */
const DISTINCT = GUESTS.filter(({ name }) => !name.startsWith('mipsn32'));

interface Member {
  readonly guest: GuestFormat;
  readonly seed: number;
}

const members: fc.Arbitrary<Member[]> = fc.uniqueArray(
  fc.record({ guest: fc.constantFrom(...DISTINCT), seed: fc.nat({ max: 1e6 }) }),
  { minLength: 1, maxLength: 8, selector: (member) => member.guest.name },
);
const trailing = fc.oneof(
  fc.constant(new Uint8Array(0)),
  fc.uint8Array({ minLength: 1, maxLength: 300 }),
);
const bytesOf = ({ guest, seed }: Member) => program(guest, seed);
const join = (...parts: Uint8Array[]) => Uint8Array.from(Buffer.concat(parts));

test('what is glued comes out: every CPU, any order, with and without trailing data', async () => {
  await fc.assert(
    fc.asyncProperty(members, trailing, async (given, tail) => {
      const programs = given.map(bytesOf);
      const container = await glued(programs, tail);
      const source = bytesSource(container);
      expect(await validateFatElf(source)).toEqual([]);
      const fatElf = await readFatElf(source);
      expect(fatElf.trailing.size).toBe(tail.length);
      for (const [index, record] of fatElf.records.entries()) {
        const own = programs[index] as Uint8Array;
        expect(record.offset % pageSizeOf(record.machine)).toBe(0);
        for (const target of [formatTarget(record), `record${index}`]) {
          expect(await collect(await extractFatElf(source, target))).toEqual(join(own, tail));
        }
        expect(
          await collect(await extractFatElf(source, `record${index}`, { trailing: false })),
        ).toEqual(own);
      }
    }),
    { numRuns: 60 },
  );
});

test('all CPUs in one file, in one go', async () => {
  const programs = DISTINCT.map((guest, index) => program(guest, index));
  const source = bytesSource(await glued(programs));
  expect(await validateFatElf(source)).toEqual([]);
  const info = await infoFatElf(source);
  expect(info.records.length).toBe(DISTINCT.length);
  expect(new Set(info.records.map(({ target }) => target)).size).toBe(DISTINCT.length);
  for (const record of info.records) {
    expect(record.machineName).toMatch(/^EM_/);
    expect(await verifyFatElf(source, record.target)).toBe(true);
  }
  const parts = await splitFatElf(source);
  expect(new Set(parts.map(({ target }) => target)).size).toBe(DISTINCT.length);
  for (const [index, part] of parts.entries()) {
    expect(await collect(part.stream)).toEqual(programs[index]);
  }
});

test('removing one leaves the others and the trailing data as they were', async () => {
  await fc.assert(
    fc.asyncProperty(members, trailing, fc.nat(), async (given, tail, pick) => {
      fc.pre(given.length > 1);
      const programs = given.map(bytesOf);
      const source = bytesSource(await glued(programs, tail));
      const index = pick % given.length;
      const target = formatTarget((await readFatElf(source)).records[index] as never);
      const after = await collect(await removeFatElf(source, target));
      expect(after).toEqual(await glued(programs.toSpliced(index, 1), tail));
      expect(await verifyFatElf(bytesSource(after), target)).toBe(false);
    }),
    { numRuns: 60 },
  );
});

test('replacing one leaves the others and the trailing data as they were', async () => {
  await fc.assert(
    fc.asyncProperty(members, trailing, fc.nat(), fc.nat(), async (given, tail, pick, seed) => {
      const programs = given.map(bytesOf);
      const source = bytesSource(await glued(programs, tail));
      const index = pick % given.length;
      const next = program((given[index] as Member).guest, seed);
      const after = await collect(await replaceFatElf(source, { source: bytesSource(next) }));
      expect(after).toEqual(await glued(programs.with(index, next), tail));
    }),
    { numRuns: 60 },
  );
});

test('containers of the reference tools, every ELF on 4096 bytes, are read and edited', async () => {
  const guests = DISTINCT.filter(({ name }) => ['x86_64', 'aarch64', 'ppc64le'].includes(name));
  const programs = guests.map((guest) => program(guest, 7));
  const container = await glued(programs);
  const old = Buffer.alloc(4096 * 4);
  container.subarray(0, 8 + 24 * 3).forEach((byte, index) => {
    old[index] = byte;
  });
  for (const [index, bytes] of programs.entries()) {
    old.set(bytes, 4096 * (index + 1));
    old.writeBigUInt64LE(BigInt(4096 * (index + 1)), 8 + 24 * index + 8);
  }
  const source = bytesSource(
    Uint8Array.from(old.subarray(0, 4096 * 3 + (programs[2]?.length ?? 0))),
  );
  expect(await validateFatElf(source)).toEqual([]);
  expect(await collect(await extractFatElf(source, 'ppc64'))).toEqual(programs[2]);
  expect(await collect(await removeFatElf(source, 'x86_64'))).toEqual(
    await glued(programs.slice(1)),
  );
});

test('255 programs are the most', async () => {
  const guest = DISTINCT[0] as GuestFormat;
  const inputs = Array.from({ length: 256 }, (_, osabi) => {
    const bytes = program(guest);
    bytes[7] = osabi;
    return { source: bytesSource(bytes) };
  });
  const source = bytesSource(await collect(await glueFatElf(inputs.slice(0, 255))));
  expect((await readFatElf(source)).records.length).toBe(255);
  expect(await validateFatElf(source)).toEqual([]);
  await expect(glueFatElf(inputs)).rejects.toMatchObject({ code: 'UPORT_FATELF_COUNT' });
  await expect(glueFatElf([])).rejects.toMatchObject({ code: 'UPORT_FATELF_COUNT' });
});

describe('refused', () => {
  const [first, second] = DISTINCT as [GuestFormat, GuestFormat];
  const source = (bytes: Uint8Array, name: string) => ({ source: bytesSource(bytes), name });

  test('two programs for one target', async () => {
    const inputs = [source(program(first, 1), 'one'), source(program(first, 2), 'two')];
    await expect(glueFatElf(inputs)).rejects.toMatchObject({
      code: 'UPORT_FATELF_DUPLICATE',
      file: 'two',
    });
  });

  test('what is no ELF', async () => {
    const inputs = [source(program(first), 'one'), source(new Uint8Array(100), 'text')];
    await expect(glueFatElf(inputs)).rejects.toMatchObject({
      code: 'UPORT_ELF_NOT_ELF',
      file: 'text',
    });
  });

  test('an ELF that misses its end', async () => {
    const inputs = [source(program(first).subarray(0, 150), 'short')];
    await expect(glueFatElf(inputs)).rejects.toMatchObject({
      code: 'UPORT_ELF_TRUNCATED',
      file: 'short',
    });
  });

  test('removing the only program', async () => {
    const container = bytesSource(await glued([program(first)]));
    await expect(removeFatElf(container, 'record0')).rejects.toMatchObject({
      code: 'UPORT_FATELF_COUNT',
    });
  });

  test('replacing a target that is not there', async () => {
    const container = bytesSource(await glued([program(first)]));
    await expect(replaceFatElf(container, source(program(second), 'new'))).rejects.toMatchObject({
      code: 'UPORT_FATELF_TARGET_MISSING',
      file: 'new',
    });
  });

  test('an input that gets shorter while it is copied', async () => {
    const bytes = program(first);
    let shrunk = false;
    const stream = await glueFatElf([
      {
        source: {
          size: bytes.length,
          read: async (offset, length) =>
            bytes.subarray(offset, Math.min(offset + length, shrunk ? 50 : bytes.length)),
        },
      },
    ]);
    shrunk = true;
    await expect(collect(stream)).rejects.toMatchObject({ code: 'UPORT_FATELF_CHANGED' });
  });

  test('an aborted stream', async () => {
    const stream = await glueFatElf([source(program(first), 'one')]);
    const read = async () => {
      for await (const _ of stream.chunks(AbortSignal.abort())) throw new Error('a piece came');
    };
    await expect(read()).rejects.toMatchObject({ name: 'AbortError' });
  });
});
