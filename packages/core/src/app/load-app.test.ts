import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buildElf } from '@uport/elf/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentProgress } from '../model/progress.ts';
import { loadApp } from './load-app.ts';

const RISCV64 = 243;
const S390X = 22;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'load-app-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const program = (machine = RISCV64, order: 'lsb' | 'msb' = 'lsb') =>
  buildElf({ machine, bits: 64, order, type: 2 });
const at = (...parts: string[]) => path.join(folder, ...parts);
const load = (input: string, options: { program?: string; name?: string } = {}) =>
  loadApp(input, options, { progress: silentProgress, signal: new AbortController().signal });
const code = (expected: string) => expect.objectContaining({ code: expected });

describe('one program', () => {
  test('lies in /app, executable whatever its mode', async () => {
    writeFileSync(at('tool'), program());
    chmodSync(at('tool'), 0o600);
    const app = await load(at('tool'));
    expect(app.name).toBe('tool');
    expect(app.guest.name).toBe('riscv64');
    expect(app.linkage).toBe('static');
    expect(app.payload.entries).toMatchObject([
      { type: 'directory', path: 'app', mode: 0o755 },
      { type: 'file', path: 'app/tool', mode: 0o755 },
    ]);
  });

  test('is found through a symbolic link, under the name of the link', async () => {
    writeFileSync(at('tool-1.2'), program());
    symlinkSync('tool-1.2', at('tool'));
    expect((await load(at('tool'))).program).toBe('app/tool');
  });

  test.each([
    ['nothing there', undefined, 'UPORT_NOT_FOUND'],
    ['an empty file', Buffer.alloc(0), 'UPORT_ELF_NOT_ELF'],
    ['text', Buffer.from('hello\n'), 'UPORT_ELF_NOT_ELF'],
    ['a header cut short', Buffer.from(program().subarray(0, 30)), 'UPORT_ELF_TRUNCATED'],
    ['a CPU that QEMU has not', Buffer.from(program(0x7777)), 'UPORT_GUEST_UNKNOWN'],
    [
      'an object file',
      Buffer.from(buildElf({ machine: RISCV64, bits: 64, order: 'lsb', type: 1 })),
      'UPORT_ELF_NOT_A_PROGRAM',
    ],
  ])('%s is refused', async (_, bytes, expected) => {
    if (bytes) writeFileSync(at('tool'), bytes);
    await expect(load(at('tool'))).rejects.toEqual(code(expected));
    await expect(load(at('tool'))).rejects.toMatchObject({
      file: expect.stringContaining('tool'),
      hint: expect.any(String),
    });
  });
});

describe('a folder', () => {
  beforeEach(() => {
    mkdirSync(at('vendor', 'bin'), { recursive: true });
    writeFileSync(at('vendor', 'bin', 'app'), program());
  });

  test.each(['bin/app', './bin/app', '/app/bin/app', 'bin/../bin/app'])(
    'starts %s',
    async (name) => {
      const app = await load(at('vendor'), { program: name });
      expect([app.program, app.target, app.wholeFolder]).toEqual([
        'app/bin/app',
        'app/bin/app',
        true,
      ]);
    },
  );

  test('follows links inside the payload to the target', async () => {
    symlinkSync('bin/app', at('vendor', 'start'));
    linkSync(at('vendor', 'bin', 'app'), at('vendor', 'zz'));
    symlinkSync('/app/zz', at('vendor', 'absolute'));
    for (const name of ['start', 'zz', 'absolute']) {
      const app = await load(at('vendor'), { program: name });
      expect([app.program, app.target]).toEqual([`app/${name}`, 'app/bin/app']);
    }
  });

  test('takes the CPU of a script from the programs beside it', async () => {
    writeFileSync(at('vendor', 'start.sh'), '#!/bin/sh\nexec bin/app\n');
    const app = await load(at('vendor'), { program: 'start.sh' });
    expect([app.program, app.target, app.guest.name]).toEqual([
      'app/start.sh',
      'app/bin/app',
      'riscv64',
    ]);
    writeFileSync(at('vendor', 'bin', 'other'), program(S390X, 'msb'));
    await expect(load(at('vendor'), { program: 'start.sh' })).rejects.toEqual(
      code('UPORT_GUEST_AMBIGUOUS'),
    );
  });

  test('a script is for the CPU of its interpreter when the payload has it', async () => {
    writeFileSync(at('vendor', 'bin', 'other'), program(S390X, 'msb'));
    writeFileSync(at('vendor', 'start.sh'), '#! /app/bin/middle -x\n');
    symlinkSync('app.sh', at('vendor', 'bin', 'middle'));
    writeFileSync(at('vendor', 'bin', 'app.sh'), '#!/app/bin/other\n');
    const app = await load(at('vendor'), { program: 'start.sh' });
    expect([app.program, app.target]).toEqual(['app/start.sh', 'app/bin/other']);
    // One that names itself leads nowhere.
    writeFileSync(at('vendor', 'bin', 'app.sh'), '#!/app/bin/app.sh\n');
    await expect(load(at('vendor'), { program: 'start.sh' })).rejects.toEqual(
      code('UPORT_GUEST_AMBIGUOUS'),
    );
  });

  test.each([
    ['bin/none', 'UPORT_ENTRYPOINT_NOT_FOUND'],
    ['bin', 'UPORT_ENTRYPOINT_NOT_FOUND'],
    ['loop', 'UPORT_ENTRYPOINT_NOT_FOUND'],
    ['escape', 'UPORT_ENTRYPOINT_NOT_FOUND'],
    ['../../bin/sh', 'UPORT_PATH_INVALID'],
    ['data', 'UPORT_ELF_NOT_ELF'],
  ])('refuses %s', async (name, expected) => {
    symlinkSync('loop', at('vendor', 'loop'));
    symlinkSync('../../../../../bin/sh', at('vendor', 'escape'));
    writeFileSync(at('vendor', 'data'), 'data');
    await expect(load(at('vendor'), { program: name })).rejects.toEqual(code(expected));
  });

  test('wants a program named', async () => {
    await expect(load(at('vendor'))).rejects.toEqual(code('UPORT_ENTRYPOINT_MISSING'));
  });
});
