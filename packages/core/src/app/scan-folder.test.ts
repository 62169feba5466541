import { spawnSync } from 'node:child_process';
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
import { afterEach, beforeEach, expect, test } from 'vitest';
import { textPath } from '../model/byte-path.ts';
import { silentProgress } from '../model/progress.ts';
import { scanFolder } from './scan-folder.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'scan-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const scan = (signal = new AbortController().signal) =>
  scanFolder(folder, textPath('app'), { task: silentProgress.start(''), signal });

test('keeps modes, links, empty folders and names of any bytes, sorted bytewise', async () => {
  mkdirSync(path.join(folder, 'a'));
  mkdirSync(path.join(folder, 'empty'));
  writeFileSync(path.join(folder, 'a', 'x'), 'x');
  writeFileSync(path.join(folder, 'a-b'), 'dash');
  chmodSync(path.join(folder, 'a-b'), 0o4750);
  symlinkSync('../../etc/passwd', path.join(folder, 'out'));
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0x0a, 0x80])]), 'odd');
  const { entries } = await scan();
  expect(entries.map((entry) => [entry.path, entry.type])).toEqual([
    ['app', 'directory'],
    ['app/a', 'directory'],
    ['app/a-b', 'file'],
    ['app/a/x', 'file'],
    ['app/empty', 'directory'],
    ['app/out', 'symlink'],
    ['app/\xff\n\x80', 'file'],
  ]);
  expect(entries[2]).toMatchObject({ mode: 0o4750, size: 4 });
  expect(entries[5]).toMatchObject({ target: '../../etc/passwd' });
});

test('a program keeps being one under the bytewise first of its names', async () => {
  mkdirSync(path.join(folder, 'a'));
  writeFileSync(path.join(folder, 'a', 'run'), '#!/bin/sh\n');
  linkSync(path.join(folder, 'a', 'run'), path.join(folder, 'a-b'));
  const { entries, programs } = await scan();
  const [file] = entries.filter(({ type }) => type === 'file').map((entry) => entry.path);
  expect([file, ...programs.keys()]).toEqual(['app/a-b', 'app/a-b']);
});

test('the bytewise first of several hard links is the file', async () => {
  mkdirSync(path.join(folder, 'a'));
  writeFileSync(path.join(folder, 'a', 'x'), 'same');
  linkSync(path.join(folder, 'a', 'x'), path.join(folder, 'a-b'));
  linkSync(path.join(folder, 'a', 'x'), path.join(folder, 'z'));
  const { entries } = await scan();
  expect(entries.slice(2).map((entry) => [entry.path, entry.type])).toEqual([
    ['app/a-b', 'file'],
    ['app/a/x', 'hardlink'],
    ['app/z', 'hardlink'],
  ]);
  expect(entries[3]).toMatchObject({ target: 'app/a-b' });
});

test('refuses a pipe by name', async () => {
  expect(spawnSync('mkfifo', [path.join(folder, 'pipe')]).status).toBe(0);
  await expect(scan()).rejects.toMatchObject({
    code: 'UPORT_PAYLOAD_FILE_TYPE',
    file: path.join(folder, 'pipe'),
  });
});

test('stops when told to', async () => {
  writeFileSync(path.join(folder, 'file'), 'x');
  await expect(scan(AbortSignal.abort(new Error('stopped')))).rejects.toThrow('stopped');
});
