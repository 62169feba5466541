import { execFileSync, spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { parseArch } from '../model/arch.ts';
import { binfmtLine, parseBinfmtFormat } from './formats.ts';
import {
  BINFMT_SUBJECTS,
  binfmtInterpreterName,
  binfmtRegistration,
  parseBinfmtSubject,
} from './registration.ts';

const riscv = binfmtRegistration(parseArch('riscv64'), '/opt/uport/qemu-riscv64');
const fatelf = binfmtRegistration('fatelf', '/opt/uport/launch', 'F');
const text = (format: string, ...registrations: (typeof riscv)[]) =>
  parseBinfmtFormat(format)
    .files(registrations)
    .map((file) => `-- ${file.name}\n${file.text}`)
    .join('');

const MAGIC = String.raw`\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xf3\x00`;
const MASK = String.raw`\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xfe\xff\xff\xff`;
const FATELF_MAGIC = String.raw`\xfa\x70\x0e\x1f\x01\x00`;

test('kernel lines', () => {
  expect(text('kernel', riscv, fatelf)).toBe(
    `-- register\n:uport-riscv64:M::${MAGIC}:${MASK}:/opt/uport/qemu-riscv64:FP\n` +
      `:uport-fatelf:M::${FATELF_MAGIC}::/opt/uport/launch:F\n`,
  );
});

test("systemd's file", () => {
  expect(text('binfmt.d', riscv)).toBe(
    `-- uport.conf\n:uport-riscv64:M::${MAGIC}:${MASK}:/opt/uport/qemu-riscv64:FP\n`,
  );
});

test("files of Debian's update-binfmts", () => {
  expect(text('debian', riscv, fatelf)).toBe(`-- uport-riscv64
package uport
interpreter /opt/uport/qemu-riscv64
magic ${MAGIC}
offset 0
mask ${MASK}
credentials no
fix_binary yes
preserve yes
-- uport-fatelf
package uport
interpreter /opt/uport/launch
magic ${FATELF_MAGIC}
offset 0
credentials no
fix_binary yes
preserve no
`);
});

const nix = spawnSync('nix-instantiate', ['--version']).status === 0;
if (!nix) console.warn('formats.test.ts: to evaluate the NixOS module: apt-get install nix-bin');

test.skipIf(!nix)('the NixOS module, as Nix evaluates it', () => {
  const module = text('nixos', riscv, fatelf).replace(/^-- .*\n/, '');
  const json = execFileSync('nix-instantiate', ['--eval', '--strict', '--json', '-E', module], {
    encoding: 'utf8',
    env: { ...process.env, NIX_STATE_DIR: '/tmp', NIX_REMOTE: 'dummy://' },
  });
  const { registrations } = JSON.parse(json).boot.binfmt;
  expect(Object.keys(registrations)).toEqual(['uport-fatelf', 'uport-riscv64']);
  expect(registrations['uport-riscv64']).toEqual({
    recognitionType: 'magic',
    offset: 0,
    magicOrExtension: MAGIC,
    mask: MASK,
    interpreter: '/opt/uport/qemu-riscv64',
    wrapInterpreterInShell: false,
    fixBinary: true,
    preserveArgvZero: true,
    openBinary: false,
    matchCredentials: false,
  });
  expect(registrations['uport-fatelf']).not.toHaveProperty('mask');
});

test('a path with colons gets another separator', () => {
  const line = binfmtLine(binfmtRegistration('fatelf', '/opt/a:b,c/launch'));
  expect(line).toBe(`|uport-fatelf|M||${FATELF_MAGIC}||/opt/a:b,c/launch|FP`);
  expect(() => binfmtLine(binfmtRegistration('fatelf', '/:,|!@+=/launch'))).toThrow(
    /every character/,
  );
});

describe('what the kernel would not take is refused', () => {
  test.each(['launch', '/opt/a\nb', ''])('the path %j', (path) => {
    expect(() => binfmtRegistration('fatelf', path)).toThrow(/absolute path/);
  });
  test('flags that do not exist', () => {
    expect(() => binfmtRegistration('fatelf', '/a', 'FX')).toThrow(/no flags/);
  });
  test('other formats and CPUs', () => {
    expect(() => parseBinfmtFormat('xml')).toThrow(
      expect.objectContaining({ hint: 'use one of: kernel, binfmt.d, debian, nixos' }),
    );
    expect(() => parseBinfmtSubject('z80')).toThrow(/no CPU/);
  });
});

test('no line is longer than the kernel reads, nor needs bytes past those it reads', () => {
  for (const subject of BINFMT_SUBJECTS) {
    const interpreter = `/usr/local/lib/uport/${binfmtInterpreterName(subject)}`;
    const registration = binfmtRegistration(subject, interpreter);
    expect(binfmtLine(registration).length).toBeLessThan(1920);
    expect(registration.offset + registration.magic.length).toBeLessThanOrEqual(128);
  }
});
