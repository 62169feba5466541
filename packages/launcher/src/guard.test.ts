// The guard of a listening supervisor: kill -9 of either leaves nothing of the app, and nothing else is hurt.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { COMPILER, COMPILER_HINT, compile } from './testing/kernel.ts';
import { type Bench, CPUS, elfHeader, makeBench, run, THIS_HOST } from './testing/launch.ts';
import { field, guardOf, processes, SUPERVISOR_MODES, supervisorOf } from './testing/supervisor.ts';

if (!COMPILER) console.warn(`guard.test.ts: ${COMPILER_HINT}`);
const listening = SUPERVISOR_MODES.filter(({ listens }) => listens);

/** Every kind of process that an app may have; each has this file's name among its arguments. */
const FAMILY = `
  #define _GNU_SOURCE
  #include <pthread.h>
  #include <signal.h>
  #include <stdio.h>
  #include <string.h>
  #include <sys/wait.h>
  #include <unistd.h>
  static char *self, *guest;
  static void *waits(void *unused) { (void)unused; for (;;) pause(); }
  static void daemonise(void) { if (fork() != 0) _exit(0); setsid(); if (fork() != 0) _exit(0); }
  static void run(const char *what) {
    if (!strcmp(what, "orphan")) { daemonise(); waits(NULL); }
    if (!strcmp(what, "other user")) { daemonise(); if (setgid(1000) || setuid(1000)) _exit(1); waits(NULL); }
    if (!strcmp(what, "leader gone")) {
      pthread_t thread;
      daemonise();
      pthread_create(&thread, NULL, waits, NULL);
      pthread_exit(NULL);
    }
    if (!strcmp(what, "vfork")) { daemonise(); if (vfork() == 0) waits(NULL); waits(NULL); }
    if (!strcmp(what, "stopped")) { daemonise(); raise(SIGSTOP); waits(NULL); }
    if (!strcmp(what, "ignores")) { daemonise(); signal(SIGTERM, SIG_IGN); signal(SIGHUP, SIG_IGN); waits(NULL); }
    if (!strcmp(what, "starts")) {
      for (;;) {
        if (fork() == 0) { execl(guest, guest, "x", NULL); _exit(1); }
        wait(NULL);
      }
    }
    if (!strcmp(what, "tree")) { fork(); fork(); fork(); waits(NULL); }
    if (!strcmp(what, "executes")) { char *argv[] = {self, guest, "orphan", NULL}; daemonise(); execv(self, argv); }
    _exit(2);
  }
  int main(int count, char **args) {
    self = args[0];
    guest = args[1];
    if (count > 2) run(args[2]);
    const char *all[] = {"orphan", "other user", "leader gone", "vfork", "stopped", "ignores", "starts", "tree", "executes"};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
      if (fork() == 0) run(all[i]);
    }
    usleep(200000);
    puts("ready");
    fflush(stdout);
    for (;;) wait(NULL) < 0 ? pause() : 0;
  }`;

/** Not of the app, with filters of its own. */
const STRANGER = `
  #define _GNU_SOURCE
  #include <linux/filter.h>
  #include <linux/seccomp.h>
  #include <stdio.h>
  #include <sys/prctl.h>
  #include <unistd.h>
  int main(void) {
    struct sock_filter allow[] = {{0x06, 0, 0, 0x7fff0000}};
    struct sock_fprog program = {1, allow};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, 2, &program) != 0) return 1;
    puts("ready");
    fflush(stdout);
    for (int n = 0;; n++) usleep(1000);
  }`;

describe.each(listening)('the guard of a supervisor, $name', ({ possible }) => {
  describe.skipIf(!THIS_HOST || !COMPILER || !possible)('', () => {
    let bench: Bench;
    let launch: string;
    beforeAll(() => {
      bench = makeBench();
      const emulator = compile(bench, 'emulator', 'int main(void) { return 0; }');
      launch = bench.launcher(THIS_HOST ?? '', [
        { name: 'hppa', elf: CPUS.hppa, path: emulator, args: [] },
      ]);
      bench.program('guest', elfHeader(CPUS.hppa));
      compile(bench, 'family', FAMILY);
      compile(bench, 'stranger', STRANGER);
    });
    afterAll(() => bench.remove());

    let running: ChildProcess[] = [];
    afterEach(() => {
      for (const child of running) child.kill('SIGKILL');
      running = [];
    });
    async function start(command: string, args: readonly string[]) {
      const child = spawn(command, args, {
        cwd: bench.folder,
        env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', UPORT_EXEC: 'ptrace' },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      running.push(child);
      let output = '';
      child.stdout?.setEncoding('latin1');
      child.stdout?.on('data', (text: string) => {
        output += text;
      });
      const ended = new Promise<string | null>((resolve) => {
        child.on('exit', (_, signal) => resolve(signal));
      });
      while (!output.includes('ready')) await sleep(10);
      return { pid: child.pid ?? 0, ended };
    }
    /** Processes of the bench, zombies included as long as they show their name. */
    const left = () =>
      processes((pid) => {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
        return line.includes(bench.at('')) && !line.includes('stranger');
      });
    const states = (pids: readonly number[]) =>
      pids.flatMap((pid) => {
        try {
          return [`${pid} ${field(pid, 'Name')} ${field(pid, 'State')}`];
        } catch {
          return [];
        }
      });
    const startFamily = () => start(launch, ['--', bench.at('family'), bench.at('guest')]);
    /** Everything is gone soon: in a second, where no other work is going on. */
    async function expectNothing(...also: number[]) {
      const all = [...new Set([...left(), ...also])];
      for (let i = 0; i < 200 && (left().length > 0 || states(all).length > 0); i++)
        await sleep(20);
      expect(states([...left(), ...all])).toEqual([]);
    }

    test.each(['supervisor', 'guard'] as const)(
      'kill -9 of the %s leaves no process behind',
      async (which) => {
        const app = await startFamily();
        const roles = { supervisor: await supervisorOf(launch), guard: await guardOf(launch) };
        expect(left().length).toBeGreaterThan(14);
        process.kill(roles[which], 'SIGKILL');
        expect(await app.ended).toBe('SIGKILL');
        await expectNothing(...Object.values(roles));
      },
    );

    test('who is not of the app is not hurt', async () => {
      const strangers = [];
      for (let i = 0; i < 3; i++) strangers.push(await start(bench.at('stranger'), []));
      const app = await startFamily();
      process.kill(await supervisorOf(launch), 'SIGKILL');
      expect(await app.ended).toBe('SIGKILL');
      await expectNothing();
      for (const { pid } of strangers) {
        expect(field(pid, 'TracerPid')).toBe('0');
        expect(field(pid, 'State')).toMatch(/^[RS]/);
      }
    });

    test('it outlives a look at what the launcher decides', () => {
      const env = { UPORT_EXEC: 'ptrace', UPORT_DEBUG: '1' };
      const ran = run(launch, ['--', 'sh', '-c', 'sleep 0.3; ./guest; echo $?'], {
        env,
        cwd: bench.folder,
      });
      expect(ran).toMatchObject({ status: 0, stdout: '0\n' });
      expect(ran.stderr).toContain('the supervisor is asked before each exec');
    });

    test('after the end of the app, and of all that it left, neither is there', async () => {
      const app = await start(launch, [
        '--',
        'sh',
        '-c',
        '(./guest; sleep 0.5; ./guest) & echo ready',
      ]);
      const roles = [await supervisorOf(launch), await guardOf(launch)];
      expect(await app.ended).toBe(null);
      await expectNothing(...roles);
    });
  });
});
