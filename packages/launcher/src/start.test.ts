import { chmodSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Bench,
  CPUS,
  elfHeader,
  fields,
  makeBench,
  quote,
  run,
  runShell,
  SHOW_ARGUMENTS,
  THIS_HOST,
  works,
} from './testing/launch.ts';

const host = THIS_HOST ?? '';
if (!THIS_HOST) console.warn('start.test.ts: skipped, there is no launcher for this machine');

/** Every byte but NUL, in order. */
const ALL_BYTES = Array.from({ length: 255 }, (_, i) => String.fromCharCode(i + 1)).join('');
const AWKWARD = [
  '',
  ' ',
  'a b',
  "it's",
  '"',
  '\\',
  'x\ny',
  '\n',
  '-0',
  '--',
  '--manifest',
  ALL_BYTES,
];

describe.skipIf(!THIS_HOST)('starting an app', () => {
  let bench: Bench;
  let launch: string;
  let show: string;
  beforeAll(() => {
    bench = makeBench();
    show = bench.program('.uport/show', SHOW_ARGUMENTS);
    launch = bench.launcher(host, [
      { name: 'm68k', elf: CPUS.m68k, path: 'show', args: ['-cpu', 'm68040', 'a b', ''] },
      { name: 'mips', elf: CPUS.mips, path: show, args: ['o32'] },
      { name: 'mipsn32', elf: CPUS.mipsn32, path: show, args: ['n32'] },
    ]);
    for (const [name, cpu] of Object.entries(CPUS)) bench.program(`apps/${name}`, elfHeader(cpu));
  });
  afterAll(() => bench.remove());

  const cmdline = 'cat "/proc/$$/cmdline"';

  describe('of the host’s own CPU', () => {
    test('argv[0] is the program as given, the arguments are the same bytes', () => {
      const words = AWKWARD.map(quote).join(' ');
      const ran = runShell(bench, `exec ${quote(launch)} -- sh -c ${quote(cmdline)} ${words}`);
      expect(ran.stderr).toBe('');
      expect(fields(ran.stdout)).toEqual(['sh', '-c', cmdline, ...AWKWARD]);
    });

    test('--argv0 gives it another name', () => {
      const ran = run(launch, ['--argv0', 'some name', '/bin/sh', '-c', cmdline]);
      expect(fields(ran.stdout)).toEqual(['some name', '-c', cmdline]);
    });

    test('--default-signals gives SIGPIPE and SIGXFSZ back, and no other', () => {
      const show = 'grep ^SigIgn /proc/self/status';
      const ignored = (...options: string[]) => {
        const script = 'trap "" PIPE XFSZ USR1; exec "$@"';
        return run('/bin/sh', ['-c', script, 'sh', launch, ...options, 'sh', '-c', `exec ${show}`]);
      };
      expect(ignored('--').stdout).toBe('SigIgn:\t0000000001001200\n');
      expect(ignored('--default-signals').stdout).toBe('SigIgn:\t0000000000000200\n');
    });

    test('--probe does nothing, well', () => {
      expect(run(launch, ['--probe', 'no-such'])).toEqual({
        status: 0,
        signal: null,
        stdout: '',
        stderr: '',
      });
    });

    test('exit status and signal are its own: no process stands between', () => {
      expect(run(launch, ['sh', '-c', 'exit 3']).status).toBe(3);
      expect(run(launch, ['sh', '-c', 'kill -s SEGV $$']).signal).toBe('SIGSEGV');
      const ran = runShell(bench, `echo $$; exec ${quote(launch)} sh -c 'echo $$'`);
      const [shell, app] = ran.stdout.split('\n');
      expect(app).toBe(shell);
    });

    test('the environment is the same, without uport’s variables', () => {
      const env = {
        B: '2',
        UPORT_PREFER: 'native',
        UPORT_X: 'x',
        UPORT_: '',
        A: '1',
        UPORTER: 'u',
      };
      const ran = run(launch, ['env', '-0'], { env });
      expect(fields(ran.stdout)).toEqual(
        fields(
          run('env', ['-0'], { env: { UPORT_EXEC: undefined, B: '2', A: '1', UPORTER: 'u' } })
            .stdout,
        ),
      );
      expect(ran.stderr).toBe('');
    });

    test('open descriptors are the same', () => {
      const list = 'exec 5</dev/null 7</dev/null; exec "$@" ls /proc/self/fd';
      const plain = run('/bin/sh', ['-c', list, 'sh', 'env']);
      expect(plain.stdout).toContain('7\n');
      expect(run('/bin/sh', ['-c', list, 'sh', launch])).toEqual(plain);
    });

    test('a file that may be executed but not read is started', () => {
      const hidden = makeBench();
      try {
        chmodSync(hidden.folder, 0o755);
        const program = hidden.program('hidden', readFileSync('/bin/true'), 0o111);
        const own = hidden.launcher(host, []);
        const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups', own, program];
        const ran = process.getuid?.() === 0 ? run('setpriv', asNobody) : run(own, [program]);
        expect(ran).toEqual({ status: 0, signal: null, stdout: '', stderr: '' });
      } finally {
        hidden.remove();
      }
    });
  });

  describe('of another CPU', () => {
    test('the emulator gets its options, argv[0], the path and the same bytes', () => {
      const words = AWKWARD.map(quote).join(' ');
      const app = bench.at('apps/m68k');
      const ran = runShell(bench, `exec ${quote(launch)} -- ${quote(app)} ${words}`);
      expect(ran.stderr).toBe('');
      const expected = ['-cpu', 'm68040', 'a b', '', '-0', app, app, ...AWKWARD];
      expect(fields(ran.stdout)).toEqual(expected);
    });

    test('argv[0] is the name as given though PATH finds the file', () => {
      const env = { PATH: `/nowhere:${bench.at('apps')}` };
      const ran = run(launch, ['m68k', 'x'], {
        env: { ...env, PATH: `${env.PATH}:/bin:/usr/bin` },
      });
      expect(fields(ran.stdout).slice(4)).toEqual(['-0', 'm68k', bench.at('apps/m68k'), 'x']);
    });

    test('--argv0 and an empty name', () => {
      const named = run(launch, ['--argv0', '', bench.at('apps/mips')]);
      expect(fields(named.stdout)).toEqual(['o32', '-0', '', bench.at('apps/mips')]);
    });

    test('a path that looks like an option does not reach the emulator as one', () => {
      bench.program('-version', elfHeader(CPUS.mips));
      const env = { PATH: ':/bin:/usr/bin' };
      const ran = run(launch, ['--', '-version', '-strace'], { env, cwd: bench.folder });
      expect(fields(ran.stdout)).toEqual(['o32', '-0', '-version', './-version', '-strace']);
    });

    test('e_flags tell twins apart', () => {
      expect(fields(run(launch, [bench.at('apps/mips')]).stdout)[0]).toBe('o32');
      expect(fields(run(launch, [bench.at('apps/mipsn32')]).stdout)[0]).toBe('n32');
    });

    test('a script of such an interpreter: argv as the kernel makes it', () => {
      const script = bench.program('apps/script', `#! ${bench.at('apps/mips')}  -x y \nbody\n`);
      const link = bench.program('apps/twice', `#!${script}\n`);
      const expected = [bench.at('apps/mips'), bench.at('apps/mips'), '-x y'];
      const once = fields(run(launch, [script, 'a', '']).stdout);
      expect(once).toEqual(['o32', '-0', ...expected, script, 'a', '']);
      const twice = fields(run(launch, ['--argv0', 'lost', link, 'a']).stdout);
      expect(twice).toEqual(['o32', '-0', ...expected, script, link, 'a']);
    });

    test('the environment is clean there too', () => {
      bench.program('.uport/environment', '#!/bin/sh\nexec env\n');
      const own = bench.launcher(
        host,
        [{ name: 'm68k', elf: CPUS.m68k, path: '../.uport/environment', args: [] }],
        'other',
      );
      const env = { UPORT_DEBUG: '1', UPORT_PREFER: 'emulated', KEPT: 'yes' };
      const ran = run(own, [bench.at('apps/m68k')], { env });
      expect(ran.stdout).toContain('KEPT=yes\n');
      expect(ran.stdout).not.toContain('UPORT_');
    });

    test('--manifest names another manifest, whose folder counts', () => {
      bench.program('elsewhere/sub/emulate', SHOW_ARGUMENTS);
      bench.program(
        'elsewhere/sub/list',
        'uport-manifest 1\nemulator hppa 15 32 msb 0 0 emulate\n',
        0o644,
      );
      const app = bench.at('apps/hppa');
      for (const cwd of [bench.at('elsewhere'), bench.at('elsewhere/sub')]) {
        const file = cwd.endsWith('sub') ? 'list' : 'sub/list';
        const ran = run(launch, ['--manifest', file, app], { cwd });
        expect(ran).toMatchObject({ stderr: '', status: 0, stdout: `-0\0${app}\0${app}\0` });
      }
    });

    test('the manifest is found through a symlink to the launcher', () => {
      symlinkSync(launch, bench.at('link'));
      const ran = run('./link', [bench.at('apps/mips')], { cwd: bench.folder });
      expect(fields(ran.stdout)[0]).toBe('o32');
    });

    const hasRoot = works('unshare', ['-Urm', 'true']);
    if (!hasRoot) console.warn('no user namespaces: starting without /proc is not tried');
    test.skipIf(!hasRoot)('without /proc the path given to execve leads to the manifest', () => {
      const commands = [
        'mount -t tmpfs none /proc',
        `cd ${quote(bench.folder)}`,
        `./link ${quote(bench.at('apps/mips'))}`,
      ];
      const ran = run('unshare', ['-Urm', 'sh', '-c', commands.join(' && ')]);
      expect(ran).toMatchObject({ status: 0, stderr: '' });
      expect(fields(ran.stdout)[0]).toBe('o32');
    });
  });

  describe('UPORT_PREFER and UPORT_DEBUG', () => {
    test('emulated puts the emulator before the host’s own CPU', () => {
      const elf = CPUS[host as keyof typeof CPUS];
      const own = bench.launcher(host, [{ name: host, elf, path: show, args: [] }], 'self');
      const env = { UPORT_PREFER: 'emulated' };
      expect(run(own, ['/bin/echo', 'x'], { env }).stdout).toBe('-0\0/bin/echo\0/bin/echo\0x\0');
      expect(run(own, ['/bin/echo', 'x'], { env: { UPORT_PREFER: 'native' } }).stdout).toBe('x\n');
      expect(run(own, ['/bin/echo', 'x']).stdout).toBe('x\n');
      // Where there is no emulator for it, the host's CPU serves.
      expect(run(launch, ['/bin/echo', 'x'], { env }).stdout).toBe('x\n');
    });

    test('another preference is refused', () => {
      const ran = run(launch, ['true'], { env: { UPORT_PREFER: 'fast' } });
      expect(ran.status).toBe(125);
      expect(ran.stderr).toBe(
        'uport: UPORT_PREFER=fast: is not known, use native, emulated or qemu\n',
      );
    });

    test('each decision is told, on standard error only', () => {
      const env = { UPORT_DEBUG: '1' };
      const native = run(launch, ['/bin/echo', 'x'], { env });
      expect(native.stdout).toBe('x\n');
      expect(native.stderr).toContain(
        `uport: debug: /bin/echo: is for ${host}, this host is ${host}\n`,
      );
      expect(native.stderr).toContain('/bin/echo: started directly: it is of this host');
      const emulated = run(launch, [bench.at('apps/m68k')], { env });
      expect(emulated.stderr).toContain(`apps/m68k: is for m68k, this host is ${host}\n`);
      expect(emulated.stderr).toContain(`apps/m68k: started with the emulator ${show}\n`);
      expect(run(launch, ['/bin/echo', 'x'], { env: { UPORT_DEBUG: '0' } }).stderr).toBe('');
    });
  });

  describe('what cannot be started', () => {
    const cases: readonly [string, (at: (name: string) => string) => string[], number, RegExp][] = [
      ['no program', () => [], 125, /^uport: no program is named, use: launch /],
      [
        'an unknown option',
        () => ['--what', 'true'],
        125,
        /^uport: --what: is not an option .*, put --/,
      ],
      ['an option without its value', () => ['--argv0'], 125, /^uport: --argv0: needs a value, /],
      [
        'a manifest that is not there',
        () => ['--manifest', '/no', 'true'],
        125,
        /^uport: \/no: cannot be opened \(ENOENT\), /,
      ],
      [
        'a broken manifest',
        (at) => ['--manifest', at('apps/m68k'), 'true'],
        125,
        /m68k: line 1: no newline at its end; .*build it again/,
      ],
      [
        'a name that PATH does not have',
        () => ['no-such'],
        127,
        /^uport: no-such: was not found in PATH \(\/usr\/bin:\/bin\), give/,
      ],
      ['an empty name', () => [''], 127, /^uport: : was not found, give/],
      [
        'a path that is not there',
        () => ['/no/such'],
        127,
        /^uport: \/no\/such: was not found, give/,
      ],
      [
        'a path through a file',
        () => ['/bin/sh/x'],
        127,
        /^uport: \/bin\/sh\/x: was not found, give/,
      ],
      ['a folder', (at) => [at('apps')], 126, /apps: cannot be executed \(EACCES\), it must be/],
      [
        'a file without permission',
        (at) => [at('.uport/manifest')],
        126,
        /manifest: cannot be executed \(EACCES\)/,
      ],
      ['a loop of symlinks', (at) => [at('loop')], 126, /loop: cannot be executed \(ELOOP\)/],
      [
        'an empty file',
        (at) => [at('empty')],
        126,
        /empty: is neither a program nor a script, give/,
      ],
      ['text', (at) => [at('text')], 126, /text: is neither a program nor a script, give/],
      [
        'an object file',
        (at) => [at('object')],
        126,
        /object: is neither a program nor a script, give/,
      ],
      [
        'an ELF header cut short',
        (at) => [at('short')],
        126,
        /short: is neither a program nor a script, give/,
      ],
      [
        'no emulator for the CPU',
        (at) => [at('apps/hppa')],
        126,
        /hppa: is for the CPU hppa, this host is .*manifest has no emulator for that; build/,
      ],
      [
        'no emulator for an unknown CPU',
        (at) => [at('unknown')],
        126,
        /unknown: is for the CPU 4660, 32-bit, big-endian, this host/,
      ],
      [
        'a script without its interpreter',
        (at) => [at('lost')],
        127,
        /lost: its interpreter \/no\/such was not found \(ENOENT\), correct/,
      ],
      [
        'a script with a DOS line end',
        (at) => [at('dos')],
        127,
        /dos: its first line ends with a carriage return, so its interpreter was not found; store/,
      ],
      [
        'a script whose interpreter is no program',
        (at) => [at('folder')],
        126,
        /folder: its interpreter \/bin cannot be executed \(EACCES\), correct/,
      ],
      [
        'a script that is its own interpreter',
        (at) => [at('circle')],
        126,
        /circle: is a script whose interpreter is a script, more than five/,
      ],
    ];
    beforeAll(() => {
      symlinkSync('loop', bench.at('loop'));
      bench.program('empty', '');
      bench.program('text', 'echo no\n');
      bench.program('object', elfHeader(CPUS.m68k, 1));
      bench.program('short', elfHeader(CPUS.m68k).subarray(0, 40));
      bench.program('unknown', elfHeader({ machine: 0x1234, bits: 32, order: 'msb' }));
      bench.program('lost', '#!/no/such -x\n');
      bench.program('dos', '#!/bin/sh\r\necho no\r\n');
      bench.program('folder', '#!/bin\n');
      bench.program('circle', `#!${bench.at('circle')}\n`);
    });

    test.each(cases)('%s', (_, args, status, message) => {
      const ran = run(launch, args(bench.at));
      expect(ran.stderr).toMatch(message);
      expect(ran.stderr.split('\n')).toHaveLength(2);
      expect(ran).toMatchObject({ status, signal: null, stdout: '' });
    });

    test('a program of another CPU when there is no manifest', () => {
      mkdirSync(bench.at('bare'));
      const bare = bench.program('bare/launch', readFileSync(launch));
      const ran = run(bare, [bench.at('apps/m68k')]);
      expect(ran.stderr).toMatch(
        /is for the CPU m68k, .* no manifest beside itself; name one with/,
      );
      expect(ran.status).toBe(126);
      expect(run(bare, ['/bin/echo', 'x'])).toMatchObject({ status: 0, stdout: 'x\n', stderr: '' });
    });

    test.each([
      [
        'that is missing',
        'gone',
        /gone: the emulator for m68k cannot be executed \(ENOENT\); build/,
      ],
      [
        'without permission',
        'manifest',
        /the emulator for m68k cannot be executed \(EACCES\); make/,
      ],
      [
        'of another CPU',
        '../apps/hppa',
        /the emulator for m68k cannot be executed \(ENOEXEC\); it must be/,
      ],
    ])('an emulator %s', (_, path, message) => {
      const own = bench.launcher(host, [{ name: 'm68k', elf: CPUS.m68k, path, args: [] }], 'bad');
      const ran = run(own, [bench.at('apps/m68k')]);
      expect(ran.stderr).toMatch(message);
      expect(ran).toMatchObject({ status: 125, stdout: '' });
    });

    test('control bytes in names cannot play with the terminal', () => {
      expect(run(launch, ['/a\x1b[2J\nb']).stderr).toMatch(/^uport: \/a\\x1b\[2J\\x0ab: was not/);
    });
  });
});

const emulator = '/usr/bin/qemu-aarch64-static';
const compiler = 'aarch64-linux-gnu-gcc';
const canEmulate =
  THIS_HOST === 'x86_64' && works(emulator, ['-version']) && works(compiler, ['--version']);
if (!canEmulate) {
  console.warn(
    'not tried with a real emulator; on x86-64 Debian: apt-get install qemu-user-static gcc-aarch64-linux-gnu libc6-dev-arm64-cross',
  );
}

test.skipIf(!canEmulate)('a real aarch64 program under its real emulator', () => {
  const bench = makeBench();
  try {
    bench.program(
      'app.c',
      `#include <stdio.h>
       #include <string.h>
       #include <signal.h>
       int main(int count, char **args) {
         if (count > 1 && !strcmp(args[1], "crash")) raise(SIGSEGV);
         for (int i = 0; i < count; i++) { fputs(args[i], stdout); putchar(0); }
         return 3;
       }`,
    );
    const built = run(compiler, ['-static', '-o', bench.at('app'), bench.at('app.c')]);
    expect(built).toMatchObject({ status: 0, stderr: '' });
    const elf = CPUS.aarch64;
    const launch = bench.launcher(host, [{ name: 'aarch64', elf, path: emulator, args: [] }]);
    const words = AWKWARD.map(quote).join(' ');
    const env = { PATH: bench.folder };
    const ran = runShell(bench, `exec ${quote(launch)} -- app ${words}`, { env });
    expect(ran).toMatchObject({ status: 3, stderr: '' });
    expect(fields(ran.stdout)).toEqual(['app', ...AWKWARD]);
    expect(run(launch, [bench.at('app'), 'crash']).signal).toBe('SIGSEGV');
  } finally {
    bench.remove();
  }
});
