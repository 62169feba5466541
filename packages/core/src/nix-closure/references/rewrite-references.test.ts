import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { readElf } from '@uport/elf';
import { buildElf } from '@uport/elf/testing';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { App } from '../../app/app.ts';
import { silentProgress } from '../../model/progress.ts';
import { Store } from '../../store/store.ts';
import { loadNixApp } from '../load-nix-app.ts';
import { describeReferences } from './rewrite-references.ts';
import { storePlaces } from './store-prefix.ts';

const TOOL = '0123456789abcdfghijklmnpqrsvwxyz';
const LIBC = 'zyxwvsrqpnmlkjihgfdcba9876543210';
const TOOL_PATH = `/nix/store/${TOOL}-tool-1.0`;
const LIBC_PATH = `/nix/store/${LIBC}-libc-2`;
const NEW_TOOL = `/opt/uport/store/${TOOL.slice(0, 26)}-tool-1.0`;
const NEW_LIBC = `/opt/uport/store/${LIBC.slice(0, 26)}-libc-2`;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rewrite-references-'));
  write(`${TOOL_PATH}/bin/tool`, program(`${LIBC_PATH}/lib`));
  write(`${LIBC_PATH}/lib/ld.so`, library());
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, bytes: Uint8Array | string): void {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, bytes, { mode: 0o755 });
}

const library = (runpath?: string) =>
  buildElf({
    machine: 243,
    bits: 64,
    order: 'lsb',
    type: 3,
    dynamic: { ...(runpath !== undefined && { runpath }) },
  });
const program = (runpath: string) =>
  buildElf({
    machine: 243,
    bits: 64,
    order: 'lsb',
    type: 2,
    interpreter: `${LIBC_PATH}/lib/ld.so`,
    dynamic: { runpath },
  });

async function load(storePrefix?: string): Promise<App> {
  const app = await loadNixApp(
    path.join(folder, TOOL_PATH),
    { references: 'rewrite', ...(storePrefix !== undefined && { storePrefix }) },
    {
      store: await Store.open(path.join(folder, 'store')),
      progress: silentProgress,
      signal: new AbortController().signal,
    },
  );
  if (app === undefined) throw new Error('it is no store path');
  return app;
}

function contentOf(app: App, name: string): Buffer {
  const entry = app.payload.entries.find((each) => `/${each.path}` === name);
  if (entry?.type !== 'file') throw new Error(`${name} is no file`);
  return readFileSync(app.content.locate(entry.digest) as string);
}

async function runpathOf(app: App, name: string): Promise<readonly string[]> {
  const bytes = contentOf(app, name);
  const source = {
    size: bytes.length,
    read: async (at: number, length: number) => bytes.subarray(at, at + length),
  };
  return (await readElf(source)).dynamic?.runpath ?? [];
}

test('a program moves with its loader, its search path and its name', async () => {
  const app = await load();
  expect(app).toMatchObject({
    name: 'tool',
    program: `${NEW_TOOL}/bin/tool`.slice(1),
    folder: NEW_TOOL.slice(1),
    interpreter: `${NEW_LIBC}/lib/ld.so`,
    libraryFolders: [`${NEW_LIBC}/lib`.slice(1)],
    storeReferences: { prefix: '/opt/uport/store', relative: 1, absolute: 1, bare: 0, sealed: [] },
  });
  const [search] = await runpathOf(app, `${NEW_TOOL}/bin/tool`);
  expect(search).toMatch(/^\$ORIGIN\/+\.\.\/\.\.\/z/);
  expect(path.posix.normalize((search as string).replace('$ORIGIN', `${NEW_TOOL}/bin`))).toBe(
    `${NEW_LIBC}/lib`,
  );
  const size = (name: string) => readFileSync(path.join(folder, name)).length;
  expect(contentOf(app, `${NEW_TOOL}/bin/tool`)).toHaveLength(size(`${TOOL_PATH}/bin/tool`));
  const paths = app.payload.entries.map((entry) => entry.path as string);
  expect(paths.slice(0, 3)).toEqual(['opt', 'opt/uport', 'opt/uport/store']);
  expect(paths).toEqual([...paths].sort());
});

test('a search path that has no room for the way there names the prefix', async () => {
  write(`${TOOL_PATH}/a/b/c/d/deep.so`, program(`${LIBC_PATH}/lib`));
  const app = await load();
  expect(await runpathOf(app, `${NEW_TOOL}/a/b/c/d/deep.so`)).toEqual([`${NEW_LIBC}/lib`]);
  expect(app.storeReferences).toMatchObject({ relative: 1, absolute: 3 });
});

test('that of a library names the prefix: a link at another depth may lead to it', async () => {
  write(`${TOOL_PATH}/lib/plugins/a.so`, library(`${LIBC_PATH}/lib`));
  symlinkSync('plugins/a.so', path.join(folder, TOOL_PATH, 'lib/a.so'));
  const app = await load();
  expect(await runpathOf(app, `${NEW_TOOL}/lib/plugins/a.so`)).toEqual([`${NEW_LIBC}/lib`]);
  expect(app.storeReferences).toMatchObject({ relative: 1, absolute: 2 });
});

test('a FatELF file that changes is still known as one', async () => {
  write(`${TOOL_PATH}/bin/fat`, Buffer.from(`\xfa\x70\x0e\x1f${LIBC_PATH}/lib`, 'latin1'));
  const app = await load();
  const fat = app.payload.entries.find((each) => `/${each.path}` === `${NEW_TOOL}/bin/fat`);
  expect(contentOf(app, `${NEW_TOOL}/bin/fat`).toString('latin1')).toContain(`${NEW_LIBC}/lib`);
  expect(fat?.type === 'file' && app.fatElfs.has(fat.digest)).toBe(true);
});

test('the same file at two depths is relative from each', async () => {
  write(`${TOOL_PATH}/lib/sub/tool`, program(`${LIBC_PATH}/lib`));
  const app = await load();
  for (const place of ['bin', 'lib/sub']) {
    const [search] = await runpathOf(app, `${NEW_TOOL}/${place}/tool`);
    const at = (search as string).replace('$ORIGIN', `${NEW_TOOL}/${place}`);
    expect(path.posix.normalize(at)).toBe(`${NEW_LIBC}/lib`);
  }
});

test('links become relative, others stay', async () => {
  const links = {
    'bin/absolute': `${LIBC_PATH}/lib/ld.so`,
    'share/a/through': `../../../${LIBC}-libc-2/lib`,
    'share/own': 'a/through',
    'share/elsewhere': '/etc/passwd',
    'share/unknown': `/nix/store/${'1'.repeat(32)}-gone/x`,
  };
  mkdirSync(path.join(folder, TOOL_PATH, 'share/a'), { recursive: true });
  for (const [name, target] of Object.entries(links)) {
    symlinkSync(target, path.join(folder, TOOL_PATH, name));
  }
  const app = await load();
  const targets = app.payload.entries.flatMap((entry) =>
    entry.type === 'symlink' ? [[`/${entry.path}`.slice(NEW_TOOL.length + 1), entry.target]] : [],
  );
  expect(Object.fromEntries(targets)).toEqual({
    ...links,
    'bin/absolute': `../../${LIBC.slice(0, 26)}-libc-2/lib/ld.so`,
    'share/a/through': `../../../${LIBC.slice(0, 26)}-libc-2/lib`,
  });
  expect(app.storeReferences?.links).toBe(2);
});

test('scripts and data name the new place, wherever a reference is cut by a piece', async () => {
  write(`${TOOL_PATH}/bin/run`, `#!${LIBC_PATH}/bin/sh\nexec ${TOOL_PATH}/bin/tool "$@"\n`);
  const filler = Buffer.alloc(2 << 20, 'x/nix/store/');
  const edges = Array.from({ length: 6 }, (_, index) => (1 << 20) - 9 * index);
  for (const at of edges) {
    const bytes = Buffer.from(filler);
    bytes.write(`${LIBC_PATH}/lib`, at, 'latin1');
    write(`${TOOL_PATH}/data/${at}`, bytes);
  }
  const app = await load();
  expect(contentOf(app, `${NEW_TOOL}/bin/run`).toString()).toBe(
    `#!${NEW_LIBC}/bin/sh\nexec ${NEW_TOOL}/bin/tool "$@"\n`,
  );
  for (const at of edges) {
    const expected = Buffer.from(filler);
    expected.write(`${NEW_LIBC}/lib`, at, 'latin1');
    expect(contentOf(app, `${NEW_TOOL}/data/${at}`).equals(expected), `${at}`).toBe(true);
  }
}, 60_000);

test('what is sealed or has no folder before it stays, and is told', async () => {
  const text = `see ${LIBC_PATH}/share\n`;
  const zip = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), Buffer.from(text)]);
  write(`${TOOL_PATH}/share/manual.gz`, gzipSync(text));
  write(`${TOOL_PATH}/share/classes.jar`, zip);
  write(`${TOOL_PATH}/share/bare`, `${LIBC} and ${LIBC}-libc-2`);
  const app = await load();
  expect(contentOf(app, `${NEW_TOOL}/share/classes.jar`).equals(zip)).toBe(true);
  expect(app.storeReferences).toMatchObject({
    bare: 2,
    sealed: [
      { path: `${NEW_TOOL}/share/classes.jar`.slice(1), format: 'zip', references: 1 },
      { path: `${NEW_TOOL}/share/manual.gz`.slice(1), format: 'gzip', references: 0 },
    ],
  });
  const told = describeReferences(app.storeReferences as never);
  expect(told).toHaveLength(3);
  expect(told[0]).toContain('classes.jar (zip)');
  expect(told[1]).toContain('manual.gz (gzip)');
});

describe('the prefix', () => {
  test.each([
    ['relative', 'opt/x'],
    ['with a blank', '/opt/my app'],
    ['with a colon', '/opt/a:b'],
    ['that goes up', '/opt/../etc'],
    ['with a slash at its end', '/opt/x/'],
    ['the root', '/'],
    ['too long', `/opt/${'x'.repeat(30)}`],
    ['the store', '/nix/store'],
  ])('%s is refused', async (_, prefix) => {
    await expect(load(prefix)).rejects.toMatchObject({
      code: 'UPORT_NIX_STORE_PREFIX',
      hint: expect.any(String),
    });
  });

  test.each(['/a', '/opt/tool', `/opt/${'x'.repeat(29)}`])('%s is taken', async (prefix) => {
    const app = await load(prefix);
    expect(app.interpreter).toHaveLength(`${LIBC_PATH}/lib/ld.so`.length);
    expect(app.interpreter?.startsWith(`${prefix}/zyxwvsrq`)).toBe(true);
    expect(app.program.startsWith(`${prefix.slice(1)}/01234567`)).toBe(true);
  });

  test('two objects never get one name', () => {
    const paths = ['a', 'b'].map((last) => `/nix/store/${TOOL.slice(0, 31)}${last}-same`);
    expect(() => storePlaces('/opt/uport/store', paths)).toThrow(
      expect.objectContaining({ code: 'UPORT_NIX_STORE_PREFIX' }),
    );
    expect(() => storePlaces('/opt/x', paths)).not.toThrow();
  });
});

test('no damaged program ends it, and its length stays', async () => {
  const whole = Buffer.from(program(`${LIBC_PATH}/lib`));
  const mutation = fc.record({
    at: fc.nat(whole.length - 1),
    byte: fc.nat(255),
    length: fc.integer({ min: 1, max: whole.length }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 4 }), async (mutations) => {
      let bytes = Buffer.from(whole);
      for (const { at, byte, length } of mutations) {
        bytes[at % bytes.length] = byte;
        bytes = bytes.subarray(0, Math.max(length, 64));
      }
      write(`${TOOL_PATH}/lib/damaged`, bytes);
      const app = await load();
      expect(contentOf(app, `${NEW_TOOL}/lib/damaged`)).toHaveLength(bytes.length);
    }),
    { numRuns: 40 },
  );
}, 60_000);
