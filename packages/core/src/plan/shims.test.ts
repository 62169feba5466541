import { createHash } from 'node:crypto';
import { buildElf } from '@uport/elf/testing';
import { describe, expect, test } from 'vitest';
import { parseArch } from '../model/arch.ts';
import { type Digest, sha256Digest } from '../model/digest.ts';
import type { BytePath, PayloadEntry } from '../model/payload-tree.ts';
import { planShims, type ShimInputs } from './shims.ts';

const RISCV64 = Buffer.from(buildElf({ machine: 243, bits: 64, order: 'lsb', type: 2 }));
const X86_64 = Buffer.from(buildElf({ machine: 62, bits: 64, order: 'lsb', type: 2 }));
const script = (interpreter: string) => Buffer.from(`#!${interpreter} -e\nexit\n`);

/** A root from `PATH: bytes`, `PATH: -> TARGET` and `PATH: = HARD LINK`; folders come by themselves. */
function root(files: Record<string, Buffer | string>): {
  entries: PayloadEntry[];
  head: ShimInputs['head'];
} {
  const contents = new Map<Digest, Buffer>();
  const entries = new Map<string, PayloadEntry>();
  for (const [path, what] of Object.entries(files)) {
    const parts = path.split('/');
    for (let i = 1; i < parts.length; i++) {
      const folder = parts.slice(0, i).join('/') as BytePath;
      if (!entries.has(folder))
        entries.set(folder, { type: 'directory', path: folder, mode: 0o751 });
    }
    const place = path as BytePath;
    if (typeof what !== 'string') {
      // Different files have different digests.
      const digest = sha256Digest(createHash('sha256').update(path).update(what).digest('hex'));
      contents.set(digest, what);
      entries.set(path, { type: 'file', path: place, mode: 0o755, size: what.length, digest });
    } else if (what.startsWith('-> ')) {
      entries.set(path, { type: 'symlink', path: place, mode: 0o777, target: what.slice(3) });
    } else {
      const target = what.slice(2) as BytePath;
      entries.set(path, { type: 'hardlink', path: place, mode: 0o755, target });
    }
  }
  const sorted = [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  return { entries: sorted, head: async (digest) => contents.get(digest) };
}

function plan(
  files: Record<string, Buffer | string>,
  request: ShimInputs['request'],
  more: Partial<ShimInputs> = {},
) {
  const inputs = { guest: parseArch('riscv64'), env: [], workdir: '/', entrypoint: [], ...more };
  return planShims({ request, ...root(files), ...inputs });
}

const pairs = (of: Awaited<ReturnType<typeof plan>>) =>
  Object.fromEntries(of.shims.map(({ place, original }) => [place, original]));
const code = (expected: string) => expect.objectContaining({ code: expected });

describe('a named program', () => {
  test('with one name is copied beside itself', async () => {
    const result = await plan({ 'usr/bin/app': RISCV64 }, ['/usr/bin/app']);
    expect(pairs(result)).toEqual({ 'usr/bin/app': 'usr/bin/.app.uport' });
    expect(result.copies.map(({ path, mode }) => [path, mode])).toEqual([
      ['usr/bin/.app.uport', 0o755],
    ]);
    expect(result.folders.map(({ path, mode }) => [path, mode])).toEqual([
      ['usr', 0o751],
      ['usr/bin', 0o751],
    ]);
  });

  test('that is a link gives way, and its file stays', async () => {
    const files = { bin: '-> usr/bin', 'usr/bin/dash': RISCV64, 'usr/bin/sh': '-> dash' };
    const result = await plan(files, ['/bin/sh']);
    expect(pairs(result)).toEqual({ 'usr/bin/sh': 'usr/bin/dash' });
    expect(result.copies).toEqual([]);
  });

  test('that has another name is found by that, in the same folder if there is one', async () => {
    const files = { 'a/busybox': RISCV64, 'b/busybox': '= a/busybox', 'b/sh': '= a/busybox' };
    const result = await plan(files, ['/b/sh']);
    expect(pairs(result)).toEqual({ 'b/sh': 'b/busybox' });
    expect(result.copies).toEqual([]);
  });

  test('and its link both give way to one copy', async () => {
    const files = { 'bin/dash': RISCV64, 'bin/sh': '-> dash' };
    const result = await plan(files, ['/bin/sh', '/bin/dash']);
    expect(pairs(result)).toEqual({ 'bin/dash': 'bin/.dash.uport', 'bin/sh': 'bin/.dash.uport' });
    expect(result.copies).toHaveLength(1);
  });

  test('is looked for in PATH, or from the working folder', async () => {
    const files = { 'opt/x': RISCV64, 'usr/bin/x': RISCV64 };
    expect(pairs(await plan(files, ['x'], { env: ['PATH=/none:/opt'] }))).toHaveProperty('opt/x');
    expect(pairs(await plan(files, ['x']))).toHaveProperty('usr/bin/x');
    expect(pairs(await plan(files, ['./x'], { workdir: '/opt' }))).toHaveProperty('opt/x');
  });

  test('that is a script has its interpreter replaced', async () => {
    const files = { 'app/start': script('/bin/sh'), 'bin/sh': RISCV64 };
    expect(pairs(await plan(files, ['/app/start']))).toEqual({ 'bin/sh': 'bin/.sh.uport' });
  });

  test.each<[string, Record<string, Buffer | string>, string]>([
    ['is not there', {}, 'UPORT_SHIM_NOT_FOUND'],
    ['is a folder', { 'bin/sh/x': RISCV64 }, 'UPORT_SHIM_NOT_FOUND'],
    ['is a link to nothing', { 'bin/sh': '-> none' }, 'UPORT_SHIM_NOT_FOUND'],
    ['is a link to itself', { 'bin/sh': '-> sh' }, 'UPORT_SHIM_NOT_FOUND'],
    ['lies behind a loop', { bin: '-> b', b: '-> bin' }, 'UPORT_SHIM_NOT_FOUND'],
    ['leads out', { 'bin/sh': '-> ../../../etc/none' }, 'UPORT_SHIM_NOT_FOUND'],
    ['is of another CPU', { 'bin/sh': X86_64 }, 'UPORT_SHIM_CPU'],
    ['is text', { 'bin/sh': Buffer.from('text') }, 'UPORT_SHIM_NOT_A_PROGRAM'],
    ['is a broken program', { 'bin/sh': RISCV64.subarray(0, 10) }, 'UPORT_SHIM_NOT_A_PROGRAM'],
    ['is a script of itself', { 'bin/sh': script('/bin/sh') }, 'UPORT_SHIM_NOT_A_PROGRAM'],
    ['is a script for nothing', { 'bin/sh': script('/none') }, 'UPORT_SHIM_NOT_FOUND'],
  ])('that %s is refused', async (_, files, expected) => {
    await expect(plan(files, ['/bin/sh'])).rejects.toEqual(code(expected));
  });
});

describe('all programs', () => {
  test('are those of PATH, the entrypoint and the interpreters of scripts', async () => {
    const files = {
      'app/server': RISCV64,
      'bin/data': Buffer.from('text'),
      'bin/host': X86_64,
      'bin/java': '-> ../opt/java/java',
      'bin/sh': RISCV64,
      'bin/tool': script('/opt/perl'),
      'opt/java/java': RISCV64,
      'opt/other': RISCV64,
      'opt/perl': RISCV64,
      'usr/bin/vi': '-> /bin/sh',
    };
    const result = await plan(files, 'all', { entrypoint: ['/app/server'] });
    expect(pairs(result)).toEqual({
      'app/server': 'app/.server.uport',
      // Its libraries may lie beside it.
      'bin/java': 'opt/java/java',
      'bin/sh': 'bin/.sh.uport',
      'opt/perl': 'opt/.perl.uport',
    });
  });

  test('that are one file under many names share one copy', async () => {
    const files = { 'bin/busybox': RISCV64, 'bin/ls': '= bin/busybox', 'bin/sh': '= bin/busybox' };
    const result = await plan(files, 'all');
    expect(new Set(Object.values(pairs(result)))).toEqual(new Set(['bin/.busybox.uport']));
    expect(result.shims).toHaveLength(3);
    expect(result.copies).toHaveLength(1);
  });
});
