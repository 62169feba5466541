import { open, readdir, readFile } from 'node:fs/promises';
import { fixture, missingToolchains, TOOLCHAINS, type Toolchain } from '@uport/testkit';
import { describe, expect, test } from 'vitest';
import { ARCHES, parseArch } from '../model/arch.ts';
import { elfBinfmtRule, FATELF_BINFMT_RULE, matchesBinfmtRule } from './rule.ts';

/** QEMU's own rules, written down apart from the CPU table: class, order, machine. */
const QEMU: Readonly<Record<string, readonly [1 | 2, 1 | 2, number]>> = {
  i386: [1, 1, 3],
  arm: [1, 1, 40],
  mipsel: [1, 1, 8],
  mipsn32el: [1, 1, 8],
  sh4: [1, 1, 42],
  riscv32: [1, 1, 243],
  xtensa: [1, 1, 94],
  microblazeel: [1, 1, 0xbaab],
  hexagon: [1, 1, 164],
  armeb: [1, 2, 40],
  sparc: [1, 2, 2],
  sparc32plus: [1, 2, 18],
  ppc: [1, 2, 20],
  m68k: [1, 2, 4],
  mips: [1, 2, 8],
  mipsn32: [1, 2, 8],
  sh4eb: [1, 2, 42],
  hppa: [1, 2, 15],
  xtensaeb: [1, 2, 94],
  microblaze: [1, 2, 0xbaab],
  or1k: [1, 2, 92],
  x86_64: [2, 1, 62],
  alpha: [2, 1, 0x9026],
  ppc64le: [2, 1, 21],
  mips64el: [2, 1, 8],
  aarch64: [2, 1, 183],
  riscv64: [2, 1, 243],
  loongarch64: [2, 1, 258],
  sparc64: [2, 2, 43],
  ppc64: [2, 2, 21],
  mips64: [2, 2, 8],
  s390x: [2, 2, 22],
  aarch64_be: [2, 2, 183],
};

function qemuRule(guest: string): { magic: number[]; mask: number[] } {
  const [bits, order, machine] = QEMU[guest] as [1 | 2, 1 | 2, number];
  const pair = (value: number) =>
    order === 1 ? [value & 0xff, value >> 8] : [value >> 8, value & 0xff];
  const magic = [0x7f, 0x45, 0x4c, 0x46, bits, order, 1, ...Array(9).fill(0)];
  magic.push(...pair(2), ...pair(machine));
  const mask: number[] = Array(20).fill(0xff);
  mask[7] = 0x00;
  mask[order === 1 ? 16 : 17] = 0xfe;
  if (['i386', 'x86_64', 'alpha'].includes(guest)) mask[5] = mask[6] = 0xfe;
  if (guest === 'm68k') mask[6] = 0xfe;
  if (guest === 'ppc64le') mask[19] = 0x00;
  if (guest === 'loongarch64') {
    mask[7] = 0xfc;
    mask[8] = 0x00;
  }
  if (/^mips(n32)?(el)?$/.test(guest)) {
    const at = order === 1 ? 36 : 39;
    mask[8] = 0xfe;
    while (mask.length < at) mask.push(0);
    while (magic.length < at) magic.push(0);
    mask.push(0x20);
    magic.push(guest.includes('n32') ? 0x20 : 0);
  }
  return { magic, mask };
}

const rules = ARCHES.map((arch) => ({ name: arch.name, rule: elfBinfmtRule(arch) }));
const matching = (head: Uint8Array) =>
  rules.filter(({ rule }) => matchesBinfmtRule(rule, head)).map(({ name }) => name);

test('every guest has a rule, and no other', () => {
  expect(rules.map(({ name }) => name).sort()).toEqual(Object.keys(QEMU).sort());
});

test.each(Object.keys(QEMU))("%s: QEMU's rule, but for the bytes of AppImages", (guest) => {
  const { magic, mask } = elfBinfmtRule(parseArch(guest));
  const expected = qemuRule(guest);
  for (const at of [8, 9, 10]) expected.mask[at] = 0;
  expect([...magic]).toEqual(expected.magic);
  expect([...(mask as Uint8Array)]).toEqual(expected.mask);
});

/** What Debian's QEMU package registers, where it is installed. */
const DEBIAN = '/usr/lib/binfmt.d';
const debian = (await readdir(DEBIAN).catch(() => [])).flatMap((file) => {
  const guest = /^qemu-(.*)\.conf$/.exec(file)?.[1];
  // QEMU dropped cris.
  return guest === undefined || guest === 'cris' ? [] : [guest];
});
if (debian.length === 0) {
  console.warn('rule.test.ts: to compare with Debian: apt-get install qemu-user-static');
}

test.skipIf(debian.length === 0).each(debian)(
  "%s: as Debian's package registers it, but no stricter in bytes 5 to 10",
  async (guest) => {
    const line = await readFile(`${DEBIAN}/qemu-${guest}.conf`, 'latin1');
    const [, , , , magic, mask] = line.split(':');
    const bytes = (text = '') =>
      Buffer.from(
        text
          .replaceAll('ELF', '\\x45\\x4c\\x46')
          .replace(/\\x(..)/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
        'latin1',
      );
    const rule = { mask: Uint8Array.of(), ...elfBinfmtRule(parseArch(guest)) };
    const size = rule.magic.length;
    expect(Buffer.from(rule.magic)).toEqual(bytes(magic).subarray(0, size));
    const theirs = bytes(mask);
    for (let at = 5; at <= 10; at++) theirs[at] = (theirs[at] ?? 0) & (rule.mask[at] ?? 0);
    expect(Buffer.from(rule.mask)).toEqual(theirs.subarray(0, size));
    expect(theirs.subarray(size).every((byte) => byte === 0)).toBe(true);
  },
);

describe('real programs', () => {
  const here = TOOLCHAINS.filter(({ name }) => missingToolchains(name) === undefined);
  for (const { name } of TOOLCHAINS) {
    const missing = missingToolchains(name);
    if (missing !== undefined) console.warn(`rule.test.ts: ${missing}`);
  }
  async function head(toolchain: Toolchain, linkage: 'static' | 'dynamic'): Promise<Buffer> {
    const file = await open(await fixture('hello', toolchain.name, { linkage }));
    try {
      return (await file.read(Buffer.alloc(256), 0, 256, 0)).buffer;
    } finally {
      await file.close();
    }
  }

  test.each(here)('$name matches one rule: its own', async (toolchain) => {
    expect(matching(await head(toolchain, 'static'))).toEqual([toolchain.guest]);
    // ET_DYN.
    expect(matching(await head(toolchain, 'dynamic'))).toEqual([toolchain.guest]);
  });

  test.each(here.slice(0, 5))('$name as an AppImage too', async (toolchain) => {
    const bytes = await head(toolchain, 'static');
    bytes.set([0x41, 0x49, 0x02], 8);
    expect(matching(bytes)).toEqual([toolchain.guest]);
  });
});

test('a FatELF file of version 1 matches its rule, another file does not', () => {
  const head = Buffer.from('fa700e1f0100020000', 'hex');
  expect(matchesBinfmtRule(FATELF_BINFMT_RULE, head)).toBe(true);
  expect(matching(head)).toEqual([]);
  head[4] = 2;
  expect(matchesBinfmtRule(FATELF_BINFMT_RULE, head)).toBe(false);
  expect(matchesBinfmtRule(FATELF_BINFMT_RULE, head.subarray(0, 5))).toBe(false);
});
