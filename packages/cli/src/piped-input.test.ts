import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const UPORT = path.join(import.meta.dirname, '../bin/uport.js');

let store: string;
beforeAll(() => {
  store = mkdtempSync(path.join(tmpdir(), 'uport-piped-'));
});
afterAll(() => {
  rmSync(store, { recursive: true, force: true });
});

function uport(input: string, ...args: readonly string[]) {
  const env = { PATH: process.env.PATH, HOME: store, UPORT_STORE_DIR: path.join(store, 'store') };
  return spawnSync(process.execPath, [UPORT, ...args], {
    input,
    env,
    encoding: 'utf8',
    timeout: 20_000,
    killSignal: 'SIGKILL',
  });
}

test('what is piped in is no argument', () => {
  expect(uport('vax\n', 'matrix')).toMatchObject({ status: 0, stderr: '' });
  for (const command of ['build', 'inspect', 'validate', 'push', 'run']) {
    const { status, stderr } = uport('/bin/true\n', command);
    expect([command, status]).toEqual([command, 2]);
    expect(stderr).toMatch(/UPORT_(USAGE|CONFIG_MISSING)/);
  }
});

test('what is piped in goes to the program that is run', () => {
  expect(uport('1\n2\n', 'run', '/bin/cat')).toMatchObject({ status: 0, stdout: '1\n2\n' });
});

test('a folder that nobody can make is told, not waited for', () => {
  const { status, stderr } = uport('', 'binfmt', 'print', 'riscv64', '-o', '/proc/uport');
  expect(status).toBe(4);
  expect(stderr).toContain('UPORT_PERMISSION_DENIED');
});
