import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { buildElf } from '@uport/elf/testing';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { silentProgress } from '../model/progress.ts';
import { Store } from '../store/store.ts';
import { type TarEntry, tarBlocks } from '../tar/tar-blocks.ts';
import { loadRootfs } from './load-rootfs.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'uport-load-rootfs-'));
const store = await Store.open(path.join(folder, 'store'));
const PROGRAM = Buffer.from(buildElf({ machine: 243, bits: 64, order: 'lsb', type: 2 }));

function file(name: string, bytes: Buffer, more: Partial<TarEntry> = {}): TarEntry {
  const content = { bytes };
  return {
    type: 'file',
    path: name,
    mode: 0o755,
    size: bytes.length,
    content,
    ...more,
  } as TarEntry;
}

function pack(...entries: readonly TarEntry[]): Buffer {
  const options = { mtime: 1, blockSize: 4096, take: () => Buffer.alloc(4096) };
  return Buffer.concat([...tarBlocks(entries, options)]);
}

let count = 0;
async function load(tar: Buffer, limits = {}) {
  const input = path.join(folder, `root-${count++}.tar`);
  writeFileSync(input, tar);
  return loadRootfs(
    input,
    { program: '/bin/app', limits },
    { store, progress: silentProgress, signal: new AbortController().signal },
  );
}

const TREE: readonly TarEntry[] = [
  { type: 'symlink', path: 'bin', mode: 0o777, target: 'usr/bin' },
  file('usr/bin/tool', PROGRAM, { uid: 33, gid: 44, mtime: 5, xattrs: { 'user.a': '\0\xff' } }),
  { type: 'hardlink', path: 'usr/bin/app', mode: 0o755, target: 'usr/bin/tool' },
  { type: 'characterDevice', path: 'dev/null', mode: 0o666, device: { major: 1, minor: 3 } },
  { type: 'fifo', path: 'run/pipe\xff', mode: 0o600 },
  file('etc/secret', Buffer.from('x'), { mode: 0o4400 }),
];

test('owners, modes, times, links, devices, attributes and any names are kept, however packed', async () => {
  const plain = pack(...TREE);
  const xz = spawnSync('xz', ['-c'], { input: plain });
  const forms = [
    plain,
    gzipSync(plain),
    zstdCompressSync(plain),
    ...(xz.status === 0 ? [xz.stdout] : []),
  ];
  for (const tar of forms) {
    const { app, dispose } = await load(tar);
    expect(app).toMatchObject({ name: 'app', program: 'bin/app', wholeRoot: true });
    expect(app.payload.entries).toMatchObject([
      { type: 'symlink', path: 'bin', target: 'usr/bin' },
      { type: 'directory', path: 'dev' },
      { type: 'characterDevice', path: 'dev/null', mode: 0o666, device: { major: 1, minor: 3 } },
      { type: 'directory', path: 'etc' },
      { type: 'file', path: 'etc/secret', mode: 0o4400, size: 1 },
      { type: 'directory', path: 'run' },
      { type: 'fifo', path: 'run/pipe\xff', mode: 0o600 },
      { type: 'directory', path: 'usr' },
      { type: 'directory', path: 'usr/bin' },
      {
        type: 'file',
        path: 'usr/bin/app',
        uid: 33,
        gid: 44,
        mtime: 5,
        xattrs: { 'user.a': '\0\xff' },
      },
      { type: 'hardlink', path: 'usr/bin/tool', target: 'usr/bin/app' },
    ]);
    await dispose();
  }
  expect(readdirSync(path.join(store.root, 'tmp'))).toEqual([]);
});

test('hostile tars are refused, and nothing is left', async () => {
  const cases: readonly (readonly [string, Buffer, object?])[] = [
    ['UPORT_TAR_PATH', pack(...TREE, file('../../outside', PROGRAM))],
    [
      'UPORT_TAR_LINK',
      pack(...TREE, { type: 'hardlink', path: 'h', mode: 0, target: '/etc/passwd' }),
    ],
    ['UPORT_TAR_LINK', pack(...TREE, { type: 'hardlink', path: 'h', mode: 0, target: 'usr/bin' })],
    [
      'UPORT_TAR_TOO_LARGE',
      pack(...TREE, file('big', Buffer.alloc(1 << 20))),
      { maxSize: 1 << 20 },
    ],
    // What lies behind the end is written to disk too while it is read.
    [
      'UPORT_TAR_TOO_LARGE',
      gzipSync(Buffer.concat([pack(...TREE), Buffer.alloc(1 << 21)])),
      { maxSize: 1 << 20 },
    ],
    ['UPORT_TAR_INVALID', pack(...TREE).subarray(0, 1024 + 700)],
    ['UPORT_TAR_INVALID', Buffer.from('no tar at all')],
    ['UPORT_TAR_INVALID', Buffer.alloc(0)],
    ['UPORT_TAR_COMPRESSION', Buffer.from('BZh91AY')],
    ['UPORT_LAYER_DAMAGED', gzipSync(pack(...TREE)).subarray(0, 60)],
    ['UPORT_XZ_INVALID', Buffer.from('fd377a585a0000', 'hex')],
    ['UPORT_ENTRYPOINT_NOT_FOUND', pack(file('bin/other', PROGRAM))],
  ];
  for (const [code, tar, limits] of cases) {
    await expect(load(tar, limits)).rejects.toMatchObject({ code });
    expect(readdirSync(path.join(store.root, 'tmp'))).toEqual([]);
  }
});

test('whatever bytes are wrong, there is one kind of error and nothing is left', async () => {
  const good = pack(...TREE);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      async (edits, packed) => {
        const bad = Buffer.from(good);
        for (const [at, value] of edits) bad[at] = value;
        const loaded = await load(packed ? gzipSync(bad) : bad).catch(
          (error: { code?: string }) => {
            expect(error.code).toMatch(/^UPORT_(TAR|ENTRYPOINT|ELF|GUEST|LAYER|PATH)_/);
          },
        );
        await loaded?.dispose();
        expect(readdirSync(path.join(store.root, 'tmp'))).toEqual([]);
      },
    ),
    { numRuns: 100 },
  );
});
