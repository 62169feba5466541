import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, mkdtempSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Digest } from '../model/digest.ts';
import { byteReader } from './byte-reader.ts';
import { type TarEntry, tarBlocks } from './tar-blocks.ts';
import { encodeTarHeader } from './tar-header.ts';
import { readTar } from './tar-reader.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'uport-tar-'));

function pack(entries: readonly TarEntry[], blockSize = 4096, mtime = 1): Buffer {
  const parts: Buffer[] = [];
  const take = () => Buffer.alloc(blockSize);
  for (const block of tarBlocks(entries, { mtime, blockSize, take })) parts.push(block);
  return Buffer.concat(parts);
}

async function unpack(tar: Uint8Array, chunk = 1000) {
  const chunks = async function* () {
    for (let at = 0; at < tar.length; at += chunk) yield tar.subarray(at, at + chunk);
  };
  const members = [];
  for await (const member of readTar(byteReader(chunks()))) {
    const parts: Buffer[] = [];
    for await (const part of member.body) parts.push(part);
    members.push({ ...member, bytes: Buffer.concat(parts) });
  }
  return members;
}

const text = (entry: string, bytes: string | Buffer): TarEntry => ({
  type: 'file',
  path: entry,
  mode: 0o644,
  size: Buffer.from(bytes).length,
  content: { bytes: Buffer.from(bytes) },
});

const byteName = fc
  .array(
    fc.integer({ min: 1, max: 255 }).filter((byte) => byte !== 0x2f),
    { minLength: 1, maxLength: 120 },
  )
  .map((bytes) => String.fromCharCode(...bytes))
  .filter((name) => name !== '.' && name !== '..');
const bytePath = fc.array(byteName, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));

test('what is written is read back: names of any bytes and length', async () => {
  const entry = fc.oneof(
    fc.record({ type: fc.constant('directory' as const), path: bytePath, mode: fc.nat(0o7777) }),
    fc.record({
      type: fc.constantFrom('symlink' as const, 'hardlink' as const),
      path: bytePath,
      mode: fc.nat(0o7777),
      target: bytePath,
    }),
    fc
      .tuple(bytePath, fc.nat(0o7777), fc.uint8Array({ maxLength: 2000 }))
      .map(([name, mode, bytes]): TarEntry => ({ ...text(name, Buffer.from(bytes)), mode })),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(entry, { maxLength: 8 }),
      fc.integer({ min: 1, max: 3000 }),
      fc.nat(2 ** 34),
      async (entries, chunk, mtime) => {
        const members = await unpack(pack(entries, 1536, mtime), chunk);
        expect(members.length).toBe(entries.length);
        for (const [i, member] of members.entries()) {
          const entry = entries[i] as TarEntry;
          const name = member.type === 'directory' ? member.path.replace(/\/$/, '') : member.path;
          expect({ ...member, path: name }).toMatchObject({
            type: entry.type,
            path: entry.path,
            mode: entry.mode,
            mtime,
            uid: 0,
            target: 'target' in entry ? entry.target : '',
          });
          if (entry.type === 'file' && 'bytes' in entry.content) {
            expect(member.bytes.equals(Buffer.from(entry.content.bytes))).toBe(true);
          }
        }
      },
    ),
    { numRuns: 100 },
  );
});

test('GNU tar reads it: long names, raw bytes, links', () => {
  const long = `${'d'.repeat(90)}/${'e'.repeat(90)}/${'f'.repeat(200)}`;
  const out = mkdtempSync(path.join(folder, 'gnu-'));
  const tar = pack([
    { type: 'directory', path: 'd\xff', mode: 0o750 },
    text('d\xff/\xfe', 'raw'),
    text(long, 'long'),
    text(`${'p'.repeat(100)}/${'q'.repeat(60)}`, 'split'),
    { type: 'hardlink', path: 'hard', mode: 0o644, target: long },
    { type: 'symlink', path: 'soft', mode: 0o777, target: 't'.repeat(150) },
    { type: 'file', path: 'empty', mode: 0o4755, size: 0, content: { bytes: Buffer.alloc(0) } },
  ]);
  const done = spawnSync('tar', ['-xpf', '-', '-C', out], { input: tar });
  expect(done.stderr.toString()).toBe('');
  const at = (name: string) => Buffer.from(`${out}/${name}`, 'latin1');
  expect(readFileSync(at('d\xff/\xfe'), 'utf8')).toBe('raw');
  expect(lstatSync(at('d\xff')).mode & 0o7777).toBe(0o750);
  expect(readFileSync(at(`${'p'.repeat(100)}/${'q'.repeat(60)}`), 'utf8')).toBe('split');
  expect(lstatSync(at('hard')).ino).toBe(lstatSync(at(long)).ino);
  expect(readlinkSync(at('soft'))).toBe('t'.repeat(150));
  expect(lstatSync(at('empty')).mode & 0o777).toBe(0o755);
});

test('what GNU tar writes is read, in each of its formats', async () => {
  const dir = mkdtempSync(path.join(folder, 'in-'));
  const long = 'x'.repeat(150);
  writeFileSync(path.join(dir, long), 'content');
  for (const format of ['v7', 'ustar', 'gnu', 'posix']) {
    const name = format === 'v7' || format === 'ustar' ? 'short' : long;
    writeFileSync(path.join(dir, name), 'content');
    const done = spawnSync('tar', [`--format=${format}`, '-C', dir, '-cf', '-', name]);
    const [member] = await unpack(done.stdout);
    expect(member?.path).toBe(name);
    expect(member?.bytes.toString()).toBe('content');
  }
});

test('a size that no octal field holds', async () => {
  const size = 2 ** 33 + 5;
  const header = encodeTarHeader({
    type: 'file',
    path: 'big',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size,
    mtime: 0,
  });
  const chunks = async function* () {
    yield header;
  };
  const first = await readTar(byteReader(chunks())).next();
  expect(first.value?.size).toBe(size);
  const listed = spawnSync('tar', ['-tvf', '-'], { input: header });
  expect(listed.stdout.toString()).toContain(` ${size} `);
});

test('a file that changed is refused', () => {
  const file = path.join(folder, 'changing');
  const digest = `sha256:${createHash('sha256').update('right').digest('hex')}` as Digest;
  const entry: TarEntry = {
    type: 'file',
    path: 'changing',
    mode: 0o644,
    size: 5,
    content: { file, digest },
  };
  for (const other of ['wrong', 'righ', 'right!', '']) {
    writeFileSync(file, other);
    expect(() => pack([entry])).toThrow(expect.objectContaining({ code: 'UPORT_INPUT_CHANGED' }));
    expect(() => pack([entry], 3)).toThrow(
      expect.objectContaining({ code: 'UPORT_INPUT_CHANGED' }),
    );
  }
  writeFileSync(file, 'right');
  expect(pack([entry]).length).toBe(512 * 4);
  // The same bytes when the file spans blocks.
  expect(pack([entry], 3).equals(pack([entry]))).toBe(true);
});

test('hostile tars give one kind of error', async () => {
  const good = pack([
    text('a'.repeat(200), 'content'),
    { type: 'symlink', path: 'b', mode: 0o777, target: 'c'.repeat(200) },
  ]);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
      fc.nat(good.length),
      fc.boolean(),
      async (edits, length, mend) => {
        const bad = Buffer.from(good.subarray(0, length));
        for (const [at, value] of edits) if (at < bad.length) bad[at] = value;
        // With checksums made right again the fields behind them are reached.
        if (mend) for (let at = 0; at + 512 <= bad.length; at += 512) mendChecksum(bad, at);
        await unpack(bad).catch((error: { code?: string }) =>
          expect(error.code).toBe('UPORT_TAR_INVALID'),
        );
      },
    ),
    { numRuns: 2000 },
  );
});

function mendChecksum(tar: Buffer, at: number): void {
  const block = tar.subarray(at, at + 512);
  if (block.toString('latin1', 257, 262) !== 'ustar') return;
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}
