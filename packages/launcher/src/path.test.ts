import { mkdirSync, symlinkSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  COMPILER,
  COMPILER_HINT,
  compileShow,
  compileStarter,
  kernelOutcome,
} from './testing/kernel.ts';
import {
  type Bench,
  CPUS,
  elfHeader,
  fields,
  makeBench,
  run,
  THIS_HOST,
} from './testing/launch.ts';

if (!COMPILER) console.warn(`path.test.ts: ${COMPILER_HINT}`);

describe.skipIf(!THIS_HOST || !COMPILER)('the search in PATH, side by side with execvp', () => {
  let bench: Bench;
  let launch: string;
  let starter: string;
  beforeAll(() => {
    bench = makeBench();
    for (const place of ['good', 'here']) {
      mkdirSync(bench.at(place));
      compileShow(bench, `${place}/app`);
    }
    starter = compileStarter(bench);
    bench.program('denied/app', 'x', 0o644);
    bench.program('script/app', `#!${bench.at('good/app')} -s\n`);
    bench.program('lost/app', '#!/no/such\n');
    mkdirSync(bench.at('folder/app'), { recursive: true });
    mkdirSync(bench.at('loop'));
    symlinkSync('app', bench.at('loop/app'));
    mkdirSync(bench.at('dangling'));
    symlinkSync('nothing', bench.at('dangling/app'));
    launch = bench.launcher(THIS_HOST ?? '', []);
  });
  afterAll(() => bench.remove());

  const CASES: readonly string[] = [
    'good',
    'script',
    'nothing:good',
    'denied:good',
    'folder:good',
    'lost:good',
    'dangling:good',
    'good/app:good',
    'loop:good',
    'denied',
    'denied:nothing',
    'nothing:denied:lost',
    'folder',
    'lost',
    'nothing',
    'nothing:dangling',
    'good:script',
    'script:good',
    '=:good',
    'good:=',
    'denied:=',
    '=',
  ];

  // `=` stands for the empty entry, which is the working directory.
  test.each(CASES)('%s', (places) => {
    const entries = places.split(':').map((place) => (place === '=' ? '' : bench.at(place)));
    const options = { cwd: bench.at('here'), env: { PATH: entries.join(':') } };
    const expected = kernelOutcome(run(starter, ['execvp', 'app', 'x', ''], options));
    const ran = run(launch, ['app', 'x', ''], options);
    if (typeof expected === 'string') {
      expect(ran.status).toBe(expected === 'ENOENT' ? 127 : 126);
      expect(ran.stderr).toMatch(expected === 'ENOENT' ? /not found/ : new RegExp(expected));
    } else {
      expect(ran).toMatchObject({ status: 0, stderr: '' });
      expect(fields(ran.stdout)).toEqual(expected);
    }
  });

  test('an empty PATH is the working directory, an unset one the usual folders', () => {
    const here = bench.at('here');
    for (const [unset, name] of [
      ['PATH=', 'app'],
      ['-uPATH', 'app'],
      ['-uPATH', 'env'],
    ] as const) {
      const start = (...args: string[]) => run('/usr/bin/env', [unset, ...args], { cwd: here });
      const ran = start(launch, name, 'x');
      const expected = start(starter, 'execvp', name, 'x');
      if (expected.status === 99) expect(ran.status).toBe(127);
      else expect(ran).toEqual(expected);
    }
  });

  test('a foreign program earlier in PATH is the program, as on its own CPU', () => {
    bench.program('foreign/app', elfHeader(CPUS.hppa));
    const env = { PATH: `${bench.at('foreign')}:${bench.at('good')}` };
    const ran = run(launch, ['app'], { env });
    expect(ran).toMatchObject({ status: 126, stdout: '' });
    expect(ran.stderr).toContain('is for the CPU hppa');
  });
});
