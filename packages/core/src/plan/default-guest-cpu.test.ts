import { expect, test } from 'vitest';
import { defaultGuestCpu } from './default-guest-cpu.ts';

test.each([
  ['aarch64', '7.2.19', 'max,pauth-impdef=on'],
  ['aarch64', '10.0.2', undefined],
  ['aarch64', '11.1.3', undefined],
  ['aarch64', '5.2.0', undefined],
  ['aarch64', 'unknown', undefined],
  ['x86_64', '7.2.19', undefined],
])('%s of QEMU %s', (guest, version, cpu) => {
  expect(defaultGuestCpu({ guest, version })).toBe(cpu);
});
