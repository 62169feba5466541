import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256Digest } from '../model/digest.ts';
import type { PinnedEmulator } from '../plan/plan.ts';
import { namedLicenses } from './common-licenses.ts';
import { parseBuiltUsing } from './debian-notice.ts';
import { noticeText } from './notice-text.ts';

const TEXTS = { launcher: 'MIT …\n', licenses: [{ name: 'GPL-2' as const, text: 'GPL …\n' }] };

function emulator(host: string, more: Partial<PinnedEmulator> = {}): PinnedEmulator {
  const digest = sha256Digest('2'.repeat(64));
  return {
    ...{ kind: 'qemu', host, guest: 'riscv64', version: '11.1.2', digest, size: 1 },
    origin: { provider: 'dir', file: 'qemu-riscv64' },
    ...more,
  };
}

test('emulators of one build are told of together, each copyright file is quoted once', () => {
  const text = noticeText(
    [
      { emulator: emulator('x86_64'), copyright: 'copyright of QEMU' },
      { emulator: emulator('aarch64'), copyright: 'copyright of QEMU' },
      { emulator: emulator('s390x', { version: '7.2.1' }), copyright: 'older' },
    ],
    TEXTS,
  );
  expect(text).toContain(
    'QEMU 11.1.2 (GPL, version 2), which runs riscv64 programs on x86_64, aarch64.',
  );
  expect(text).toContain('QEMU 7.2.1 (GPL, version 2), which runs riscv64 programs on s390x.');
  expect(text.split('copyright of QEMU').length).toBe(2);
  expect(text).toContain('https://download.qemu.org/qemu-7.2.1.tar.xz');
});

test('a prepared emulator is said to be changed; without one there is no offer', () => {
  const prepared = emulator('x86_64', { preparedFrom: sha256Digest('3'.repeat(64)) });
  expect(noticeText([{ emulator: prepared, copyright: undefined }], TEXTS)).toContain('Changed by');
  const alone = noticeText([], { ...TEXTS, licenses: [] });
  expect(alone).not.toContain('QEMU');
  expect(alone).toContain('MIT …');
});

test('licences that a copyright file refers to', () => {
  const text = `see /usr/share/common-licenses/GPL-2. Also "/usr/share/common-licenses/LGPL", and
    /usr/share/common-licenses/Unheard-1 or /usr/share/common-licenses/GPL-2.`;
  expect(namedLicenses(text)).toEqual(['GPL-2', 'LGPL-3']);
});

test('Built-Using is read, whatever else stands there', () => {
  expect(
    parseBuiltUsing('zlib (= 1:1.2.13.dfsg-1), glibc (= 2.36-9+deb12u14), x (>> 1),, '),
  ).toEqual([
    { name: 'glibc', version: '2.36-9+deb12u14' },
    { name: 'zlib', version: '1:1.2.13.dfsg-1' },
  ]);
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      for (const { name, version } of parseBuiltUsing(`${text}, glibc (= 1)`)) {
        expect(name).toMatch(/^[a-z0-9][a-z0-9+.-]+$/);
        expect(version).toMatch(/^[A-Za-z0-9.+~:-]+$/);
      }
    }),
  );
});
