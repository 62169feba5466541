import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { buildElf } from '@uport/elf/testing';
import { UportError } from '@uport/errors';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { App } from '../app/app.ts';
import { silentProgress } from '../model/progress.ts';
import { diskNarNode } from '../nix/nar-sources.ts';
import { writeNar } from '../nix/nar-writer.ts';
import { Store } from '../store/store.ts';
import { type LoadNarOptions, loadNarApp } from './load-nar-app.ts';

let folder: string;
let store: Store;
/** Of a package, and of its one program. */
let nar: Buffer;
let programNar: Buffer;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'load-nar-app-'));
  store = await Store.open(path.join(folder, 'store'));
  const tool = path.join(folder, 'tool/bin/tool');
  mkdirSync(path.join(folder, 'tool/bin'), { recursive: true });
  mkdirSync(path.join(folder, 'tool/share/empty'), { recursive: true });
  writeFileSync(tool, buildElf({ machine: 243, bits: 64, order: 'lsb', type: 2 }));
  chmodSync(tool, 0o755);
  writeFileSync(path.join(folder, 'tool/bin/other'), 'text');
  symlinkSync('../share', path.join(folder, 'tool/bin/link'));
  nar = await pack(path.join(folder, 'tool'));
  programNar = await pack(tool);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function pack(place: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of writeNar(await diskNarNode(place))) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

function load(
  name: string,
  bytes: Uint8Array,
  program?: string,
  options: LoadNarOptions = {},
): Promise<App | undefined> {
  const file = path.join(folder, name);
  writeFileSync(file, bytes);
  return loadNarApp(file, { ...options, ...(program !== undefined && { program }) }, context());
}

const context = () => ({
  store,
  progress: silentProgress,
  signal: new AbortController().signal,
});

test('a package is a folder; its program is named after it', async () => {
  const app = await load('tool-1.2.nar', nar);
  expect(app).toMatchObject({
    name: 'tool',
    program: 'app/bin/tool',
    wholeFolder: true,
    guest: { name: 'riscv64' },
  });
  expect(app?.payload.entries.map(({ type, path: each, mode }) => [type, each, mode])).toEqual([
    ['directory', 'app', 0o755],
    ['directory', 'app/bin', 0o755],
    ['symlink', 'app/bin/link', 0o777],
    ['file', 'app/bin/other', 0o444],
    ['file', 'app/bin/tool', 0o555],
    ['directory', 'app/share', 0o755],
    ['directory', 'app/share/empty', 0o755],
  ]);
  expect((await load('x.nar', nar, 'bin/tool'))?.program).toBe('app/bin/tool');
  expect((await load('x.nar', nar, '/app/bin/tool'))?.program).toBe('app/bin/tool');
});

test('a single program is an app by itself, whatever the file is called', async () => {
  const app = await load('nothing-told', programNar);
  expect(app).toMatchObject({ program: 'app/nothing-told', wholeFolder: false });
  expect(app?.payload.entries.at(-1)).toMatchObject({ type: 'file', mode: 0o755 });
});

test('a compressed one gives the same app', async () => {
  const plain = await load('tool.nar', nar);
  const file = path.join(folder, 'tool.nar');
  const packed = {
    'tool.nar.gz': gzipSync(nar),
    'tool.nar.zst': zstdCompressSync(nar),
    'tool.nar.xz': execFileSync('xz', ['-c', file]),
  };
  for (const [name, bytes] of Object.entries(packed)) {
    expect((await load(name, bytes))?.payload, name).toEqual(plain?.payload);
  }
});

test('what is no NAR is left to others', async () => {
  expect(await load('program', buildElf({ machine: 243, bits: 64, order: 'lsb' }))).toBeUndefined();
  expect(await load('empty', Buffer.alloc(0))).toBeUndefined();
  expect(await loadNarApp(path.join(folder, 'tool'), {}, context())).toBeUndefined();
});

test.each([
  ['empty', () => Buffer.alloc(0), 'UPORT_NAR_INVALID'],
  ['cut short', () => nar.subarray(0, -8), 'UPORT_NAR_INVALID'],
  ['with more at its end', () => Buffer.concat([nar, Buffer.alloc(8)]), 'UPORT_NAR_INVALID'],
  ['two in one', () => Buffer.concat([nar, nar]), 'UPORT_NAR_INVALID'],
  ['of another program', () => Buffer.from('text'), 'UPORT_NAR_INVALID'],
  ['under bzip2', () => Buffer.from('BZh91AY&SY'), 'UPORT_TAR_COMPRESSION'],
])('one that is %s is refused', async (_, bytes, code) => {
  await expect(load('bad.nar', bytes())).rejects.toMatchObject({
    code,
    file: expect.stringContaining('bad.nar'),
    hint: expect.any(String),
  });
});

test.each([
  ['bin/none', 'UPORT_ENTRYPOINT_NOT_FOUND'],
  ['share', 'UPORT_ENTRYPOINT_NOT_FOUND'],
  ['../../etc/passwd', 'UPORT_ENTRYPOINT_NOT_FOUND'],
  ['bin/other', 'UPORT_ELF_NOT_ELF'],
])('%s does not start', async (program, code) => {
  await expect(load('tool.nar', nar, program)).rejects.toMatchObject({ code });
});

test('a package of several programs wants one named', async () => {
  await expect(load('else.nar', nar)).rejects.toMatchObject({
    code: 'UPORT_ENTRYPOINT_MISSING',
    hint: expect.stringContaining('bin/tool'),
  });
});

test('one that unpacks to far more than it is, is refused before the disk is full', async () => {
  const head = programNar.subarray(0, programNar.indexOf('contents') + 8);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(40n * 1024n ** 3n);
  const bomb = zstdCompressSync(Buffer.concat([head, size, Buffer.alloc(48 << 20)]));
  expect(bomb.length).toBeLessThan(64 << 10);
  const limits = { maxSize: 32 << 20 };
  await expect(load('bomb.nar.zst', bomb, undefined, { limits })).rejects.toMatchObject({
    code: 'UPORT_NAR_TOO_LARGE',
  });
});

test('whatever is damaged, the error is ours', async () => {
  const packed = [nar, gzipSync(nar), zstdCompressSync(nar)];
  const change = fc.record({ at: fc.nat(), byte: fc.nat(255) });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...packed),
      fc.array(change, { minLength: 1, maxLength: 5 }),
      fc.nat(),
      async (whole, changes, cut) => {
        const bytes = Buffer.from(whole);
        for (const { at, byte } of changes) bytes[at % bytes.length] = byte;
        const kept = cut % 2 === 0 ? bytes : bytes.subarray(0, cut % bytes.length);
        const app = await load('damaged.nar', kept, 'bin/tool').catch((error: unknown) => error);
        expect(app instanceof UportError || (app as App).program === 'app/bin/tool').toBe(true);
      },
    ),
    { numRuns: 200 },
  );
}, 60_000);
