import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buildElf } from '@uport/elf/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentProgress } from '../model/progress.ts';
import type { App } from './app.ts';
import { loadApp } from './load-app.ts';
import { patchLibraries } from './patch-libraries.ts';

const { signal } = new AbortController();
const context = { progress: silentProgress, signal };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'patch-libraries-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function write(name: string, bytes: Uint8Array): string {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, bytes, { mode: 0o755 });
  return file;
}

/** A shared library; `mark` makes its bytes its own. */
const library = (soname: string | undefined, mark: string, machine = 243) =>
  buildElf({
    machine,
    bits: 64,
    order: 'lsb',
    type: 3,
    dynamic: soname === undefined ? {} : { soname },
    body: Buffer.from(mark),
  });
const program = () =>
  buildElf({ machine: 243, bits: 64, order: 'lsb', type: 2, interpreter: '/lib/ld.so' });
const digestOf = (bytes: Uint8Array) =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const entry = (app: App, place: string) => app.payload.entries.find((each) => each.path === place);

async function vendorApp(): Promise<App> {
  write('vendor/bin/app', program());
  write('vendor/lib/libssl.so.1.1.0', library('libssl.so.1', 'old'));
  write('vendor/lib/libplain.so', library(undefined, 'plain'));
  write('vendor/lib/not-elf.so', Buffer.from('text'));
  write('vendor/lib/other.so', library('libssl.so.1', 'of another CPU', 183));
  symlinkSync('libssl.so.1.1.0', path.join(folder, 'vendor/lib/libssl.so.1'));
  return loadApp(path.join(folder, 'vendor'), { program: 'bin/app' }, context);
}

test('a library takes the place of the one with its soname, and links to it stay', async () => {
  const fresh = library('libssl.so.1', 'new');
  const file = write('new/libssl.so', fresh);
  const before = await vendorApp();
  const { app, preload, libraryFolders } = await patchLibraries(
    before,
    { libraries: [file], preload: [] },
    signal,
  );
  expect(entry(app, 'app/lib/libssl.so.1.1.0')).toMatchObject({
    type: 'file',
    mode: 0o755,
    size: fresh.length,
    digest: digestOf(fresh),
  });
  expect(entry(app, 'app/lib/libssl.so.1')).toMatchObject({ type: 'symlink' });
  expect(entry(app, 'app/lib/other.so')).toEqual(entry(before, 'app/lib/other.so'));
  expect(app.content.locate(digestOf(fresh) as never)).toBe(file);
  expect([preload, libraryFolders]).toEqual([[], []]);
});

test('one without a soname goes by its name; one that is nowhere is added', async () => {
  const plain = library(undefined, 'new');
  const extra = library('libextra.so.3', 'extra');
  const { app, libraryFolders } = await patchLibraries(
    await vendorApp(),
    {
      libraries: [write('new/libplain.so', plain), write('new/anything', extra)],
      preload: [],
    },
    signal,
  );
  expect(entry(app, 'app/lib/libplain.so')).toMatchObject({ digest: digestOf(plain) });
  expect(entry(app, 'usr/lib/uport/lib/libextra.so.3')).toMatchObject({ digest: digestOf(extra) });
  expect(entry(app, 'usr/lib/uport/lib')).toMatchObject({ type: 'directory', mode: 0o755 });
  expect(libraryFolders).toEqual(['usr/lib/uport/lib']);
  const paths = app.payload.entries.map((each) => each.path as string);
  expect(paths).toEqual([...paths].sort());
});

test('preloaded ones lie in a folder of their own, in the order they were given', async () => {
  const files = ['b.so', 'a.so'].map((name) => write(`new/${name}`, library(name, name)));
  const { app, preload } = await patchLibraries(
    await vendorApp(),
    { libraries: [], preload: files },
    signal,
  );
  expect(preload).toEqual(['usr/lib/uport/preload/b.so', 'usr/lib/uport/preload/a.so']);
  for (const place of preload) expect(entry(app, place)).toMatchObject({ type: 'file' });
});

test('nothing given changes nothing', async () => {
  const app = await vendorApp();
  expect((await patchLibraries(app, { libraries: [], preload: [] }, signal)).app).toBe(app);
});

const BAD: readonly (readonly [string, Uint8Array | undefined, string])[] = [
  ['of another CPU', library('libssl.so.1', 'x', 183), 'UPORT_LIBRARY_WRONG_CPU'],
  ['a program', program(), 'UPORT_LIBRARY_NOT_SHARED'],
  ['a text', Buffer.from('text'), 'UPORT_ELF_NOT_ELF'],
  ['nothing', undefined, 'UPORT_NOT_FOUND'],
];

test.each(BAD)('refused: %s', async (_what, bytes, code) => {
  const app = await vendorApp();
  const file = bytes ? write('new/lib.so', bytes) : path.join(folder, 'none.so');
  for (const patches of [
    { libraries: [file], preload: [] },
    { libraries: [], preload: [file] },
  ]) {
    await expect(patchLibraries(app, patches, signal)).rejects.toMatchObject({ code });
  }
});

test('refused: a soname or a name twice, a folder, a place that is taken', async () => {
  const app = await vendorApp();
  const one = write('one/lib.so', library('liba.so', '1'));
  const two = write('two/lib.so', library('liba.so', '2'));
  const patch = (libraries: readonly string[], preload: readonly string[], of = app) =>
    patchLibraries(of, { libraries, preload }, signal);
  await expect(patch([one, two], [])).rejects.toMatchObject({ code: 'UPORT_LIBRARY_TWICE' });
  await expect(patch([], [one, two])).rejects.toMatchObject({ code: 'UPORT_LIBRARY_PLACE_TAKEN' });
  await expect(patch([path.join(folder, 'one')], [])).rejects.toMatchObject({
    code: 'UPORT_LIBRARY_NOT_SHARED',
  });
  const inTheWay = {
    ...app,
    payload: {
      entries: [...app.payload.entries, { type: 'symlink', path: 'usr', mode: 0o777, target: 'x' }],
    },
  } as App;
  await expect(patch([], [one], inTheWay)).rejects.toMatchObject({
    code: 'UPORT_LIBRARY_PLACE_TAKEN',
  });
});
