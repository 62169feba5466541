import { expect, test } from 'vitest';
import { ARCHES, type Arch, DEFAULT_HOSTS, parseArch } from '../model/arch.ts';
import { archMatrix, type MatrixFacts } from './arch-matrix.ts';

const everywhere: MatrixFacts = {
  slices: new Set(),
  launchers: new Set(ARCHES.map(({ name }) => name)),
  emulators: new Set(ARCHES.map(({ name }) => name)),
};

const ways = (guest: string, hosts: readonly string[], facts: MatrixFacts = everywhere) =>
  archMatrix(parseArch(guest), hosts.map(parseArch), facts).map((row) => row.way);

test('the own CPU is native, others are emulated', () => {
  expect(archMatrix(parseArch('riscv64'), DEFAULT_HOSTS, everywhere).map((row) => row.way)).toEqual(
    ['emulated', 'emulated', 'native', 'emulated', 'emulated'],
  );
});

test('a 32-bit twin is compatible', () => {
  expect(ways('i386', ['amd64', 'arm64'])).toEqual(['compatible', 'emulated']);
  expect(ways('armhf', ['arm64', 'amd64'])).toEqual(['compatible', 'emulated']);
});

test('a slice makes a host native', () => {
  expect(ways('riscv64', ['amd64'], { ...everywhere, slices: new Set(['x86_64']) })).toEqual([
    'native',
  ]);
});

test('what is missing is told', () => {
  const guest = parseArch('riscv64');
  const hosts = [parseArch('arm64')];
  const without = (facts: Partial<MatrixFacts>) =>
    archMatrix(guest, hosts, { ...everywhere, ...facts })[0];
  expect(without({ launchers: new Set() })).toMatchObject({
    way: 'unsupported',
    reason: expect.stringContaining('launcher'),
  });
  expect(without({ emulators: new Set() })).toMatchObject({
    way: 'unsupported',
    reason: expect.stringContaining('provider'),
  });
  expect(archMatrix(guest, [parseArch('m68k')], everywhere)[0]).toMatchObject({
    way: 'unsupported',
    reason: expect.stringContaining('platform'),
  });
  const refused = ({ name }: Arch) => `no ${name}`;
  expect(without({ refused })).toMatchObject({ way: 'unsupported', reason: 'no aarch64' });
});

test('a 64-bit guest on a 32-bit host is only emulated when a provider has the emulator', () => {
  expect(ways('riscv64', ['arm'], { ...everywhere, emulators: undefined })).toEqual([
    'unsupported',
  ]);
  expect(ways('riscv64', ['arm'])).toEqual(['emulated']);
});
