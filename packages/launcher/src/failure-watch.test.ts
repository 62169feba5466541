// Plain emulation: who starts a program that nothing here runs is told why, once, and nothing else changes.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { COMPILER, COMPILER_HINT, compile } from './testing/kernel.ts';
import { type Bench, CPUS, elfHeader, makeBench, run, THIS_HOST } from './testing/launch.ts';
import { field, processes, SUPERVISOR_MODES } from './testing/supervisor.ts';

if (!COMPILER) console.warn(`failure-watch.test.ts: ${COMPILER_HINT}`);

/** Becomes the command where ptrace and new namespaces are forbidden, as strict profiles have it. */
const FORBIDS = `
  #define _GNU_SOURCE
  #include <linux/filter.h>
  #include <linux/seccomp.h>
  #include <stddef.h>
  #include <sys/prctl.h>
  #include <sys/syscall.h>
  #include <unistd.h>
  int main(int count, char **args) {
    (void)count;
    struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2, &program)) return 9;
    execv(args[1], args + 1);
    return 8;
  }`;

const WHY = 'UPORT_EXEC=none is set; leave that out';
const told = (program: string, cpu = 'hppa', why = WHY) =>
  `uport: ${program}: is a program for ${cpu} that the app could not start: ${why}\n`;
/** Without the shell's own line for each failure. */
const lines = (text: string) => text.replace(/^(?!uport: ).*\n/gm, '');

describe.skipIf(!THIS_HOST || !COMPILER)('plain emulation', () => {
  let bench: Bench;
  let launch: string;
  beforeAll(() => {
    bench = makeBench();
    const source =
      '#include <stdio.h>\nint main(int count, char **args) { puts(args[count - 1]); }';
    const path = compile(bench, 'emulator', source);
    launch = bench.launcher(THIS_HOST ?? '', [
      { name: 'hppa', elf: CPUS.hppa, path, args: [] },
      { name: 'm68k', elf: CPUS.m68k, path, args: [] },
    ]);
    bench.program('guest', elfHeader(CPUS.hppa));
    bench.program('second', elfHeader(CPUS.m68k));
    bench.program('unknown', elfHeader(CPUS.s390x));
    bench.program('plain', elfHeader(CPUS.hppa), 0o644);
    bench.program('script', '#!./guest\n');
    compile(bench, 'forbids', FORBIDS);
  });
  afterAll(() => bench.remove());

  let running: ChildProcess[] = [];
  afterEach(() => {
    for (const child of running) child.kill('SIGKILL');
    running = [];
  });

  const shell = (script: string, env = {}, before: readonly string[] = []) => {
    const [first = '', ...rest] = [...before, launch, '--', 'sh', '-c', script];
    return run(first, rest, { env: { UPORT_EXEC: 'none', ...env }, cwd: bench.folder });
  };

  test('each CPU once, before what the starter says of it', () => {
    const ran = shell('./guest; ./guest; ./second; ./script; (sleep 0.1; ./guest); exit 3');
    expect(lines(ran.stderr)).toBe(told('./guest') + told('./second', 'm68k'));
    expect(ran.stderr.startsWith('uport: ')).toBe(true);
    expect(ran).toMatchObject({ status: 3, stdout: '' });
  });

  test('the interpreter of a script', () => {
    expect(lines(shell('./script x; exit 0').stderr)).toBe(told('./guest'));
  });

  test('where nothing better can be had, with the reasons', () => {
    const ran = shell('./guest; cat /dev/null; echo on', { UPORT_EXEC: '' }, [bench.at('forbids')]);
    expect(ran.stdout).toBe('on\n');
    expect(lines(ran.stderr)).toMatch(
      /^uport: \.\/guest: is a program for hppa that the app could not start: this machine allows no way to \(binfmt: .+; userns: .+; ptrace: .*EPERM.*\); see what `uport doctor` says of it\n$/,
    );
  });

  test('nothing else is told of', () => {
    const ran = shell('./plain; ./nothing; ./unknown; true; cat /dev/null; exit 0');
    expect(lines(ran.stderr)).toBe('');
  });

  test('it stays the same process, without a child of its own', () => {
    const show =
      'read pid comm state parent group session rest </proc/self/stat; echo $PPID $session; cat /proc/$$/task/$$/children; echo';
    const numbers = (text: string) => text.trim().split(/\s+/).slice(0, 2);
    const seen = shell(show).stdout;
    expect(numbers(seen)).toEqual(numbers(run('sh', ['-c', show]).stdout));
    // That of cat.
    expect(seen.trim().split('\n')[1]?.trim()).toMatch(/^\d+$/);
  });

  test('it is told on the standard error of the app alone', () => {
    const ran = shell('./guest 2>child; cat child');
    expect(lines(ran.stderr)).toBe(told('./guest'));
    expect(lines(ran.stdout)).toBe('');
    // Number 2 is a file of the app.
    const closed = shell('exec 2>data; ./guest; ./guest; cat data');
    expect(lines(closed.stdout + closed.stderr)).toBe('');
    const none = run('sh', ['-c', `exec 2>&-; ${launch} -- sh -c './guest; echo on'`], {
      cwd: bench.folder,
    });
    expect(none.stdout).toBe('on\n');
  });

  test('who reads a pipe sees its end when the app has ended', () => {
    const script = `${launch} -- sh -c './guest; sleep 1 >/dev/null 2>&1 & echo x' 2>&1 | cat`;
    const before = Date.now();
    const ran = run('sh', ['-c', script], { cwd: bench.folder });
    expect(lines(ran.stdout)).toBe(told('./guest'));
    expect(Date.now() - before).toBeLessThan(900);
  });

  test('a pipe that nobody reads does not hold an exec up', () => {
    const full = `exec 3>&2; { ${launch} -- sh -c 'head -c 70000 /dev/zero >&2 & sleep 0.3; ./guest 2>/dev/null; echo on >&3; kill $!' 2>&1 >/dev/null; } | sleep 3`;
    expect(run('bash', ['-c', full], { cwd: bench.folder }).stderr).toContain('on\n');
  });

  test.each(SUPERVISOR_MODES)(
    'below a supervisor, $name, that one serves',
    ({ possible, prefix }) => {
      if (!possible) return;
      const inner = `UPORT_EXEC=none ${launch} -- sh -c './guest x'`;
      const ran = shell(inner, { UPORT_EXEC: 'ptrace' }, prefix);
      expect(ran).toMatchObject({ status: 0, stdout: 'x\n', stderr: '' });
    },
  );

  test('kill -9 of it holds nothing up: another takes its place', async () => {
    const child = spawn(launch, ['--', 'sh', '-c', 'while read -r line; do eval "$line"; done'], {
      cwd: bench.folder,
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', UPORT_EXEC: 'none' },
    });
    running.push(child);
    let output = '';
    let errors = '';
    child.stdout.on('data', (text) => {
      output += text;
    });
    child.stderr.on('data', (text) => {
      errors += text;
    });
    const say = async (line: string, answer: string) => {
      child.stdin.write(`${line}; echo ${answer}\n`);
      while (!output.includes(answer)) await sleep(10);
    };
    const watches = () =>
      processes(
        (pid) =>
          field(pid, 'Name') === 'uport-watch' && readlinkSync(`/proc/${pid}/exe`) === launch,
      );
    const both = async () => {
      while (watches().length !== 2) await sleep(10);
      return watches();
    };
    await say('cat /dev/null', 'first');
    for (let i = 0; i < 6; i++) {
      const [one = 0, other = 0] = await both();
      process.kill(i % 2 === 0 ? one : other, 'SIGKILL');
      await say('cat /dev/null || echo FAILED', `round-${i}-`);
    }
    await say('./guest', 'second');
    const [one = 0] = await both();
    process.kill(one, 'SIGKILL');
    await say('./guest; ./second', 'third');
    expect(output).not.toContain('FAILED');
    expect(lines(errors)).toBe(told('./guest') + told('./second', 'm68k'));
    const last = await both();
    child.stdin.end();
    const exists = (pid: number) => {
      try {
        return !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
      } catch {
        return false;
      }
    };
    while (last.some(exists)) await sleep(10);
  });
});
