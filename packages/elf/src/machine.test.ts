import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { describeMachine, MACHINE_NAMES } from './index.ts';
import { GUESTS } from './testing/index.ts';

const SYSTEM_HEADER = '/usr/include/elf.h';

test('an unknown machine is named by its number', () => {
  expect(describeMachine(0x12c)).toBe('e_machine 0x12c');
});

test('each name stands for one machine', () => {
  expect(new Set(MACHINE_NAMES.values()).size).toBe(MACHINE_NAMES.size);
});

test.each(GUESTS)('$name has a name', ({ machine }) => {
  expect(describeMachine(machine)).toMatch(/^EM_[A-Z0-9_]+$/);
});

test.skipIf(!existsSync(SYSTEM_HEADER))(
  `every number of ${SYSTEM_HEADER} has a name (needs: apt-get install libc6-dev)`,
  () => {
    const numbers = [
      ...readFileSync(SYSTEM_HEADER, 'utf8').matchAll(
        /^#define\s+EM_(\w+)\s+(0x[0-9a-f]+|\d+)\b/gm,
      ),
    ]
      .filter(([, name]) => name !== 'NUM')
      .map(([, , number]) => Number(number));
    expect(numbers.length).toBeGreaterThan(150);
    expect(numbers.filter((number) => !MACHINE_NAMES.has(number))).toEqual([]);
  },
);
