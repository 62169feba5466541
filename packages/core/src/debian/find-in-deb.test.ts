import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { UportError } from '@uport/errors';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Landmarks, useFileOfDeb } from './find-in-deb.ts';
import { makeDeb } from './testing/archive.ts';
import type { TarEntry } from './untar.ts';
import { unxzFrom } from './xz.ts';
import { readXzIndex, type XzIndex } from './xz-index.ts';

const hasXz = spawnSync('xz', ['--version']).status === 0;
const signal = new AbortController().signal;
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'uport-find-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function pack(...options: readonly string[]) {
  return (tar: Buffer): { suffix: string; bytes: Buffer } => {
    const run = spawnSync('xz', ['-0', '-c', ...options], { input: tar, maxBuffer: 1 << 28 });
    return { suffix: '.xz', bytes: run.stdout };
  };
}

function writeDeb(
  files: Readonly<Record<string, Uint8Array>>,
  ...options: readonly string[]
): string {
  const file = path.join(folder, 'test.deb');
  writeFileSync(file, makeDeb(files, pack(...options)));
  return file;
}

async function bytesOf(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of content) parts.push(part.slice());
  return Buffer.concat(parts);
}

const read = (entry: TarEntry) => bytesOf(entry.content());

/** Programs with the names and proportions of a real package, in blocks of 64 KiB. */
const NAMES = [
  'aarch64',
  'alpha',
  'arm',
  'hppa',
  'i386',
  'm68k',
  'mips',
  'ppc',
  'riscv64',
  'xtensaeb',
];
const FILES: Readonly<Record<string, Buffer>> = Object.fromEntries(
  NAMES.map((name, i) => [`./usr/bin/qemu-${name}`, Buffer.alloc(30_000 + i * 3000, `${name} `)]),
);
const BLOCKS = '--block-size=65536';

describe.skipIf(!hasXz)('useFileOfDeb (needs xz: apt-get install xz-utils)', () => {
  test('finds every file, with and without landmarks', async () => {
    const file = writeDeb(FILES, BLOCKS);
    const landmarks: Landmarks = {};
    for (const name of [...NAMES, ...NAMES]) {
      const paths = [`usr/bin/qemu-${name}`, `usr/bin/qemu-${name}-static`];
      const found = await useFileOfDeb(file, paths, landmarks, read, signal);
      expect(found).toEqual(FILES[`./usr/bin/qemu-${name}`]);
    }
    expect(Object.keys(landmarks).length).toBeGreaterThan(2);
  });

  test('answers nothing for a file that is not there', async () => {
    const file = writeDeb(FILES, BLOCKS);
    for (const name of ['usr/bin/qemu-a', 'usr/bin/qemu-mipsel', 'usr/bin/qemu-z', 'a', 'z']) {
      expect(await useFileOfDeb(file, [name], {}, read, signal)).toBeUndefined();
    }
  });

  test('finds files of a package that is not in order', async () => {
    const file = writeDeb(Object.fromEntries(Object.entries(FILES).reverse()), BLOCKS);
    for (const name of NAMES) {
      const found = await useFileOfDeb(file, [`usr/bin/qemu-${name}`], {}, read, signal);
      expect(found).toEqual(FILES[`./usr/bin/qemu-${name}`]);
    }
  });

  test('finds files much larger than a block, and in one block', async () => {
    const large = {
      './a': Buffer.alloc(500_000, 'a'),
      './b': Buffer.from('b'),
      './c': Buffer.alloc(300_000, 'c'),
    };
    for (const options of [[BLOCKS], []]) {
      const file = writeDeb(large, ...options);
      for (const [name, bytes] of Object.entries(large)) {
        expect(await useFileOfDeb(file, [name.slice(2)], {}, read, signal)).toEqual(bytes);
      }
    }
  });

  test('does not trust landmarks of another package', async () => {
    const file = writeDeb(FILES, BLOCKS);
    const wrong: Landmarks = {
      0: { path: 'x', offset: 512 },
      1: { path: 'usr/bin/qemu-m', offset: 70_000 },
      2: { path: 'z', offset: 5 },
    };
    const found = await useFileOfDeb(file, ['usr/bin/qemu-m68k'], wrong, read, signal);
    expect(found).toEqual(FILES['./usr/bin/qemu-m68k']);
  });

  test('the fault of whoever uses the file is passed on', async () => {
    const file = writeDeb(FILES, BLOCKS);
    const use = async () => {
      throw new UportError({
        code: 'UPORT_STORE_FULL',
        category: 'environment',
        message: 'full',
        hint: '',
      });
    };
    await expect(useFileOfDeb(file, ['usr/bin/qemu-m68k'], {}, use, signal)).rejects.toMatchObject({
      code: 'UPORT_STORE_FULL',
    });
  });
});

describe.skipIf(!hasXz)('the index of xz (needs xz: apt-get install xz-utils)', () => {
  const content = Buffer.alloc(300_000, 'some content ');

  async function indexOf(bytes: Uint8Array): Promise<{ file: string; index: XzIndex | undefined }> {
    const file = path.join(folder, 'test.xz');
    writeFileSync(file, bytes);
    const handle = await open(file, 'r');
    try {
      return { file, index: await readXzIndex(handle, 0, bytes.length) };
    } finally {
      await handle.close();
    }
  }

  test.each(['crc64', 'crc32', 'none'])(
    'leads into the middle of a stream (check: %s)',
    async (check) => {
      const { bytes } = pack(BLOCKS, `--check=${check}`)(content);
      const { file, index } = await indexOf(bytes);
      expect(index?.blocks.map(({ contentSize }) => contentSize)).toEqual([
        65536, 65536, 65536, 65536, 37856,
      ]);
      if (!index) return;
      for (const [i, { contentOffset }] of index.blocks.entries()) {
        const got = await bytesOf(unxzFrom(file, index, i, signal));
        expect(got.equals(content.subarray(contentOffset))).toBe(true);
      }
    },
  );

  test('is not read from several streams, padding or other files', async () => {
    const { bytes } = pack(BLOCKS)(content);
    for (const other of [
      Buffer.concat([bytes, bytes]),
      Buffer.concat([bytes, Buffer.alloc(4)]),
      bytes.subarray(0, -1),
      bytes.subarray(0, 20),
      Buffer.alloc(100),
      Buffer.alloc(0),
    ]) {
      expect((await indexOf(other)).index).toBeUndefined();
    }
  });

  test('hostile bytes give nothing, or places inside the file', async () => {
    const { bytes } = pack(BLOCKS)(content);
    const change = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        const spoiled = Buffer.from(bytes);
        for (const [at, value] of changes) spoiled.writeUInt8(value, at);
        const { index } = await indexOf(spoiled);
        for (const { offset, unpaddedSize } of index?.blocks ?? []) {
          expect(offset + unpaddedSize).toBeLessThanOrEqual(spoiled.length);
        }
      }),
      { numRuns: 200 },
    );
    expect(readFileSync(path.join(folder, 'test.xz')).length).toBe(bytes.length);
  });
});
