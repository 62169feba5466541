import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ManifestCpu } from './manifest.ts';
import {
  COMPILER,
  COMPILER_HINT,
  compileShow,
  compileStarter,
  kernelOutcome,
  type Outcome,
} from './testing/kernel.ts';
import { type Bench, CPUS, fields, makeBench, run, THIS_HOST } from './testing/launch.ts';

if (!COMPILER) console.warn(`shebang.test.ts: ${COMPILER_HINT}`);

/** A line of this many bytes before the newline that would come next. */
const long = (start: string, length: number) => start.padEnd(length, 'a');

// Scripts run in their own folder, in which `show` prints the arguments that it sees.
const SCRIPTS: Readonly<Record<string, string>> = {
  plain: '#!./show\n',
  'blank before': '#! \t ./show\n',
  'blanks after': '#!./show \t \n',
  'one argument': '#!./show -x\n',
  'one argument of many words': '#!./show  -x  y\tz \t\n',
  'tab before the argument': '#!./show\t-x\n',
  'no newline': '#!./show',
  'no newline, argument': '#!./show -x',
  'no newline, blank at the end': '#!./show ',
  'no newline, two blanks at the end': '#!./show \t',
  'no newline, argument and blank': '#!./show -x ',
  'carriage return': '#!./show\r\n',
  'carriage return after an argument': '#!./show -x\r\n',
  'carriage return after a blank': '#!./show \r\n',
  'only the marker': '#!',
  'only the marker and a newline': '#!\n',
  'only blanks': '#!  \t \n./show\n',
  'only blanks, no newline': '#!    ',
  'blanks over the limit': `#!${' '.repeat(300)}./show\n`,
  'half a marker': '#\n',
  'blank in the marker': '# !./show\n',
  'byte order mark': '\xef\xbb\xbf#!./show\n',
  'NUL after the interpreter': '#!./show\0 -x\n',
  'NUL before the interpreter': '#!\0./show\n',
  'NUL after a blank': '#!./show \0-x\n',
  'NUL in the argument': '#!./show -x\0y\n',
  'bytes that are not UTF-8': '#!./show \xff\xfe\x01\n',
  'argument up to the limit': `${long('#!./show ', 255)}\n`,
  'argument one over the limit': `${long('#!./show ', 256)}\n`,
  'argument far over the limit': `${long('#!./show ', 1000)}\n`,
  'argument with blanks over the limit': `${long('#!./show a', 250)}${' '.repeat(20)}b\n`,
  'interpreter up to the limit': `${'#!'.padEnd(249, '/').replace('#!/', '#!.')}show\n`,
  'interpreter at the limit': `${'#!'.padEnd(251, '/').replace('#!/', '#!.')}show\n`,
  'interpreter over the limit': `${'#!'.padEnd(252, '/').replace('#!/', '#!.')}show\n`,
  'interpreter ends in a blank at the limit': `${'#!'.padEnd(251, '/').replace('#!/', '#!.')}show -x\n`,
  'exactly the limit, no newline': `${'#!'.padEnd(252, '/').replace('#!/', '#!.')}show`,
  'one below the limit, no newline': `${'#!'.padEnd(251, '/').replace('#!/', '#!.')}show`,
  'missing interpreter': '#!./no-such\n',
  'interpreter is a folder': '#!.\n',
  'interpreter without permission': '#!./data\n',
  'interpreter under a file': '#!./show/x\n',
  'interpreter is text': '#!./text\n',
  'interpreter is empty': '#!./empty\n',
  'name too long': `#!./${'a'.repeat(250)}\n`,
  depth1: '#!./show one\n',
  depth2: '#!./depth1 two\n',
  depth3: '#!./depth2 three\n',
  depth4: '#!./depth3 four\n',
  depth5: '#!./depth4 five\n',
  depth6: '#!./depth5 six\n',
  depth7: '#!./depth6 seven\n',
  itself: '#!./itself\n',
};

describe.skipIf(!THIS_HOST || !COMPILER)('script lines, side by side with the kernel', () => {
  let bench: Bench;
  let launch: string;
  let starter: string;
  beforeAll(() => {
    bench = makeBench();
    const show = compileShow(bench, 'show');
    starter = compileStarter(bench);
    // UPORT_PREFER=emulated makes the launcher follow the lines itself. The "emulator" shows what
    // it is given; it must be another file than the interpreter.
    bench.program('.uport/emulate', readFileSync(show));
    const elf: ManifestCpu = CPUS[THIS_HOST as keyof typeof CPUS];
    launch = bench.launcher(THIS_HOST ?? '', [
      { name: THIS_HOST ?? '', elf, path: 'emulate', args: [] },
    ]);
    bench.program('data', 'x', 0o644);
    bench.program('text', 'x\n');
    bench.program('empty', '');
    for (const [name, content] of Object.entries(SCRIPTS)) bench.program(name, content);
  });
  afterAll(() => bench.remove());

  function compare(name: string): { kernel: Outcome; launcher: Outcome } {
    const cwd = bench.folder;
    const args = [`./${name}`, 'arg', '', 'b c'];
    const kernel = kernelOutcome(run(starter, ['execve', ...args], { cwd }));
    const ran = run(launch, args, { cwd, env: { UPORT_PREFER: 'emulated' } });
    if (ran.status !== 0) {
      const fault = `${ran.status} ${ran.stderr}`;
      if (typeof kernel !== 'string') return { kernel, launcher: fault };
      const status = kernel === 'ENOENT' || kernel === 'ENOTDIR' ? 127 : 126;
      return { kernel, launcher: ran.status === status ? kernel : fault };
    }
    const [marker, argv0, path, ...rest] = fields(ran.stdout.slice(ran.stdout.indexOf('\0') + 1));
    if (marker !== '-0' || path !== argv0) throw new Error(`emulator got ${ran.stdout}`);
    return { kernel, launcher: [argv0 ?? '', ...rest] };
  }

  test('the comparison can fail, and both ways are in it', () => {
    expect(compare('plain').kernel).toEqual(['./show', './plain', 'arg', '', 'b c']);
    expect(compare('missing interpreter').kernel).toBe('ENOENT');
    expect(compare('depth5').kernel).toHaveLength(14);
    expect(compare('depth6').kernel).toBe('ELOOP');
    expect(compare('text').kernel).toBe('ENOEXEC');
  });

  test.each(Object.keys(SCRIPTS))('%s', (name) => {
    const { kernel, launcher } = compare(name);
    expect(launcher).toEqual(kernel);
  });

  test('any line', () => {
    const piece = fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom('./show', './depth1', ' ', '\t', '\n', ' -x ') },
      fc.constantFrom('\0', '\r', '#!', '/', '.', 'a', '\xff'),
      fc
        .tuple(fc.constantFrom(' ', '/', 'a', '\t'), fc.integer({ min: 230, max: 260 }))
        .map(([byte, count]) => byte.repeat(count)),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 7 }), (pieces) => {
        bench.program('random', `#!${pieces.join('')}`);
        const { kernel, launcher } = compare('random');
        expect(launcher).toEqual(kernel);
      }),
      { numRuns: 250 },
    );
  });
});
