// A script of an unpacked app whose interpreter travels with it: the kernel would look for that among the
// host's files.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COMPILER, COMPILER_HINT, compileShow } from './testing/kernel.ts';
import { type Bench, fields, makeBench, run, THIS_HOST } from './testing/launch.ts';
import { type App, exampleApp, TREE, writeApp } from './testing/universal.ts';

if (!COMPILER) console.warn(`own-interpreter.test.ts: ${COMPILER_HINT}`);

describe.skipIf(!THIS_HOST || !COMPILER)('a script of an unpacked app', () => {
  let bench: Bench;
  let app: App;
  beforeAll(() => {
    bench = makeBench();
    const host = readFileSync(compileShow(bench, 'show'));
    const foreign = TREE.flatMap((node) =>
      'file' in node && node.file === 'bin/foreign' ? [node.content] : [],
    );
    const scripts = {
      guest: '#!/opt/app/bin/python -u\n',
      nested: '#!/bin/guest x y\n',
      native: '#!/opt/app/bin/native\n',
      outside: '#!/opt/app/bin/sh\n',
      hosts: '#!/bin/sh\necho of the host "$@"\n',
      lost: '#!/opt/app/bin/lost\n',
      deep: '#!/bin/deep\n',
    };
    app = writeApp(bench, THIS_HOST ?? '', {
      ...exampleApp(THIS_HOST ?? ''),
      nodes: [
        ...TREE,
        { dir: 'opt', mode: 0o755 },
        { dir: 'opt/app', mode: 0o755 },
        { dir: 'opt/app/bin', mode: 0o755 },
        { file: 'opt/app/bin/python3', content: foreign[0] ?? '', mode: 0o755 },
        { symlink: 'opt/app/bin/python', target: 'python3' },
        { file: 'opt/app/bin/native', content: host, mode: 0o755 },
        { symlink: 'opt/app/bin/sh', target: '/bin/sh' },
        ...Object.entries(scripts).map(([name, content]) => ({
          file: `bin/${name}`,
          content,
          mode: 0o755,
        })),
      ],
      programs: Object.keys(scripts).map((name) => ({ name, path: `bin/${name}` })),
    });
  });
  afterAll(() => bench.remove());

  const root = () => join(app.folder, 'root');
  const named = (name: string, ...words: string[]) => {
    const script = `ln -sf ${app.file} ${bench.at(name)} && exec ${bench.at(name)} "$@"`;
    return run('sh', ['-c', script, 'sh', ...words], {
      env: { UPORT_CACHE_DIR: bench.at('app.cache') },
    });
  };

  test('is given to an interpreter of the guest’s CPU, by its own name', () => {
    const python = '/opt/app/bin/python';
    expect(fields(named('guest', 'a', '').stdout)).toEqual([
      ...['-cpu', 'a b', '-0', python, `${root()}${python}`],
      ...['-u', `${root()}/bin/guest`, 'a', ''],
    ]);
  });

  test('is given to an interpreter that is a script of the app', () => {
    const ran = fields(named('nested', 'z').stdout);
    const rest = ['-u', `${root()}/bin/guest`, 'x y', `${root()}/bin/nested`, 'z'];
    expect(ran.slice(4)).toEqual([`${root()}/opt/app/bin/python`, ...rest]);
  });

  test('is given to an interpreter of the host’s CPU', () => {
    const ran = named('native', 'one', 'two words');
    expect(fields(ran.stdout).slice(-3)).toEqual([`${root()}/bin/native`, 'one', 'two words']);
    expect(ran).toMatchObject({ status: 0, stderr: '' });
  });

  test('has the host’s interpreter where the app has none', () => {
    expect(named('hosts', 'x')).toMatchObject({ status: 0, stdout: 'of the host x\n' });
  });

  test('has no interpreter of the host in the place of one of its own', () => {
    expect(named('outside')).toMatchObject({ status: 127, stdout: '' });
    expect(named('lost').stderr).toMatch(/its interpreter \/opt\/app\/bin\/lost was not found/);
  });

  test('that interprets itself ends with an error', () => {
    const ran = named('deep');
    expect(ran).toMatchObject({ status: 126, stdout: '' });
    expect(ran.stderr).toContain('more than five times in a row');
  });
});
