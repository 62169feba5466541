// Whether the kernel runs programs of a CPU that it may run: the launcher's trial against the kernel itself.
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COMPILER, COMPILER_HINT, compile } from './testing/kernel.ts';
import { type Bench, CPUS, makeBench, run, THIS_HOST } from './testing/launch.ts';
import { SUPERVISOR_MODES } from './testing/supervisor.ts';

if (!COMPILER) console.warn(`compatible.test.ts: ${COMPILER_HINT}`);

/** A program of i386 that ends with 42: mov eax, 1; mov ebx, 42; int 0x80. */
function tinyI386(): Buffer {
  const code = Buffer.from('b801000000bb2a000000cd80', 'hex');
  const bytes = Buffer.alloc(84);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  for (const [value, at] of [
    ...[[2, 16] as const, [3, 18] as const, [52, 40] as const, [32, 42] as const, [1, 44] as const],
  ])
    bytes.writeUInt16LE(value, at);
  const address = 0x400000;
  const size = bytes.length + code.length;
  const words = {
    20: 1,
    24: address + 84,
    28: 52,
    52: 1,
    60: address,
    64: address,
    68: size,
    72: size,
    76: 5,
    80: 4096,
  };
  for (const [at, value] of Object.entries(words)) bytes.writeUInt32LE(value, Number(at));
  return Buffer.concat([bytes, code]);
}

const here = THIS_HOST === 'x86_64';

describe.each(SUPERVISOR_MODES)('i386 on x86_64, $name', ({ prefix, possible }) => {
  describe.skipIf(!here || !COMPILER || !possible)(here ? '' : '[on x86_64 only]', () => {
    let bench: Bench;
    let launch: string;
    let runs: boolean;
    beforeAll(() => {
      bench = makeBench();
      const path = compile(bench, 'emulator', 'int main(void) { return 43; }');
      launch = bench.launcher('x86_64', [{ name: 'i386', elf: CPUS.i386, path, args: [] }]);
      // The kernel's own answer.
      runs = spawnSync(bench.program('tiny', tinyI386())).status === 42;
    });
    afterAll(() => bench.remove());

    const shell = (script: string, env = {}) => {
      const [first = '', ...rest] = [...prefix, launch, '--', 'sh', '-c', script];
      return run(first, rest, { env: { UPORT_EXEC: 'ptrace', ...env }, cwd: bench.folder });
    };

    test('the kernel starts what it can, the emulator the rest', () => {
      expect(shell('./tiny; echo $?; ./tiny; echo $?').stdout.split('\n')).toEqual([
        ...new Array(2).fill(runs ? '42' : '43'),
        '',
      ]);
    });

    test('it is tried once, and leaves nothing', () => {
      const script =
        './tiny; ./tiny; for one in /proc/[0-9]*; do cat $one/stat; done 2>/dev/null | grep " Z $$ "; exit 0';
      const ran = shell(script, { UPORT_DEBUG: '1' });
      const said = ran.stderr.split('\n').filter((line) => line.includes('this kernel runs'));
      expect(said).toEqual([`uport: debug: this kernel runs i386 programs${runs ? '' : ': no'}`]);
      expect(ran.stdout).toBe('');
    });

    test('plain emulation tells of it only where the kernel does not', () => {
      const ran = shell('./tiny; exit 0', { UPORT_EXEC: 'none' });
      expect(ran.stderr.includes('is a program for i386 that the app could not start')).toBe(!runs);
    });
  });
});
