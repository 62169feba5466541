import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentProgress } from '../model/progress.ts';
import { Store } from '../store/store.ts';
import { planRun } from './plan-run.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'uport-run-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a program has the default actions of the signals that Node itself ignores', async () => {
  const command = await planRun({
    file: '/bin/sh',
    args: ['-c', 'exec grep ^SigIgn /proc/self/status'],
    emulatorArgs: [],
    env: { PATH: '/usr/bin:/bin' },
    debug: false,
    forceEmulation: false,
    store: await Store.open(path.join(folder, 'store')),
    progress: silentProgress,
    signal: new AbortController().signal,
  });
  // The shell stands for a caller that ignores SIGPIPE and SIGXFSZ.
  const caller = ['-c', 'trap "" PIPE XFSZ; exec "$@"', 'sh', command.program];
  const ran = spawnSync('/bin/sh', [...caller, ...command.argv.slice(1)], {
    encoding: 'utf8',
    env: command.env,
  });
  expect(ran).toMatchObject({ status: 0, stdout: 'SigIgn:\t0000000000000000\n', stderr: '' });
});
