import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { UportError } from '@uport/errors';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { extractFromDeb, readDebData } from './deb.ts';
import { makeAr, makeDeb, makeTar, packGzip, packZstd } from './testing/archive.ts';
import { type TarEntry, untar } from './untar.ts';

const hasXz = spawnSync('xz', ['--version']).status === 0;
const hasDpkg = spawnSync('dpkg-deb', ['--version']).status === 0;
const signal = new AbortController().signal;
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'uport-deb-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(bytes: Uint8Array): string {
  const file = path.join(folder, 'test.deb');
  writeFileSync(file, bytes);
  return file;
}

async function bytesOf(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of content) parts.push(part);
  return Buffer.concat(parts);
}

async function readAll(file: string): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  for await (const entry of extractFromDeb(file, () => true, signal)) {
    found.set(entry.path, await bytesOf(entry.content()));
  }
  return found;
}

function packXz(tar: Buffer): { suffix: string; bytes: Buffer } {
  const run = spawnSync('xz', ['-c', '--block-size=65536'], { input: tar, maxBuffer: 1 << 28 });
  return { suffix: '.xz', bytes: run.stdout };
}

const FILES = {
  './usr/bin/a': Buffer.from('a'),
  './usr/bin/empty': Buffer.alloc(0),
  './usr/bin/large': Buffer.alloc(300_000, 'large '),
  'usr/bin/z': Buffer.alloc(512, 'z'),
};

describe('readDebData', () => {
  test.each([
    ['gzip', packGzip],
    ['zstd', packZstd],
    ['nothing', (bytes: Buffer) => ({ suffix: '', bytes })],
  ])('reads packages compressed with %s', async (_name, pack) => {
    const found = await readAll(write(makeDeb(FILES, pack)));
    expect([...found.keys()]).toEqual(['usr/bin/a', 'usr/bin/empty', 'usr/bin/large', 'usr/bin/z']);
    expect([...found.values()]).toEqual(Object.values(FILES));
  });

  test.skipIf(!hasXz)(
    'reads packages compressed with xz (needs it: apt-get install xz-utils)',
    async () => {
      const found = await readAll(write(makeDeb(FILES, packXz)));
      expect([...found.values()]).toEqual(Object.values(FILES));
    },
  );

  test.skipIf(!hasXz)(
    'tells damaged and cut off xz data (needs it: apt-get install xz-utils)',
    async () => {
      const { bytes } = packXz(makeTar(FILES));
      for (const length of [0, 5, 12, 100, bytes.length >> 1]) {
        const deb = makeAr([
          ['debian-binary', Buffer.from('2.0\n')],
          ['data.tar.xz', bytes.subarray(0, length)],
        ]);
        await expect(readAll(write(deb))).rejects.toMatchObject({
          code: length === 0 ? 'UPORT_DEB_INVALID' : 'UPORT_XZ_INVALID',
        });
      }
      const spoiled = Buffer.from(bytes);
      spoiled.fill(0x55, 200, 260);
      const deb = makeAr([
        ['debian-binary', Buffer.from('2.0\n')],
        ['data.tar.xz', spoiled],
      ]);
      await expect(readAll(write(deb))).rejects.toMatchObject({ code: 'UPORT_XZ_INVALID' });
    },
  );

  test.skipIf(!hasDpkg)('reads what dpkg-deb writes (needs it: apt-get install dpkg)', async () => {
    const root = path.join(folder, 'root');
    const long = `usr/share/${'long-name/'.repeat(20)}`;
    for (const name of ['DEBIAN', 'usr/bin', long])
      mkdirSync(path.join(root, name), { recursive: true });
    writeFileSync(
      path.join(root, 'DEBIAN/control'),
      'Package: test\nVersion: 1\nArchitecture: all\nMaintainer: t <t@example.org>\nDescription: t\n',
    );
    writeFileSync(path.join(root, 'usr/bin/tool'), 'tool');
    chmodSync(path.join(root, 'usr/bin/tool'), 0o755);
    writeFileSync(path.join(root, long, 'grüße'), 'deep');
    symlinkSync('tool', path.join(root, 'usr/bin/link'));
    const deb = path.join(folder, 'dpkg.deb');
    expect(spawnSync('dpkg-deb', ['--build', '--root-owner-group', root, deb]).status).toBe(0);
    const entries: Pick<TarEntry, 'path' | 'type' | 'mode' | 'linkTarget'>[] = [];
    for await (const { path: name, type, mode, linkTarget } of readDebData(deb, signal)) {
      entries.push({ path: name, type, mode, linkTarget });
    }
    const dir = expect.objectContaining({ path: '.', type: 'directory', linkTarget: undefined });
    expect(entries[0]).toEqual(dir);
    expect(entries).toContainEqual({
      path: 'usr/bin/tool',
      type: 'file',
      mode: 0o755,
      linkTarget: undefined,
    });
    expect(entries).toContainEqual(
      expect.objectContaining({ path: 'usr/bin/link', type: 'symlink', linkTarget: 'tool' }),
    );
    expect(entries).toContainEqual(expect.objectContaining({ path: `${long}grüße`, type: 'file' }));
  });

  test('what is not read is skipped, and stopping early is no fault', async () => {
    const file = write(makeDeb(FILES));
    for await (const entry of readDebData(file, signal)) {
      if (entry.path === 'usr/bin/large') {
        for await (const part of entry.content()) {
          expect(part.length).toBeGreaterThan(0);
          break;
        }
      }
      if (entry.path === 'usr/bin/z') {
        expect(await bytesOf(entry.content())).toEqual(FILES['usr/bin/z']);
        break;
      }
    }
  });

  test.each([
    ['no archive', Buffer.from('#!/bin/sh\n'), 'UPORT_AR_INVALID'],
    ['an empty file', Buffer.alloc(0), 'UPORT_AR_INVALID'],
    [
      'another archive',
      makeAr([['data.tar.gz', packGzip(makeTar(FILES)).bytes]]),
      'UPORT_DEB_INVALID',
    ],
    ['no data', makeAr([['debian-binary', Buffer.from('2.0\n')]]), 'UPORT_DEB_INVALID'],
    [
      'an unknown compression',
      makeAr([
        ['debian-binary', Buffer.from('2.0\n')],
        ['data.tar.lz4', Buffer.from('x')],
      ]),
      'UPORT_DEB_INVALID',
    ],
  ])('%s is refused', async (_name, bytes, code) => {
    await expect(readAll(write(bytes))).rejects.toMatchObject({ code });
  });

  test('a package cut off anywhere is told', async () => {
    const bytes = makeDeb(FILES, (tar) => ({ suffix: '', bytes: tar }));
    const file = write(bytes);
    for (const length of [4, 30, 100, 2000, bytes.length - 5000]) {
      writeFileSync(file, bytes);
      truncateSync(file, length);
      await expect(readAll(file)).rejects.toMatchObject({
        code: expect.stringMatching(/^UPORT_(AR|DEB)_/),
      });
    }
  });

  test('hostile bytes give no other fault than a told one', async () => {
    const good = makeDeb({ './a': Buffer.from('a'), './b': Buffer.alloc(600) }, (tar) => ({
      suffix: '',
      bytes: tar,
    }));
    const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 8 }), async (changes) => {
        const bytes = Buffer.from(good);
        for (const [at, value] of changes) bytes.writeUInt8(value, at);
        await readAll(write(bytes)).catch((error: unknown) =>
          expect(error).toBeInstanceOf(UportError),
        );
      }),
      { numRuns: 300 },
    );
  });

  test('the wish to stop is heard', async () => {
    const stop = new AbortController();
    const reading = (async () => {
      for await (const _ of readDebData(write(makeDeb(FILES)), stop.signal))
        stop.abort(new Error('enough'));
    })();
    await expect(reading).rejects.toThrow('enough');
  });
});

describe('untar', () => {
  async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }

  test('does not mind how the bytes come', async () => {
    const tar = makeTar({ ...FILES, './usr/bin/large': Buffer.alloc(3000, 'large ') });
    for (const size of [1, 7, 511, 512, 513, 1 << 20]) {
      const names: string[] = [];
      for await (const entry of untar(pieces(tar, size))) {
        names.push(entry.path);
        expect(tar.subarray(entry.offset, entry.offset + entry.size)).toEqual(
          await bytesOf(entry.content()),
        );
      }
      expect(names).toHaveLength(4);
    }
  });

  test.skipIf(spawnSync('tar', ['--version']).status !== 0)(
    'reads GNU and pax long names as tar writes them (needs it: apt-get install tar)',
    async () => {
      const name = `${'d'.repeat(90)}/${'e'.repeat(90)}/${'f'.repeat(90)}`;
      mkdirSync(path.join(folder, 'long', path.dirname(name)), { recursive: true });
      writeFileSync(path.join(folder, 'long', name), 'content');
      for (const format of ['gnu', 'pax', 'posix', 'ustar']) {
        const file = path.join(folder, `${format}.tar`);
        const target = format === 'ustar' ? 'short' : name;
        if (format === 'ustar') writeFileSync(path.join(folder, 'long/short'), 'content');
        expect(
          spawnSync('tar', [
            '-C',
            path.join(folder, 'long'),
            `--format=${format}`,
            '-cf',
            file,
            target,
          ]).status,
        ).toBe(0);
        const found: string[] = [];
        for await (const entry of untar(pieces(readFileSync(file), 1000))) {
          if (entry.type === 'file') {
            found.push(entry.path);
            expect((await bytesOf(entry.content())).toString()).toBe('content');
          }
        }
        expect(found).toEqual([target]);
      }
    },
  );
});
