// What starts without oclif must do all that oclif would.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import Deps from './commands/deps.ts';
import { QUICK_DEPS_FLAGS, quickStart } from './quick-start.ts';

const BIN = path.join(import.meta.dirname, '../bin/uport.js');
const MAIN = pathToFileURL(path.join(import.meta.dirname, '../dist/main.js')).href;
/** Node itself: dynamic, with some libraries. */
const PROGRAM = process.execPath;
const STATIC = path.join(import.meta.dirname, '../../../examples/nqueens/nqueens');

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'uport-quick-'));
  mkdirSync(path.join(folder, 'root'));
  writeFileSync(path.join(folder, 'text'), 'no program\n');
  writeFileSync(path.join(folder, '-x'), 'no program\n');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function ran(command: readonly string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, command, {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: path.join(folder, 'none'), ...env },
  });
  return { status, stdout, stderr };
}

const byOclif = `import { main } from '${MAIN}'; await main('${pathToFileURL(BIN).href}', process.argv.slice(1));`;

describe('uport deps, and oclif with the same line', () => {
  test.each([
    [[PROGRAM]],
    [[PROGRAM, '--json']],
    [['--list', '--json', PROGRAM]],
    [['--lib', '/lib', '--lib=/usr/lib', PROGRAM, '--list']],
    [['--sysroot', 'root', PROGRAM]],
    [['--app', '.', '--preload', './text', '--opens', 'text', PROGRAM]],
    [[STATIC]],
    [['--', '-x']],
    [['text', '--json']],
    [['none']],
    [['root']],
    [['-']],
    [['--', '--help']],
  ])('deps %j', (args) => {
    const expected = ran(['--input-type=module', '-e', byOclif, '--', 'deps', ...args]);
    expect(ran([BIN, 'deps', ...args])).toEqual(expected);
  });

  test.each([
    [[]],
    [['']],
    [[PROGRAM, PROGRAM]],
    [['--lib']],
    [['--lib', '', PROGRAM]],
    [['--lib', '--list', PROGRAM]],
    [['--sysroot', 'root', '--sysroot', '/', PROGRAM]],
    [['--list', '--list', PROGRAM]],
    [['--list=1', PROGRAM]],
    [['--no-list', PROGRAM]],
    [['--unknown', PROGRAM]],
    [['--lis', PROGRAM]],
    [['--hwcaps', 'x86-64-v3,x86-64-v2', PROGRAM]],
    [['--help']],
    [['-h', PROGRAM]],
    [[PROGRAM, '--help']],
  ])('deps %j is left to oclif', async (args) => {
    expect(await quickStart(['deps', ...args])).toBe(false);
  });

  test('the flags are the same', () => {
    for (const [name, { type, ...more }] of Object.entries(QUICK_DEPS_FLAGS)) {
      if (name === 'json') continue;
      const flag = Deps.flags[name as keyof typeof Deps.flags];
      expect([name, flag.type]).toEqual([name, type === 'string' ? 'option' : 'boolean']);
      if (flag.type !== 'option') continue;
      expect([name, flag.multiple ?? false]).toEqual([name, 'multiple' in more]);
      const { delimiter, options, env } = flag;
      expect({ name, delimiter, options, env }).toEqual({ name });
    }
  });

  test('a reader that goes away ends it quietly', () => {
    const script = `"$@" | head -n 1; exit "\${PIPESTATUS[0]}"`;
    const command = ['-c', script, 'bash', process.execPath, BIN, 'deps', '--json', PROGRAM];
    expect(execFileSync('bash', command, { encoding: 'utf8' })).toBe('{\n');
  });
});

describe('compiled code', () => {
  const compiled = (home: string) => path.join(home, '.cache/uport/compiled');

  test('is kept in the user’s cache folder, for the user alone', () => {
    const home = path.join(folder, 'home');
    mkdirSync(home);
    expect(ran([BIN, 'deps', STATIC], { HOME: home }).status).toBe(0);
    for (const each of [compiled(home), path.dirname(compiled(home))]) {
      expect([each, statSync(each).mode & 0o777]).toEqual([each, 0o700]);
    }
  });

  test('is not used where others may write', () => {
    const home = path.join(folder, 'open');
    mkdirSync(path.join(home, '.cache/uport'), { recursive: true });
    chmodSync(path.join(home, '.cache/uport'), 0o777);
    expect(ran([BIN, 'deps', STATIC], { HOME: home }).status).toBe(0);
    expect(existsSync(compiled(home))).toBe(false);
  });

  test('makes no folder that UPORT_STORE_DIR names', () => {
    const store = path.join(folder, 'store');
    expect(ran([BIN, 'deps', STATIC], { UPORT_STORE_DIR: store }).status).toBe(0);
    expect(existsSync(store)).toBe(false);
  });
});
