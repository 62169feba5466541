import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { byteReader } from './byte-reader.ts';
import { type TarEntry, tarBlocks } from './tar-blocks.ts';
import { encodeTarHeader } from './tar-header.ts';
import { readTar } from './tar-reader.ts';
import { isHole } from './tar-sparse.ts';

function pack(entries: readonly TarEntry[]): Buffer {
  const options = { mtime: 1, blockSize: 4096, take: () => Buffer.alloc(4096) };
  return Buffer.concat([...tarBlocks(entries, options)]);
}

async function* chunked(tar: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < tar.length; at += size) yield tar.subarray(at, at + size);
}

async function unpack(tar: Uint8Array) {
  const members = [];
  for await (const member of readTar(byteReader(chunked(tar)))) {
    const parts: Buffer[] = [];
    for await (const part of member.body) parts.push(part);
    members.push({ ...member, bytes: Buffer.concat(parts) });
  }
  return members;
}

/** A pax header of these records, then an entry of the given header. */
function withPax(flag: string, records: readonly string[], rest: Buffer): Buffer {
  const body = Buffer.from(records.join(''), 'latin1');
  const header = encodeTarHeader({
    type: 'file',
    path: 'pax',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: body.length,
    mtime: 0,
  });
  header.write(flag, 156, 'latin1');
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([header, body, Buffer.alloc((512 - (body.length % 512)) % 512), rest]);
}

function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const first = String(rest.length + 1).length + rest.length;
  return String(first).length + rest.length === first ? first + rest : first + 1 + rest;
}

const empty = (name: string): TarEntry => ({
  type: 'file',
  path: name,
  mode: 0o644,
  size: 0,
  content: { bytes: Buffer.alloc(0) },
});

test('owners, times, attributes and devices are written and read', async () => {
  const xattrs = fc.dictionary(
    fc.stringMatching(/^(user|security|trusted)\.[a-z=]{1,20}$/).map((name) => name),
    fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
    { maxKeys: 3 },
  );
  const id = fc.oneof(fc.nat(70000), fc.nat(2 ** 32 - 2));
  await fc.assert(
    fc.asyncProperty(id, id, fc.nat(2 ** 35), xattrs, async (uid, gid, mtime, attributes) => {
      const names = Object.keys(attributes).filter((name) => !name.includes('='));
      const kept = Object.fromEntries(names.map((name) => [name, attributes[name] as string]));
      const own = { mode: 0o4755, uid, gid, mtime, xattrs: kept };
      const members = await unpack(
        pack([
          { ...empty('file'), ...own },
          { type: 'characterDevice', path: 'null', ...own, device: { major: 1, minor: 3 } },
          { type: 'blockDevice', path: 'big', ...own, device: { major: 259, minor: 1048575 } },
          { type: 'fifo', path: 'pipe', ...own },
        ]),
      );
      expect(members.map(({ type }) => type)).toEqual([
        'file',
        'characterDevice',
        'blockDevice',
        'fifo',
      ]);
      for (const member of members) expect(member).toMatchObject({ uid, gid, mtime, mode: 0o4755 });
      for (const member of members) expect({ ...member.xattrs }).toEqual(kept);
      expect(members[1]?.device).toEqual({ major: 1, minor: 3 });
      expect(members[2]?.device).toEqual({ major: 259, minor: 1048575 });
    }),
    { numRuns: 50 },
  );
});

test('GNU tar reads devices and owners as they were written', () => {
  const tar = pack([
    {
      type: 'characterDevice',
      path: 'null',
      mode: 0o666,
      uid: 3,
      gid: 4,
      device: { major: 1, minor: 3 },
    },
  ]);
  const listed = spawnSync('tar', ['--numeric-owner', '-tvf', '-'], { input: tar });
  expect(listed.stdout.toString()).toMatch(/^crw-rw-rw- 3\/4\s+1,3 /);
});

test("sparse files of GNU tar's four formats are read with their holes", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'uport-sparse-'));
  const file = path.join(folder, 'sparse');
  const fd = openSync(file, 'w');
  const parts = [0, 1 << 20, 3 << 20, (3 << 20) + 8192, 5 << 20, 6 << 20, 7 << 20, 8 << 20];
  for (const at of parts) writeSync(fd, `data at ${at}`, at);
  ftruncateSync(fd, 12 << 20);
  closeSync(fd);
  const expected = Buffer.alloc(12 << 20);
  for (const at of parts) expected.write(`data at ${at}`, at);
  const formats = [
    ['--format=gnu'],
    ...['0.0', '0.1', '1.0'].map((each) => ['--format=posix', `--sparse-version=${each}`]),
  ];
  for (const format of formats) {
    const made = spawnSync('tar', [...format, '-S', '-C', folder, '-cf', '-', 'sparse'], {
      maxBuffer: 1 << 26,
    });
    expect(made.stdout.length).toBeLessThan(1 << 20);
    const [member] = await unpack(made.stdout);
    expect(member).toMatchObject({ type: 'file', path: 'sparse', size: 12 << 20 });
    expect(member?.bytes.equals(expected)).toBe(true);
    let holes = 0;
    for await (const one of readTar(byteReader(chunked(made.stdout)))) {
      for await (const piece of one.body) holes += isHole(piece) ? piece.length : 0;
    }
    expect(holes).toBeGreaterThan(11 << 20);
  }
});

test('maps of sparse files that lie are refused', async () => {
  const data = (size: number) => ({ ...empty('x'), size, content: { bytes: Buffer.alloc(size) } });
  const sparse = (map: string, size: string, stored: number) =>
    withPax(
      'x',
      [record('GNU.sparse.size', size), record('GNU.sparse.map', map)],
      pack([data(stored)]),
    );
  expect((await unpack(sparse('0,5,100,5', '200', 10)))[0]?.bytes.length).toBe(200);
  for (const bad of [
    sparse('0,5', '3', 5),
    sparse('100,5,0,5', '200', 10),
    sparse('0,5,3,5', '200', 10),
    sparse('0,5', '200', 6),
    sparse('0,-5', '200', 0),
    sparse('0', '200', 0),
    sparse('9007199254740991,5', '9007199254740991', 5),
    sparse('0,5', '-1', 5),
    sparse('', '10', 0),
  ]) {
    await expect(unpack(bad)).rejects.toMatchObject({ code: 'UPORT_TAR_INVALID' });
  }
});

test('pax headers that lie or overflow are refused', async () => {
  const one = pack([empty('x')]);
  for (const bad of [
    withPax('g', [record('path', 'everything')], one),
    withPax('g', [record('size', '5')], one),
    withPax('g', [record('SCHILY.xattr.security.capability', 'x')], one),
    withPax('x', [record('size', '-1')], one),
    withPax('x', [record('size', '1e3')], one),
    withPax('x', [record('uid', '99999999999999999999')], one),
    withPax('x', [record('path', 'a\0b')], one),
    withPax('x', [record(`SCHILY.xattr.${'n'.repeat(256)}`, 'x')], one),
    withPax('x', [record('SCHILY.xattr.user.x', 'v'.repeat(65537))], one),
    withPax('x', ['8 path=a\n'], one),
    withPax('x', ['0 path=a\n'], one),
    withPax('x', ['99999999999 path=a\n'], one),
    withPax('x', [record('path', 'a')], Buffer.alloc(0)),
    // Each is small, together they are not.
    withPax(
      'x',
      [record('comment', 'c'.repeat(600_000))],
      withPax('x', [record('comment', 'c'.repeat(600_000))], one),
    ),
  ]) {
    await expect(unpack(bad)).rejects.toMatchObject({ code: 'UPORT_TAR_INVALID' });
  }
  const [proto] = await unpack(withPax('x', [record('SCHILY.xattr.__proto__', 'x')], one));
  expect(Object.getOwnPropertyNames(proto?.xattrs)).toEqual(['__proto__']);
});

const noAttributes = spawnSync('setfattr', ['--version']).error
  ? ' (setfattr missing: apt-get install attr)'
  : '';

test.skipIf(noAttributes)(
  `a file with an attribute comes out of GNU tar${noAttributes}`,
  async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'uport-xattr-'));
    writeFileSync(path.join(folder, 'file'), 'x');
    const set = spawnSync('setfattr', [
      '-n',
      'user.test',
      '-v',
      '0x00ff0a3d',
      path.join(folder, 'file'),
    ]);
    expect(set.status).toBe(0);
    const made = spawnSync('tar', ['--xattrs', '-C', folder, '-cf', '-', 'file']);
    const [member] = await unpack(made.stdout);
    expect({ ...member?.xattrs }).toEqual({ 'user.test': '\0\xff\n=' });
  },
);
