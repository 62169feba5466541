import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256Digest } from '../model/digest.ts';
import { decodeNixBase32, encodeNixBase32 } from './base32.ts';
import { digestNixHash, formatNixHash, hashStream, parseNixHash } from './hash.ts';
import { nixMissing, runNix } from './testing/nix-command.ts';

const algorithms = ['md5', 'sha1', 'sha256', 'sha512'] as const;

test.skipIf(nixMissing)('spells hashes as nix hash does (apt-get install nix-bin)', async () => {
  const folder = fs.mkdtempSync(path.join(tmpdir(), 'hash-'));
  try {
    for (const algorithm of algorithms) {
      const { hash, size } = await hashStream(
        [Buffer.from('some '), Buffer.from('bytes')],
        algorithm,
      );
      expect(size).toBe(10);
      fs.writeFileSync(path.join(folder, 'f'), 'some bytes');
      for (const format of ['sri', 'base16', 'base32'] as const) {
        const printed = runNix(folder, 'nix', [
          'hash',
          'file',
          `--${format}`,
          '--type',
          algorithm,
          path.join(folder, 'f'),
        ]);
        const text = printed.toString().trim();
        expect(formatNixHash(hash, format)).toBe(text);
        expect(parseNixHash(text, algorithm)).toEqual({
          algorithm,
          bytes: hash.bytes,
        });
      }
    }
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

test('base 32 reads back what it wrote, and only that', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
      expect(decodeNixBase32(encodeNixBase32(bytes))).toEqual(bytes);
    }),
  );
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(...'0123456789abcdfghijklmnpqrsvwxyzetu') }),
      (text) => {
        let bytes: Uint8Array;
        try {
          bytes = decodeNixBase32(text);
        } catch (error) {
          expect(error).toMatchObject({ code: 'UPORT_NIX_HASH_INVALID' });
          return;
        }
        expect(encodeNixBase32(bytes)).toBe(text);
      },
    ),
  );
});

test('reads each spelling of a hash', () => {
  const digest = sha256Digest('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  const hash = digestNixHash(digest);
  const sri = 'sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=';
  const base32 = '1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s';
  expect(formatNixHash(hash, 'sri')).toBe(sri);
  expect(formatNixHash(hash, 'base32')).toBe(base32);
  for (const text of [sri, digest, `sha256:${base32}`, sri.replace('-', ':')]) {
    expect(parseNixHash(text)).toEqual(hash);
  }
  expect(parseNixHash(base32, 'sha256')).toEqual(hash);
});

test.each([
  ['', undefined],
  ['sha256-', undefined],
  ['sha256-AAAA', undefined],
  // Bits that no byte holds, in base64 and in base 32.
  ['sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa1=', undefined],
  [`sha256:z${'0'.repeat(51)}`, undefined],
  [`sha256:${'g'.repeat(64)}`, undefined],
  [`sha256-${'0'.repeat(64)}`, undefined],
  ['0'.repeat(64), undefined],
  [`sha1:${'0'.repeat(40)}`, 'sha256' as const],
  [`sha3:${'0'.repeat(64)}`, undefined],
])('refuses %j', (text, algorithm) => {
  expect(() => parseNixHash(text, algorithm)).toThrow(
    expect.objectContaining({ code: 'UPORT_NIX_HASH_INVALID' }),
  );
});
