import { UportError } from '@uport/errors';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ARCHES, archOfElf, findArch, parseArch, platformName } from './arch.ts';

describe('parseArch', () => {
  test.each([
    ['amd64', 'x86_64'],
    ['x86_64', 'x86_64'],
    ['x86-64', 'x86_64'],
    ['x64', 'x86_64'],
    ['linux/amd64', 'x86_64'],
    ['linux/amd64/v3', 'x86_64'],
    ['x86_64-linux', 'x86_64'],
    ['x86_64-linux-gnu', 'x86_64'],
    ['x86_64-unknown-linux-musl', 'x86_64'],
    ['linux/arm64/v8', 'aarch64'],
    ['arm64/v8', 'aarch64'],
    ['AARCH64', 'aarch64'],
    ['aarch64-linux', 'aarch64'],
    ['ppc64el', 'ppc64le'],
    ['powerpc64le-linux-gnu', 'ppc64le'],
    ['powerpc64le-linux', 'ppc64le'],
    ['ppc64', 'ppc64'],
    ['powerpc', 'ppc'],
    ['armhf', 'arm'],
    ['armv7l', 'arm'],
    ['linux/arm/v7', 'arm'],
    ['arm/v6', 'arm'],
    ['arm-linux-gnueabihf', 'arm'],
    ['i686', 'i386'],
    ['386', 'i386'],
    ['ia32', 'i386'],
    ['i686-linux', 'i386'],
    ['loong64', 'loongarch64'],
    ['mips64le', 'mips64el'],
    ['mips64el-linux-gnuabi64', 'mips64el'],
    ['mipsle', 'mipsel'],
    ['parisc', 'hppa'],
    ['riscv64', 'riscv64'],
    [' s390x ', 's390x'],
  ])('%s is %s', (spelling, name) => {
    expect(parseArch(spelling).name).toBe(name);
  });

  test.each([
    '',
    'vax',
    'linux/',
    'arm64/v1',
    'amd64/v9',
    'windows/amd64',
    'arm64/v8/x',
    'x86_64-w64-mingw32',
  ])('%j is no CPU', (spelling) => {
    expect(() => parseArch(spelling)).toThrow(UportError);
    expect(() => parseArch(spelling)).toThrow(
      expect.objectContaining({ code: 'UPORT_ARCH_UNKNOWN' }),
    );
  });

  test('finds every name that the table prints', () => {
    for (const arch of ARCHES) {
      expect(findArch(arch.name)).toBe(arch);
      for (const name of [arch.debian, arch.nix, arch.gnu, arch.oci && platformName(arch.oci)]) {
        if (name !== undefined) expect([name, findArch(name)?.name]).toEqual([name, arch.name]);
      }
    }
  });

  test('answers or refuses any text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const found = findArch(text);
        expect(found === undefined || ARCHES.includes(found)).toBe(true);
      }),
    );
  });
});

describe('the CPU table', () => {
  test('has no two rows with the same name or ELF machine', () => {
    const machines = ARCHES.map(({ elf }) =>
      [elf.machine, elf.bits, elf.order, elf.flags?.value].join(),
    );
    expect(new Set(machines).size).toBe(ARCHES.length);
    expect(new Set(ARCHES.map(({ name }) => name)).size).toBe(ARCHES.length);
  });

  test('names only its own rows as compatible', () => {
    for (const arch of ARCHES) {
      for (const host of arch.compatibleWith) expect(parseArch(host).name).toBe(host);
    }
  });

  test('is frozen', () => {
    expect(() => Object.assign(ARCHES[0]?.elf ?? {}, { machine: 1 })).toThrow(TypeError);
  });

  test('tells the three MIPS ABIs apart', () => {
    const mips = (bits: 32 | 64, order: 'lsb' | 'msb', flags: number) =>
      archOfElf({ machine: 8, bits, order, flags })?.name;
    expect(mips(32, 'msb', 0x70001007)).toBe('mips');
    expect(mips(32, 'msb', 0x60000027)).toBe('mipsn32');
    expect(mips(32, 'lsb', 0x80000027)).toBe('mipsn32el');
    expect(mips(64, 'lsb', 0x80000007)).toBe('mips64el');
  });
});
