import fc from 'fast-check';
import { expect, test } from 'vitest';
import { splitCommandLine } from './split-command-line.ts';

const flags = {
  gdb: { type: 'option', char: 'g' },
  debug: { type: 'boolean' },
} as const;

test.each([
  [['./app', '-g', '--debug'], ['./app'], ['-g', '--debug']],
  [['-g', '1234', './app', 'x'], ['-g', '1234', './app'], ['x']],
  [['--gdb=1234', './app', 'x'], ['--gdb=1234', './app'], ['x']],
  [['--gdb', '1234', './app'], ['--gdb', '1234', './app'], []],
  [
    ['--debug', './app', '--', 'x'],
    ['--debug', './app'],
    ['--', 'x'],
  ],
  [['--debug', '--', '-app', '-x'], ['--debug', '--', '-app'], ['-x']],
  [['--debug'], ['--debug'], []],
  [[], [], []],
])('%j', (argv, own, program) => {
  expect(splitCommandLine(argv, flags)).toEqual({ own, program });
});

test('what follows the program is never touched', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), (args) => {
      expect(splitCommandLine(['--debug', './app', ...args], flags).program).toEqual(args);
    }),
  );
});
