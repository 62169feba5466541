import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ARCHES } from '../model/arch.ts';
import { parseDigest } from '../model/digest.ts';
import type { BytePath } from '../model/payload-tree.ts';
import {
  encodeFooter,
  encodeIndex,
  FOOTER_SIZE,
  indexDigest,
  type PayloadIndex,
  parseFooter,
  parseIndex,
} from './payload-index.ts';

const digest = parseDigest(`sha256:${'ab'.repeat(32)}`);
const SIZE = 1_000_000;

const byteString = fc
  .uint8Array({ minLength: 1, maxLength: 20 })
  .map((bytes) => Buffer.from(bytes.map((b) => b || 1)).toString('latin1'));
const name = byteString.map((text) => `n${text.replaceAll('/', '_')}`);

const index = fc
  .record({
    app: byteString,
    offsets: fc.array(fc.nat(SIZE / 2), { minLength: 1, maxLength: 5 }),
    emulated: fc.array(fc.constantFrom(...ARCHES), { maxLength: 5 }),
    args: fc.array(byteString, { maxLength: 3 }),
    files: fc.uniqueArray(name, { maxLength: 8 }),
    size: fc.nat(1000),
    mode: fc.nat(0o7777),
    target: byteString,
  })
  .map(({ app, offsets, emulated, args, files, size, mode, target }): PayloadIndex => {
    const raw = files.length * size;
    return {
      app,
      blobs: offsets.map((offset) => ({
        offset,
        stored: 1000,
        raw,
        digest,
        ...(offset % 2 === 0 && { filter: 's390x' as const }),
      })),
      hosts: emulated.map((arch) => ({
        name: 'x86_64',
        launcher: { size: 40_000, digest },
        emulators: [{ guest: arch.name, elf: arch.elf, blob: 0, args }],
        ...(args.length > 2 && {
          translator: {
            guest: arch.name,
            name: 'box64' as const,
            loader: 'ld-linux-aarch64.so.1',
            parts: [
              { blob: 0, name: 'box64' },
              { blob: 0, name: 'ld-linux-aarch64.so.1' },
            ],
          },
        }),
        slices: [{ blob: 0, path: 'app/x' as BytePath }],
      })),
      tree: 0,
      programs: [{ name: app, path: 'app' as BytePath }],
      nodes: [
        { type: 'directory', path: 'app' as BytePath, mode },
        ...files.map((file) => ({
          type: 'file' as const,
          path: `app/${file}` as BytePath,
          mode,
          size,
        })),
        ...files.slice(0, 1).map((file) => ({
          type: 'hardlink' as const,
          path: 'app/~link' as BytePath,
          target: `app/${file}` as BytePath,
        })),
        { type: 'symlink', path: 'app/~~' as BytePath, target },
      ],
    };
  });

describe('the index', () => {
  test('reads back as it was written', () => {
    fc.assert(
      fc.property(index, (value) => {
        const text = encodeIndex(value);
        expect(text).toMatch(/^[\n -~]*$/);
        expect(parseIndex(text, SIZE)).toEqual(value);
      }),
    );
  });

  test('is refused or understood however it is damaged, never anything else', () => {
    fc.assert(
      fc.property(index, fc.nat(), fc.string({ maxLength: 6 }), (value, at, junk) => {
        const text = encodeIndex(value);
        const cut = at % text.length;
        const damaged = text.slice(0, cut) + junk + text.slice(cut + junk.length);
        try {
          expect(encodeIndex(parseIndex(damaged, SIZE))).toBe(damaged);
        } catch (error) {
          expect(error).toMatchObject({ code: 'UPORT_PAYLOAD_INVALID' });
        }
      }),
      { numRuns: 2000 },
    );
  });

  const base = (nodes: string, blob = '0 10 5') =>
    `uport-payload 1\napp a\nblob ${blob} ${'ab'.repeat(32)}\ntree 0\nprogram a app\n${nodes}`;

  test.each([
    ['a path that climbs', base('dir 0755 app\nfile 0644 5 app/../x\n')],
    ['an absolute path', base('dir 0755 app\nfile 0644 5 /etc/passwd\n')],
    ['a path twice', base('dir 0755 app\nfile 0644 5 app/x\ndir 0755 app/x\n')],
    ['a file below a link', base('dir 0755 app\nsymlink app/l /etc\nfile 0644 5 app/l/x\n')],
    ['a file below nothing', base('file 0644 5 app/x\n')],
    ['a hard link to nothing', base('dir 0755 app\nlink app/x app/y\n')],
    ['sizes that do not add up', base('dir 0755 app\nfile 0644 6 app/x\n')],
    ['a blob past the end', base('dir 0755 app\nfile 0644 5 app/x\n', '999999 10 5')],
    [
      'an unknown filter',
      base('dir 0755 app\nfile 0644 5 app/x\n').replace('\ntree', ' zip\ntree'),
    ],
    ['a number with a sign', base('dir 0755 app\nfile 0644 +5 app/x\n')],
    ['no newline at the end', base('dir 0755 app\nfile 0644 5 app/x')],
  ])('%s is refused', (_, text) => {
    expect(() => parseIndex(text, SIZE)).toThrow(
      expect.objectContaining({ code: 'UPORT_PAYLOAD_INVALID' }),
    );
  });
});

describe('the footer', () => {
  const footer = {
    size: 5000 + FOOTER_SIZE,
    indexOffset: 4000,
    indexStored: 1000,
    indexRaw: 3000,
    indexDigest: indexDigest('x'),
  };

  test('reads back as it was written', () => {
    expect(parseFooter(encodeFooter(footer), 10_000)).toEqual(footer);
  });

  test('is no footer without its magic', () => {
    expect(parseFooter(Buffer.alloc(FOOTER_SIZE), 10_000)).toBeUndefined();
  });

  test('is refused when it points elsewhere', () => {
    fc.assert(
      fc.property(fc.integer({ min: 8, max: 47 }), fc.integer({ min: 1, max: 255 }), (at, xor) => {
        const bytes = encodeFooter(footer);
        bytes[at] = (bytes[at] as number) ^ xor;
        try {
          const read = parseFooter(bytes, 10_000);
          expect(read?.indexRaw).not.toBe(footer.indexRaw);
        } catch (error) {
          expect(error).toMatchObject({ code: 'UPORT_PAYLOAD_INVALID' });
        }
      }),
    );
  });
});
