import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buildElf, type ElfDynamicSpec } from '@uport/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Closure } from './closure.ts';
import { type ClosureOptions, findClosure } from './find-closure.ts';
import { readLdSoConf } from './ld-so-conf.ts';
import { diskRoot } from './library-root.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'closure-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const RISCV = { machine: 243, bits: 64, order: 'lsb' } as const;
const S390X = { machine: 22, bits: 64, order: 'msb' } as const;
const GLIBC = '/lib/ld-linux-riscv64-lp64d.so.1';

function put(file: string, bytes: Uint8Array | string): void {
  const place = path.join(folder, file);
  mkdirSync(path.dirname(place), { recursive: true });
  writeFileSync(place, bytes);
}

function library(
  file: string,
  dynamic: ElfDynamicSpec = {},
  cpu: typeof RISCV | typeof S390X = RISCV,
): void {
  put(file, buildElf({ ...cpu, type: 3, dynamic: { soname: path.basename(file), ...dynamic } }));
}

function program(dynamic: ElfDynamicSpec, interpreter = GLIBC): void {
  put('/app/bin/app', buildElf({ ...RISCV, interpreter, dynamic }));
}

async function close(options: Partial<ClosureOptions> = {}): Promise<Closure> {
  const root = diskRoot(folder);
  return findClosure({ start: { root, path: '/app/bin/app' }, root, ...options });
}

const found = (closure: Closure) =>
  closure.objects.slice(1).map((object) => `${object.path} ${object.foundBy}`);
const missing = (closure: Closure) => closure.missing.map(({ name }) => name);

test('RPATH is inherited, RUNPATH is not and ends all RPATHs', async () => {
  library('/app/lib/liba.so', { needed: ['libb.so'] });
  library('/app/lib/libb.so', { needed: ['libc1.so'], runpath: '$ORIGIN/sub' });
  library('/app/lib/libc1.so');
  program({ needed: ['liba.so'], rpath: '$ORIGIN/../lib' });
  const closure = await close();
  expect(found(closure)).toEqual([
    '/app/bin/../lib/liba.so rpath',
    '/app/bin/../lib/libb.so rpath',
  ]);
  expect(missing(closure)).toEqual(['libc1.so']);

  program({ needed: ['liba.so'], runpath: '$ORIGIN/../lib', rpath: '/nowhere' });
  const other = await close();
  expect(found(other)).toEqual(['/app/bin/../lib/liba.so runpath']);
  expect(missing(other)).toEqual(['libb.so']);
});

test("musl inherits RUNPATH too, heeds its own file of folders, and is its libc's every name", async () => {
  const linker = '/lib/ld-musl-riscv64.so.1';
  library(linker, { soname: 'libc.musl-riscv64.so.1' });
  library('/app/lib/liba.so', { needed: ['libb.so', 'libpthread.so.0'] });
  library('/app/lib/libb.so', { needed: ['libd.so'] });
  library('/opt/own/libd.so');
  put('/etc/ld-musl-riscv64.path', '/none:/opt/own\n');
  program({ needed: ['liba.so', 'libc.musl-riscv64.so.1'], runpath: '$ORIGIN/../lib' }, linker);
  const closure = await close();
  expect(closure.linker).toBe('musl');
  expect(missing(closure)).toEqual([]);
  expect(found(closure)).toContain('/opt/own/libd.so ld-musl path');
});

test('files of another CPU are passed over, and told', async () => {
  library('/usr/lib/riscv64-linux-gnu/liba.so', {}, S390X);
  library('/usr/lib/liba.so');
  program({ needed: ['liba.so'] });
  const closure = await close();
  expect(found(closure)).toEqual(['/usr/lib/liba.so default folder']);
  program({ needed: ['liba.so', 'libx.so'] });
  library('/usr/lib/libx.so', {}, S390X);
  const [fault] = (await close()).missing;
  expect(fault?.passedOver).toEqual([
    { path: '/usr/lib/libx.so', reason: 'it is of another CPU: s390x' },
  ]);
});

test('links stay inside the root; one file under two names is loaded once', async () => {
  library('/usr/lib/liba.so.1.0', { soname: 'liba.so.1' });
  symlinkSync('/usr/lib/liba.so.1.0', path.join(folder, 'usr/lib/liba.so.1'));
  symlinkSync('../../../../../../usr/lib/liba.so.1.0', path.join(folder, 'usr/lib/libalias.so'));
  program({ needed: ['liba.so.1', 'libalias.so'] });
  const closure = await close();
  expect(closure.objects.map((each) => each.realPath)).toEqual([
    '/app/bin/app',
    '/usr/lib/liba.so.1.0',
  ]);
});

test('ld.so.conf: includes, patterns, comments, and one that includes itself', () => {
  put(
    '/etc/ld.so.conf',
    'include /etc/ld.so.conf.d/*.conf\ninclude ld.so.conf\n/opt/a # far\nhwcap 1 x\n',
  );
  put('/etc/ld.so.conf.d/2.conf', '/opt/c/\n');
  put('/etc/ld.so.conf.d/1.conf', '/opt/b\n');
  expect(readLdSoConf(diskRoot(folder))).toEqual(['/opt/b', '/opt/c', '/opt/a']);
});

test('LD_LIBRARY_PATH, preloads, libraries opened later, and files of the app by name', async () => {
  library('/opt/x/liba.so');
  library('/app/pre.so', { needed: ['libz9.so'] });
  library('/app/plugin.so', { needed: ['libq.so'] });
  library('/app/deep/libq.so');
  program({ needed: ['liba.so'] });
  const root = diskRoot(folder);
  const closure = await close({
    libraryPath: [{ root, path: '/opt/x' }],
    preload: [{ root, path: '/app/pre.so' }],
    opened: [{ root, path: '/app/plugin.so' }],
    appFiles: new Map([['libq.so', { root, path: '/app/deep/libq.so' }]]),
  });
  expect(found(closure)).toEqual([
    '/app/pre.so preload',
    '/opt/x/liba.so LD_LIBRARY_PATH',
    '/app/plugin.so given',
    '/app/deep/libq.so app folder',
  ]);
  expect(missing(closure)).toEqual(['libz9.so']);
});

test('a program that names other programs as its libraries in a ring ends', async () => {
  library('/usr/lib/liba.so', { needed: ['libb.so'] });
  library('/usr/lib/libb.so', { needed: ['liba.so'] });
  program({ needed: ['liba.so'] });
  expect((await close()).objects).toHaveLength(3);
});
