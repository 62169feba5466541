import { expect, test } from 'vitest';
import { parseArch } from '../model/arch.ts';
import { bySpeed, rankGuests } from './choose-guest.ts';

const ranked = (host: string, ...guests: string[]) =>
  rankGuests(parseArch(host), guests.map(parseArch)).map(({ name }) => name);

test('a guest that the host may run by itself comes first', () => {
  expect(ranked('aarch64', 'x86_64', 'arm')).toEqual(['arm', 'x86_64']);
  expect(ranked('x86_64', 'aarch64', 'i386')).toEqual(['i386', 'aarch64']);
});

test('then what QEMU runs fastest; the order they came in does not count', () => {
  expect(ranked('s390x', 'i386', 'x86_64', 'sparc64', 'aarch64')).toEqual([
    ...['aarch64', 'x86_64', 'i386', 'sparc64'],
  ]);
  expect(bySpeed(['s390x', 's390x', 'riscv64'].map(parseArch)).map(({ name }) => name)).toEqual([
    ...['riscv64', 's390x'],
  ]);
});
