// The supervisor: what the app must not notice of it, and that nothing is left behind.
import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { COMPILER, COMPILER_HINT, compile } from './testing/kernel.ts';
import { type Bench, CPUS, elfHeader, makeBench, run, THIS_HOST, works } from './testing/launch.ts';
import { field, processes, SUPERVISOR_MODES, supervisorOf } from './testing/supervisor.ts';

if (!COMPILER) console.warn(`supervise.test.ts: ${COMPILER_HINT}`);
const NEW_PIDS = [
  ['-pf', '--mount-proc', '--kill-child'],
  ['-Urpf', '--mount-proc', '--kill-child'],
].find((options) => works('unshare', [...options, 'true']));

describe.each(SUPERVISOR_MODES)('under the supervisor, $name', ({ listens, prefix, possible }) => {
  describe.skipIf(!THIS_HOST || !COMPILER || !possible)('', () => {
    let bench: Bench;
    let launch: string;
    const command = (): [string, string[]] => {
      const [first = launch, ...rest] = [...prefix, launch];
      return [first, rest];
    };
    const env = { UPORT_EXEC: 'ptrace' };
    beforeAll(() => {
      bench = makeBench();
      // Prints how it was called: a stand-in for an emulator.
      const emulator = compile(
        bench,
        'emulator',
        `#include <stdio.h>
       int main(int count, char **args) {
         for (int i = 1; i < count; i++) printf("%s\\n", args[i]);
       }`,
      );
      launch = bench.launcher(THIS_HOST ?? '', [
        { name: 'hppa', elf: CPUS.hppa, path: emulator, args: ['-o', ''] },
      ]);
      bench.program('guest', elfHeader(CPUS.hppa));
      compile(
        bench,
        'orphans',
        `#include <stdlib.h>
       #include <sys/wait.h>
       #include <unistd.h>
       int main(int count, char **args) {
         (void)count;
         for (int i = atoi(args[1]); i > 0; i--) {
           pid_t child = fork();
           if (child == 0) {
             if (fork() == 0) _exit(0);
             _exit(0);
           }
           if (waitpid(child, NULL, 0) != child) return 1;
         }
         return 0;
       }`,
      );
    });
    afterAll(() => bench.remove());

    const shell = (script: string, ...args: string[]) =>
      run(command()[0], [...command()[1], '--', 'sh', '-c', script, ...args], {
        env,
        cwd: bench.folder,
        timeout: 300_000,
      });

    let running: ChildProcess[] = [];
    afterEach(() => {
      for (const child of running) child.kill('SIGKILL');
      running = [];
    });
    /** Starts a script in the background; answers once it has printed `ready`. */
    async function start(script: string) {
      const child = spawn(command()[0], [...command()[1], '--', 'sh', '-c', script], {
        cwd: bench.folder,
        env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', ...env },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      running.push(child);
      let output = '';
      const ended = new Promise<{ status: number | null; signal: string | null }>((resolve) => {
        child.on('close', (status, signal) => resolve({ status, signal }));
      });
      child.stdout?.setEncoding('latin1');
      child.stdout?.on('data', (text: string) => {
        output += text;
      });
      while (!output.includes('ready')) await sleep(10);
      return { child, ended, output: () => output, pid: child.pid ?? 0 };
    }

    const exists = (pid: number) => {
      try {
        return field(pid, 'State')?.startsWith('Z') === false;
      } catch {
        return false;
      }
    };
    async function gone(...pids: number[]) {
      while (pids.some(exists)) await sleep(10);
    }
    /** Every process that this tracer traces. */
    const traced = (tracer: number) => processes((pid) => field(pid, 'TracerPid') === `${tracer}`);
    const supervisor = () => supervisorOf(launch);

    test('guests, scripts of guests and programs of the host start each other', () => {
      bench.program('script', '#!./guest with a space\n');
      const ran = shell(
        './guest "a b"; ./script x; sh -c "exec ./guest y"; cat /dev/null && ./guest',
      );
      expect(ran.stderr).toBe('');
      const options = '-o\n\n-0\n';
      expect(ran.stdout).toBe(
        [
          `${options}./guest\n./guest\na b\n`,
          `${options}./guest\n./guest\nwith a space\n./script\nx\n`,
          `${options}./guest\n./guest\ny\n`,
          `${options}./guest\n./guest\n`,
        ].join(''),
      );
    });

    test('what the kernel refuses is refused with its own errors', () => {
      bench.program('plain', elfHeader(CPUS.hppa), 0o644);
      bench.program('other', elfHeader(CPUS.m68k));
      bench.program('crlf', '#!./guest\r\n');
      const ran = shell('./plain; ./other; ./crlf; ./nothing; exit 0');
      expect(ran.stderr).toMatch(/plain: Permission denied/);
      expect(ran.stderr).toMatch(/other: Exec format error|other: .*not found|Syntax error/);
      expect(ran.stderr).toMatch(/crlf: not found/);
      expect(ran.stderr).toMatch(/nothing: not found/);
    });

    if (listens)
      test('who gave up root is held to its own permissions', () => {
        bench.program('private', elfHeader(CPUS.hppa), 0o700);
        bench.program('of-group', elfHeader(CPUS.hppa), 0o750);
        chownSync(bench.at('of-group'), 0, 50);
        const as = (groups: string) => `setpriv --reuid 1000 --regid 1000 ${groups} sh -c`;
        const ran = shell(`chmod 755 .; ./private root
        ${as('--clear-groups')} './private no; ./of-group no; ./guest yes'
        ${as('--groups 50')} './of-group member'`);
        expect(ran.stdout).toMatch(/root\n[\s\S]*\nyes\n[\s\S]*\nmember\n/);
        expect(ran.stdout).not.toContain('no\n');
        expect(ran.stderr).toMatch(/private: Permission denied[\s\S]*of-group: Permission denied/);
      });

    test('the app keeps the process, its parent, group and session', () => {
      const show =
        'read pid comm state parent group session rest </proc/self/stat; echo $PPID $session';
      const plain = run('sh', ['-c', show], { cwd: bench.folder });
      const seen = shell(show);
      const normal = (text: string) => text.trim().split(/\s+/).map(Number);
      const [parent, session] = normal(seen.stdout);
      expect([parent, session]).toEqual(normal(plain.stdout));
      expect(parent).toBeGreaterThan(0);
    });

    test('the app has no child that it did not start', () => {
      expect(shell('cat /proc/$$/task/$$/children; wait; echo none').stdout).toMatch(
        /^(\d+ )?none\n$/,
      );
    });

    test.each([
      ['exit 3', 3, null],
      ['kill -s TERM $$', null, 'SIGTERM'],
      ['kill -s SEGV $$', null, 'SIGSEGV'],
      ['kill -s KILL $$', null, 'SIGKILL'],
    ])('%s ends it so', (script, status, signal) => {
      expect(shell(script)).toMatchObject({ status, signal });
    });

    test.each(['TERM', 'INT', 'HUP', 'USR1', 'WINCH', 'CONT'])(
      'SIG%s reaches the app',
      async (name) => {
        const app = await start(
          `trap 'echo got ${name}; exit 7' ${name}; echo ready; while :; do sleep 0.02; done`,
        );
        process.kill(app.pid, `SIG${name}`);
        expect(await app.ended).toEqual({ status: 7, signal: null });
        expect(app.output()).toContain(`got ${name}`);
      },
    );

    test('it can be stopped and continued', async () => {
      const app = await start('echo ready; n=0; while :; do n=$((n+1)); done');
      process.kill(app.pid, 'SIGSTOP');
      // A traced process that job control has stopped shows as `t`, or as `T` in group stop.
      while (!/^[Tt]/.test(field(app.pid, 'State') ?? '')) await sleep(10);
      await sleep(100);
      expect(field(app.pid, 'State')).toMatch(/^[Tt]/);
      process.kill(app.pid, 'SIGCONT');
      while (!/^[RS]/.test(field(app.pid, 'State') ?? '')) await sleep(10);
      process.kill(app.pid, 'SIGTERM');
      expect(await app.ended).toEqual({ status: null, signal: 'SIGTERM' });
    });

    test('the shell that started it sees it stop', () => {
      // The supervisor stops it too, for a moment at each start: so it is looked at twice.
      const script = `stopped() { grep -q '^State:.[Tt]' /proc/$child/status; }
      "$@" -- sh -c 'kill -s STOP $$; exit 5' & child=$!
      until stopped && sleep 0.3 && stopped; do sleep 0.02; done
      kill -s CONT $child; wait $child; echo $?`;
      const ran = run('sh', ['-c', script, 'sh', ...prefix, launch], { env });
      expect(ran.stdout).toBe('5\n');
    });

    if (!listens)
      test('kill -9 of the supervisor leaves no process behind', async () => {
        const app = await start(
          '(sleep 60 & sleep 60) & sleep 60 & setsid sleep 60 & echo ready; wait',
        );
        await sleep(100);
        const tracer = Number(field(app.pid, 'TracerPid'));
        expect(tracer).toBe(await supervisor());
        const all = traced(tracer);
        expect(all.length).toBeGreaterThanOrEqual(5);
        process.kill(tracer, 'SIGKILL');
        expect(await app.ended).toEqual({ status: null, signal: 'SIGKILL' });
        await gone(tracer, ...all);
      });

    if (listens)
      test('nothing is traced between execs: another debugger may', async () => {
        const app = await start('./guest x; echo ready; while :; do sleep 0.02; done');
        expect(field(app.pid, 'TracerPid')).toBe('0');
      });

    test('the supervisor ends with the last process, also after kill -9 of any', async () => {
      const app = await start('sleep 60 & echo $! ready; wait; echo over');
      const one = await supervisor();
      process.kill(Number.parseInt(app.output(), 10), 'SIGKILL');
      process.kill(app.pid, 'SIGKILL');
      await app.ended;
      await gone(one);
    });

    test('what goes on in the background goes on', async () => {
      const app = await start('(sleep 0.5; ./guest late >later) & echo ready');
      expect(await app.ended).toEqual({ status: 0, signal: null });
      const text = () => {
        try {
          return readFileSync(bench.at('later'), 'latin1');
        } catch {
          return '';
        }
      };
      while (!text().includes('late\n')) await sleep(20);
    });

    test('descriptors: the supervisor keeps none of the app open', () => {
      expect(shell('exec 5</dev/null; ls /proc/self/fd').stdout).toBe(
        run('sh', ['-c', 'exec 5</dev/null; ls /proc/self/fd']).stdout,
      );
      // cat ends only when nobody has the pipe open.
      expect(
        run(
          'sh',
          ['-c', '"$@" -- sh -c "sleep 1 >/dev/null 2>&1 & echo x" | cat', 'sh', ...prefix, launch],
          { env },
        ).stdout,
      ).toBe('x\n');
    });

    test('its memory does not grow with the number of programs started', () => {
      const script = `
      for one in /proc/[0-9]*; do
        read -r name 2>/dev/null <$one/comm && [ "$name" = uport-children ] &&
          [ "$(readlink $one/exe)" = "$0" ] && tracer=\${one#/proc/}
      done
      size() { sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\) kB/\\1/p' /proc/$tracer/status; }
      some() { i=0; while [ $i -lt 80 ]; do ./guest x >/dev/null; i=$((i+1)); done; }
      some; before=$(size); some; some; after=$(size)
      echo $((after - before))`;
      const ran = shell(script, launch);
      expect(ran.stderr).toBe('');
      expect(Number(ran.stdout)).toBeLessThan(64);
    }, 130_000);

    // Listening, the supervisor takes no notice of processes that start nothing.
    test.skipIf(!NEW_PIDS || listens)(
      '10,000 orphans leave no zombie, as PID 1',
      () => {
        const script = `./orphans 10000 || exit 1
      until ! cat /proc/[0-9]*/stat 2>/dev/null | grep -q ') Z '; do sleep 0.05; done
      echo none`;
        const ran = run(
          'unshare',
          [...(NEW_PIDS ?? []), ...prefix, launch, '--', 'sh', '-c', script],
          {
            env,
            cwd: bench.folder,
            timeout: 300_000,
          },
        );
        expect(ran).toMatchObject({ status: 0, stdout: 'none\n' });
      },
      310_000,
    );
  });
});
