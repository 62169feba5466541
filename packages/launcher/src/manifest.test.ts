import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UportError } from '@uport/errors';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launcherFor } from './launcher.ts';
import { encodeManifest, type Manifest, parseManifest } from './manifest.ts';

const bytes = (options: fc.IntArrayConstraints) =>
  fc
    .array(fc.integer({ min: 1, max: 255 }), options)
    .map((values) => String.fromCharCode(...values));

const flags = fc.tuple(fc.integer({ min: 1, max: 0xffffffff }), fc.nat(0xffffffff)).map(
  // >>> 0: the bits of an unsigned number.
  ([mask, value]) => ({ mask, value: (value & mask) >>> 0 }),
);

function emulatorName() {
  return fc.stringMatching(/^[A-Za-z0-9_-]{1,32}$/);
}

const emulator = fc.record({
  name: emulatorName(),
  elf: fc.record(
    {
      machine: fc.nat(0xffff),
      bits: fc.constantFrom<32 | 64>(32, 64),
      order: fc.constantFrom<'lsb' | 'msb'>('lsb', 'msb'),
      flags,
    },
    { requiredKeys: ['machine', 'bits', 'order'] },
  ),
  path: bytes({ minLength: 1, maxLength: 40 }),
  args: fc.array(bytes({ maxLength: 20 }), { maxLength: 32 }),
});

const path = bytes({ minLength: 1, maxLength: 40 });
const words = fc.array(bytes({ maxLength: 20 }), { minLength: 1, maxLength: 8 });
const program = fc.record(
  { name: bytes({ maxLength: 20 }), path, args: words, defaults: words },
  { requiredKeys: ['name', 'path'] },
);
const variable = bytes({ minLength: 1, maxLength: 20 }).filter((name) => !name.includes('='));
const value = bytes({ maxLength: 40 });
const surroundings = fc.record({
  guest: fc.record({
    name: emulatorName(),
    elf: fc.constant({ machine: 62, bits: 64, order: 'lsb' } as const),
  }),
  settings: fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('env' as const), name: variable, value }),
      fc.record({ kind: fc.constant('unset' as const), name: variable }),
      fc.record({ kind: fc.constant('guest-env' as const), name: variable, value }),
      fc.record({
        kind: fc.constant('guest-paths' as const),
        name: variable,
        paths: fc.array(path, { minLength: 1, maxLength: 4 }),
      }),
    ),
    { minLength: 1, maxLength: 8 },
  ),
  workdir: path,
  wholeRoot: fc.constant(true),
});
const unpacked = fc.record({ path, size: fc.maxSafeNat() });

const translator = fc
  .tuple(emulator, fc.stringMatching(/^[!-.0-~]{3,20}$/))
  .map(([one, loader]) => ({
    emulators: [one],
    translator: { guest: one.name, name: 'box64' as const, loader },
  }));

const plain: fc.Arbitrary<Manifest> = fc.record(
  {
    emulators: fc.array(emulator, { maxLength: 8 }),
    surroundings,
    programs: fc.array(program, { minLength: 1, maxLength: 8 }),
    unpacked: fc.array(unpacked, { minLength: 1, maxLength: 8 }),
  },
  { requiredKeys: ['emulators'] },
);
const manifest: fc.Arbitrary<Manifest> = fc
  .tuple(plain, fc.option(translator, { nil: undefined }))
  .map(([value, more]) => ({ ...value, ...more }));

const QEMU_ARM = {
  name: 'arm',
  elf: { machine: 40, bits: 32, order: 'lsb' },
  path: 'qemu arm%',
  args: ['-cpu', '', 'max', '\xff\n'],
} as const;
const TEXT = [
  'uport-manifest 1',
  'emulator arm 40 32 lsb 0 0 qemu%20arm%25 -cpu % max %FF%0A',
  'emulator mipsn32 8 32 msb 32 32 /q',
  'program hello root/bin/hello',
  'program % root/a%20b',
  'unpacked root/bin/hello 702640',
  'unpacked qemu%20arm%25 0',
  '',
].join('\n');

const SURROUNDINGS = [
  'uport-manifest 1',
  'guest x86_64 62 64 lsb 0 0',
  'env A b%20c',
  'unset LANG',
  'guest-env GLIBC_TUNABLES %',
  'guest-paths LD_PRELOAD root/a.so /b.so',
  'workdir root/app',
  '',
].join('\n');

test('writes the documented text', () => {
  const mips = { machine: 8, bits: 32, order: 'msb', flags: { mask: 32, value: 32 } } as const;
  const value: Manifest = {
    emulators: [QEMU_ARM, { name: 'mipsn32', elf: mips, path: '/q', args: [] }],
    programs: [
      { name: 'hello', path: 'root/bin/hello' },
      { name: '', path: 'root/a b' },
    ],
    unpacked: [
      { path: 'root/bin/hello', size: 702640 },
      { path: 'qemu arm%', size: 0 },
    ],
  };
  expect(encodeManifest(value)).toBe(TEXT);
  expect(parseManifest(TEXT)).toEqual(value);
});

test('every value survives', () => {
  fc.assert(
    fc.property(manifest, (value) => {
      expect(parseManifest(encodeManifest(value))).toEqual(value);
    }),
  );
});

const one = (change: object) => ({ emulators: [{ ...QEMU_ARM, ...change }] });
const elf = (change: object) => one({ elf: { ...QEMU_ARM.elf, ...change } });

test.each([
  ['a NUL', one({ path: 'a\0b' })],
  ['a character that is no byte', one({ path: '\u0100' })],
  ['an empty path', one({ path: '' })],
  ['a path that is too long', one({ path: 'x'.repeat(4096) })],
  ['an argument that is too long', one({ args: ['x'.repeat(4096)] })],
  ['too many arguments', one({ args: Array(33).fill('x') })],
  ['an empty name', one({ name: '' })],
  ['a name with a newline', one({ name: 'a\n' })],
  ['a name that is too long', one({ name: 'x'.repeat(33) })],
  ['a machine out of range', elf({ machine: 65536 })],
  ['half a machine', elf({ machine: 0.5 })],
  ['flags outside the mask', elf({ flags: { mask: 1, value: 2 } })],
  ['a program without a path', { emulators: [], programs: [{ name: 'a', path: '' }] }],
  ['a program with a NUL', { emulators: [], programs: [{ name: '\0', path: 'a' }] }],
  ['too many programs', { emulators: [], programs: Array(513).fill({ name: 'a', path: 'a' }) }],
  ['half a size', { emulators: [], unpacked: [{ path: 'a', size: 0.5 }] }],
  [
    'too many unpacked files',
    { emulators: [], unpacked: Array(1025).fill({ path: 'a', size: 0 }) },
  ],
  ['too many emulators', { emulators: Array(65).fill(QEMU_ARM) }],
  ['too many bytes', { emulators: Array(60).fill({ ...QEMU_ARM, args: ['x'.repeat(2000)] }) }],
])('does not write %s', (_, value) => {
  expect(() => encodeManifest(value as Manifest)).toThrow(UportError);
});

const native = { x64: 'x86_64', ia32: 'i386', arm64: 'aarch64', arm: 'arm' }[
  process.arch as string
];
const host = launcherFor(native ?? process.arch);
if (!host) console.warn('the launcher has no build for this CPU: its parser is not compared');

describe.skipIf(!host)('the launcher', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'uport-manifest-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  /** What the C parser read, written again, or undefined when it refused. */
  function launcherReads(text: string): string | undefined {
    const file = join(folder, 'manifest');
    writeFileSync(file, text, 'latin1');
    const result = spawnSync(host?.path ?? '', ['--manifest', file, '--print-manifest'], {
      encoding: 'latin1',
      env: {},
    });
    if (result.status === 0) {
      expect(result.stderr).toBe('');
      return result.stdout;
    }
    expect([result.status, result.stdout]).toEqual([125, '']);
    expect(result.stderr).toMatch(/^uport: .*: line [0-9]+: [^\n]*, build it again\n$/);
    return undefined;
  }

  function codecReads(text: string): string | undefined {
    try {
      return encodeManifest(parseManifest(text));
    } catch (error) {
      expect(error).toMatchObject({ code: 'UPORT_MANIFEST_INVALID' });
      return undefined;
    }
  }

  const manySameEmulators = (count: number) =>
    encodeManifest({ emulators: Array(Math.min(count, 64)).fill(QEMU_ARM) }) +
    'emulator x 1 32 lsb 0 0 p\n'.repeat(Math.max(0, count - 64));
  const padded = (size: number) => {
    const long = (length: number) => `emulator x 1 32 lsb 0 0 ${'p'.repeat(length)}\n`;
    let text = 'uport-manifest 1\n';
    while (size - text.length > 4000) text += long(2000);
    return text + long(size - text.length - long(0).length);
  };
  const line = 'emulator arm 40 32 lsb 0 0 q';

  test.each<[string, boolean, string]>([
    ['the example', true, TEXT],
    ['no emulators', true, 'uport-manifest 1\n'],
    ['64 emulators', true, manySameEmulators(64)],
    ['65 emulators', false, manySameEmulators(65)],
    ['65536 bytes', true, padded(65536)],
    ['65537 bytes', false, padded(65537)],
    ['4095 bytes', true, `uport-manifest 1\n${line}${'%FF'.repeat(4094)}\n`],
    ['4096 bytes', false, `uport-manifest 1\n${line}${'%FF'.repeat(4095)}\n`],
    ['32 arguments', true, `uport-manifest 1\n${line}${' a'.repeat(32)}\n`],
    ['33 arguments', false, `uport-manifest 1\n${line}${' a'.repeat(33)}\n`],
    ['nothing', false, ''],
    ['a newline', false, '\n'],
    ['another version', false, 'uport-manifest 2\n'],
    ['no newline after the first line', false, 'uport-manifest 1'],
    ['no newline at the end', false, `uport-manifest 1\n${line}`],
    ['an empty line', false, 'uport-manifest 1\n\n'],
    ['two spaces', false, `uport-manifest 1\n${line}  a\n`],
    ['a space at the end', false, `uport-manifest 1\n${line} \n`],
    ['a tab', false, `uport-manifest 1\n${line}\ta\n`],
    ['a carriage return', false, `uport-manifest 1\n${line}\r\n`],
    ['a NUL', false, `uport-manifest 1\n${line}\0\n`],
    ['a NUL in the first line', false, `uport-manifest 1\0\n${line}\n`],
    ['an encoded NUL', false, `uport-manifest 1\n${line}%00\n`],
    ['lower-case hex', false, `uport-manifest 1\n${line}%ff\n`],
    ['encoding without need', false, `uport-manifest 1\n${line}%41\n`],
    ['half an encoding', false, `uport-manifest 1\n${line}%2\n`],
    ['no path', false, 'uport-manifest 1\nemulator arm 40 32 lsb 0 0\n'],
    ['an empty path', false, 'uport-manifest 1\nemulator arm 40 32 lsb 0 0 %\n'],
    ['an unknown keyword', false, 'uport-manifest 1\nslice arm 40 32 lsb 0 0 q\n'],
    ['512 programs', true, `uport-manifest 1\n${'program a b\n'.repeat(512)}`],
    ['513 programs', false, `uport-manifest 1\n${'program a b\n'.repeat(513)}`],
    ['a program without a path', false, 'uport-manifest 1\nprogram a\n'],
    ['a program with an empty path', false, 'uport-manifest 1\nprogram a %\n'],
    ['a program with arguments', true, 'uport-manifest 1\nprogram a b c %\ndefaults d\n'],
    ['33 arguments of a program', false, `uport-manifest 1\nprogram a b${' c'.repeat(33)}\n`],
    ['no defaults', false, 'uport-manifest 1\nprogram a b\ndefaults\n'],
    ['defaults twice', false, 'uport-manifest 1\nprogram a b\ndefaults c\ndefaults c\n'],
    ['defaults of no program', false, 'uport-manifest 1\ndefaults c\n'],
    ['a translator', true, `uport-manifest 1\n${line}\ntranslator arm box64 ld.so.1\n`],
    ['a translator of nothing', false, 'uport-manifest 1\ntranslator arm box64 ld.so.1\n'],
    ['another translator', false, `uport-manifest 1\n${line}\ntranslator arm fex ld.so.1\n`],
    [
      'two translators',
      false,
      `uport-manifest 1\n${line}\n${'translator arm box64 ld.so.1\n'.repeat(2)}`,
    ],
    ['a loader elsewhere', false, `uport-manifest 1\n${line}\ntranslator arm box64 ../l\n`],
    ['a loader that is a folder', false, `uport-manifest 1\n${line}\ntranslator arm box64 ..\n`],
    ['no loader', false, `uport-manifest 1\n${line}\ntranslator arm box64\n`],
    ['two loaders', false, `uport-manifest 1\n${line}\ntranslator arm box64 a b\n`],
    [
      'an emulator after a translator',
      false,
      `uport-manifest 1\n${line}\ntranslator arm box64 l\n${line}\n`,
    ],
    ['surroundings', true, SURROUNDINGS],
    ['256 variables', true, `uport-manifest 1\n${'env A b\n'.repeat(256)}`],
    ['257 variables', false, `uport-manifest 1\n${'env A b\n'.repeat(257)}`],
    ['a variable without a name', false, 'uport-manifest 1\nenv % b\n'],
    ['a variable with = in its name', false, 'uport-manifest 1\nenv A= b\n'],
    ['a variable without a value', false, 'uport-manifest 1\nenv A\n'],
    ['a variable that is unset to something', false, 'uport-manifest 1\nunset A b\n'],
    ['a variable of no guest', false, 'uport-manifest 1\nguest-env A b\n'],
    ['paths of no guest', false, 'uport-manifest 1\nguest-paths A b\n'],
    ['two guests', false, `${SURROUNDINGS.slice(0, 44)}guest x86_64 62 64 lsb 0 0\n`],
    ['an emulator after them', false, `${SURROUNDINGS}${line}\n`],
    ['a variable after the working directory', false, `${SURROUNDINGS}env A b\n`],
    ['two working directories', false, `${SURROUNDINGS}workdir b\n`],
    ['a whole root', true, `${SURROUNDINGS}whole-root\n`],
    ['a whole root alone', true, 'uport-manifest 1\nwhole-root\nprogram a b\n'],
    ['two whole roots', false, `${SURROUNDINGS}whole-root\nwhole-root\n`],
    ['a whole root with a path', false, `${SURROUNDINGS}whole-root a\n`],
    ['a variable after the whole root', false, 'uport-manifest 1\nwhole-root\nenv A b\n'],
    ['a working directory after it', false, 'uport-manifest 1\nwhole-root\nworkdir a\n'],
    ['a guest after it', false, 'uport-manifest 1\nwhole-root\nguest x 62 64 lsb 0 0\n'],
    ['an emulator after it', false, `uport-manifest 1\nwhole-root\n${line}\n`],
    ['no paths', false, 'uport-manifest 1\nguest x 62 64 lsb 0 0\nguest-paths A\n'],
    [
      'an empty path of a guest',
      false,
      'uport-manifest 1\nguest x 6 64 lsb 0 0\nguest-paths A %\n',
    ],
    ['a program before an emulator', false, `uport-manifest 1\nprogram a b\n${line}\n`],
    ['1024 unpacked files', true, `uport-manifest 1\n${'unpacked a 0\n'.repeat(1024)}`],
    ['1025 unpacked files', false, `uport-manifest 1\n${'unpacked a 0\n'.repeat(1025)}`],
    ['an unpacked file without a size', false, 'uport-manifest 1\nunpacked a\n'],
    ['an unpacked file with too much', false, 'uport-manifest 1\nunpacked a 1 2\n'],
    ['an unpacked file before a program', false, 'uport-manifest 1\nunpacked a 1\nprogram a b\n'],
    ['the largest size', true, 'uport-manifest 1\nunpacked a 9007199254740991\n'],
    ['a larger size', false, 'uport-manifest 1\nunpacked a 9007199254740992\n'],
    ['a leading zero', false, 'uport-manifest 1\nemulator arm 040 32 lsb 0 0 q\n'],
    ['a sign', false, 'uport-manifest 1\nemulator arm +40 32 lsb 0 0 q\n'],
    [
      'the largest numbers',
      true,
      `uport-manifest 1\nemulator a 65535 32 lsb ${'4294967295 '.repeat(2)}q\n`,
    ],
    ['a machine out of range', false, 'uport-manifest 1\nemulator arm 65536 32 lsb 0 0 q\n'],
    ['flags out of range', false, 'uport-manifest 1\nemulator arm 40 32 lsb 4294967296 0 q\n'],
    [
      'an overflowing number',
      false,
      `uport-manifest 1\nemulator arm ${'9'.repeat(40)} 32 lsb 0 0 q\n`,
    ],
    ['flags outside the mask', false, 'uport-manifest 1\nemulator arm 40 32 lsb 1 2 q\n'],
    ['class 16', false, 'uport-manifest 1\nemulator arm 40 16 lsb 0 0 q\n'],
    ['byte order pdp', false, 'uport-manifest 1\nemulator arm 40 32 pdp 0 0 q\n'],
    ['a name with a dot', false, 'uport-manifest 1\nemulator a.b 40 32 lsb 0 0 q\n'],
    ['a name of 33 bytes', false, `uport-manifest 1\nemulator ${'a'.repeat(33)} 40 32 lsb 0 0 q\n`],
  ])('and the codec read the same: %s', (_, good, text) => {
    const expected = good ? text : undefined;
    expect(codecReads(text)).toBe(expected);
    expect(launcherReads(text)).toBe(expected);
  });

  test('and the codec read the same of random manifests', () => {
    fc.assert(
      fc.property(manifest, (value) => {
        const text = encodeManifest(value);
        expect(launcherReads(text)).toBe(text);
      }),
      { numRuns: 100 },
    );
  });

  test('and the codec read the same of damaged manifests', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        '',
        ' ',
        '\n',
        '%',
        '%2',
        '%20',
        '%0',
        '0',
        '-',
        '\0',
        '\xff',
        '\r',
        'emulator ',
      ),
      bytes({ maxLength: 2 }),
    );
    const damage = fc.tuple(manifest, fc.nat(), fc.nat(4), piece).map(([value, at, gone, put]) => {
      const text = encodeManifest(value);
      const place = at % (text.length + 1);
      return text.slice(0, place) + put + text.slice(place + gone);
    });
    fc.assert(
      fc.property(damage, (text) => {
        expect(launcherReads(text)).toBe(codecReads(text));
      }),
      { numRuns: 300 },
    );
  });
});
