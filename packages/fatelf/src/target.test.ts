import { MACHINE_NAMES } from '@uport/elf';
import { GUESTS } from '@uport/elf/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  findTarget,
  formatTarget,
  machineTargetName,
  matchTarget,
  osabiTargetName,
  parseTarget,
  type RecordIdentity,
  sameIdentity,
  shortTargets,
} from './index.ts';

const identity: fc.Arbitrary<RecordIdentity> = fc.record({
  machine: fc.oneof(fc.constantFrom(...MACHINE_NAMES.keys()), fc.integer({ min: 0, max: 0xffff })),
  osabi: fc.integer({ min: 0, max: 255 }),
  osabiVersion: fc.integer({ min: 0, max: 255 }),
  elfClass: fc.constantFrom(1, 2),
  data: fc.constantFrom(1, 2),
});
const X86_64: RecordIdentity = { machine: 62, osabi: 0, osabiVersion: 0, elfClass: 2, data: 1 };

test('the name in the specification of targets', () => {
  expect(formatTarget(X86_64)).toBe('x86_64:64bit:le:sysv:osabiver0');
});

test('every machine number has a name of its own that reads back', () => {
  const names = new Set<string>();
  for (let machine = 0; machine <= 0xffff; machine += 1) {
    const name = machineTargetName(machine);
    names.add(name);
    const target = parseTarget(name);
    if (!('fields' in target) || target.fields.machine !== machine) throw new Error(name);
  }
  expect(names.size).toBe(0x10000);
});

test('every OSABI number has a name of its own that reads back', () => {
  for (let osabi = 0; osabi <= 0xff; osabi += 1) {
    expect(parseTarget(osabiTargetName(osabi))).toEqual({ fields: { osabi } });
  }
});

test.each(GUESTS)('$name is not named by number', ({ machine }) => {
  expect(machineTargetName(machine)).not.toMatch(/^machine\d/);
});

test('a printed name reads back, in any order of its fields', () => {
  fc.assert(
    fc.property(identity, fc.infiniteStream(fc.nat()), (record, random) => {
      const words = formatTarget(record).split(':');
      const shuffled = words
        .map((word) => ({ word, key: random.next().value as number }))
        .sort((a, b) => a.key - b.key)
        .map(({ word }) => word);
      expect(parseTarget(shuffled.join(':'))).toEqual({ fields: record });
    }),
  );
});

test('short names are found back among their records', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(identity, { maxLength: 12, comparator: sameIdentity }),
      (records) => {
        const names = shortTargets(records);
        for (const [index, name] of names.entries()) {
          expect(findTarget(records, parseTarget(name))).toBe(index);
        }
      },
    ),
  );
});

test('short names are as short as they can be', () => {
  const be = { ...X86_64, machine: 21, data: 2 };
  expect(shortTargets([X86_64, be, { ...be, data: 1 }])).toEqual([
    'x86_64',
    'ppc64:64bit:be',
    'ppc64:64bit:le',
  ]);
});

describe('spellings', () => {
  test.each([
    ['X'.repeat(0), undefined],
    ['alpha', { machine: 0x9026 }],
    ['aarch64:be', { machine: 183, data: 2 }],
    ['bigendian:64bits', { data: 2, elfClass: 2 }],
    ['littleendian:32bits', { data: 1, elfClass: 1 }],
    [':x86_64::', { machine: 62 }],
    ['386', { machine: 3 }],
    ['i386', { machine: 3 }],
    ['machine0x102', { machine: 258 }],
    ['loongarch', { machine: 258 }],
    ['osabiver0x10', { osabiVersion: 16 }],
    ['x86_64:x86_64', { machine: 62 }],
  ])('%s', (text, fields) => {
    if (fields === undefined) expect(() => parseTarget(text)).toThrow('names nothing');
    else expect(parseTarget(text)).toEqual({ fields });
  });

  test('a number picks a record', () => {
    expect(parseTarget('record3')).toEqual({ index: 3 });
    expect(matchTarget([X86_64], { index: 0 })).toBe(0);
    expect(matchTarget([X86_64], { index: 1 })).toBeUndefined();
  });
});

describe('refused', () => {
  test.each([
    'nothing-known',
    'record',
    'record-1',
    'record1x',
    'x86_64:',
    'machine65536',
    'osabi256',
    'osabiver256',
    'osabiver-1',
    'le:be',
    'x86_64:aarch64',
    'constructor',
    '__proto__',
    'X86_64\0',
  ])('%j', (text) => {
    const parse = () => parseTarget(text);
    // A trailing colon is an empty field, which names nothing more.
    if (text === 'x86_64:') expect(parse()).toEqual({ fields: { machine: 62 } });
    else expect(parse).toThrow(expect.objectContaining({ code: 'UPORT_FATELF_TARGET_UNKNOWN' }));
  });

  test('any text is a target or an error of its own', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        try {
          parseTarget(text);
        } catch (error) {
          expect(error).toMatchObject({ code: 'UPORT_FATELF_TARGET_UNKNOWN' });
        }
      }),
    );
  });

  test('several matches name the choices', () => {
    const records = [X86_64, { ...X86_64, osabi: 3 }];
    expect(() => matchTarget(records, parseTarget('x86_64'))).toThrow(
      expect.objectContaining({
        code: 'UPORT_FATELF_TARGET_AMBIGUOUS',
        hint: 'name one of: x86_64:64bit:le:sysv:osabiver0 x86_64:64bit:le:linux:osabiver0',
      }),
    );
  });

  test('no match names what is there', () => {
    expect(() => findTarget([X86_64], parseTarget('s390'))).toThrow(
      expect.objectContaining({
        code: 'UPORT_FATELF_TARGET_MISSING',
        hint: 'the file has: x86_64:64bit:le:sysv:osabiver0',
      }),
    );
  });
});
