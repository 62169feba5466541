import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Bench,
  CPUS,
  elfHeader,
  fields,
  makeBench,
  type Ran,
  run,
  SHOW_ARGUMENTS,
  THIS_HOST,
  works,
} from './testing/launch.ts';

// --kill-child: a test that runs out of time leaves nothing behind.
const asRoot = ['-pf', '--mount-proc', '--kill-child'];
const asUser = ['-Urpf', '--mount-proc', '--kill-child'];
/** The options of unshare(1) with which a command becomes PID 1. */
const NEW_PIDS = [asRoot, asUser].find((options) => works('unshare', [...options, 'true']));
const HINT = 'on Linux with util-linux, as root or where user namespaces are allowed';
if (!THIS_HOST || !NEW_PIDS)
  console.warn(`init.test.ts: no PID namespace to be had; run it ${HINT}`);

describe.skipIf(!THIS_HOST || !NEW_PIDS)('as PID 1', () => {
  let bench: Bench;
  let launch: string;
  beforeAll(() => {
    bench = makeBench();
    bench.program('.uport/show', SHOW_ARGUMENTS);
    bench.program('foreign', elfHeader(CPUS.hppa));
    const hppa = { name: 'hppa', elf: CPUS.hppa, path: 'show', args: [] };
    launch = bench.launcher(THIS_HOST ?? '', [hppa]);
  });
  afterAll(() => bench.remove());

  const first = (...args: string[]): Ran => run('unshare', [...(NEW_PIDS ?? []), ...args]);
  /** On a machine with much to do, hundreds of processes take longer than a start may. */
  const MANY_PROCESSES = { timeout: 80_000 };
  const shell = (script: string): Ran => first(launch, '--', 'sh', '-c', script);

  test('the exit status is the app’s', () => {
    for (const status of [0, 3, 125, 255]) {
      expect(shell(`exit ${status}`)).toEqual({ status, signal: null, stdout: '', stderr: '' });
    }
  });

  test('a signal that ends the app gives 128 and its number', () => {
    expect(shell('kill -s SEGV $$').status).toBe(139);
    expect(shell('kill -s TERM $$').status).toBe(143);
    expect(shell('kill -s KILL $$').status).toBe(137);
    expect(shell('kill -s 64 $$').status).toBe(192);
  });

  test('the app is a child with a process group of its own', () => {
    const ran = shell('read pid comm state parent group rest </proc/self/stat; echo $$ $PPID');
    expect(ran.stdout).toBe('2 1\n');
    expect(shell('cut -d" " -f5 /proc/$$/stat').stdout).toBe('2\n');
  });

  test('an emulator is started the same way, and errors keep their status', () => {
    const ran = first(launch, bench.at('foreign'), 'a b');
    expect(fields(ran.stdout)).toEqual(['-0', bench.at('foreign'), bench.at('foreign'), 'a b']);
    const lost = first(launch, 'no-such');
    expect(lost.status).toBe(127);
    expect(lost.stderr).toMatch(/^uport: no-such: was not found in PATH/);
  });

  test('signal masks and dispositions are those the launcher got', () => {
    const show = ['grep', '-E', '^Sig(Blk|Ign|Cgt)', '/proc/self/status'];
    // env of GNU coreutils; a shell in between would change dispositions.
    const prepared: readonly (readonly [options: readonly string[], ignored: RegExp])[] = [
      [[], /^SigIgn:\t0+$/m],
      [['--ignore-signal=CHLD'], /^SigIgn:\t0{11}10000$/m],
      [['--ignore-signal=INT,TTOU', '--block-signal=USR1'], /^SigBlk:\t0{13}200$/m],
    ];
    for (const [options, seen] of prepared) {
      const plain = first('env', ...options, ...show);
      expect(plain.stdout).toMatch(seen);
      expect(first('env', ...options, launch, ...show)).toEqual(plain);
    }
  });

  test('descriptors: the app has the same, the launcher keeps none open', () => {
    const script = 'exec 5</dev/null 9>/dev/null; exec "$@"';
    const list = (...args: string[]) => first('sh', '-c', script, 'sh', ...args);
    const plain = list('env', 'ls', '/proc/self/fd');
    expect(plain.stdout).toContain('9\n');
    expect(list(launch, 'ls', '/proc/self/fd')).toEqual(plain);
    const emptied = 'until [ -z "$(ls /proc/1/fd)" ]; do sleep 0.01; done; echo none';
    expect(list(launch, 'sh', '-c', emptied).stdout).toBe('none\n');
  });

  test('every signal that can be caught reaches the app', () => {
    // KILL and STOP cannot be caught; CHLD is for the launcher's children; TTIN and TTOU are the
    // terminal driver's; 32 and 33 are the C library's, a shell cannot trap them.
    const left = [9, 17, 19, 21, 22, 32, 33];
    const signals = Array.from({ length: 64 }, (_, i) => i + 1).filter((n) => !left.includes(n));
    const script = `
      for n in ${signals.join(' ')}; do trap "got=$n" $n; done
      for n in ${signals.join(' ')}; do
        got=; kill -$n 1; until [ -n "$got" ]; do :; done; echo $got
      done`;
    const ran = shell(script);
    expect(ran.stderr).toBe('');
    expect(ran.stdout).toBe(signals.map((n) => `${n}\n`).join(''));
  });

  test('signals that PID 1 is shielded from end the app', () => {
    expect(shell('kill -s TERM 1; exec sleep 20').status).toBe(143);
    expect(shell('kill -s INT 1; exec sleep 20').status).toBe(130);
  });

  test('300 orphans leave no zombie', () => {
    const script = `
      i=0
      while [ $i -lt 300 ]; do (true & exec true); i=$((i+1)); done
      zombies() { cat /proc/[0-9]*/stat 2>/dev/null | grep -c ') Z '; }
      until [ "$(zombies)" = 0 ]; do sleep 0.05; done
      echo $i, none left`;
    const command = [...(NEW_PIDS ?? []), launch, '--', 'sh', '-c', script];
    const ran = run('unshare', command, MANY_PROCESSES);
    expect(ran).toMatchObject({ status: 0, stdout: '300, none left\n' });
  });

  test('the end of an orphan is not taken for the app’s', () => {
    expect(shell('(sh -c "exit 7" & exec true); sleep 0.2; exit 4').status).toBe(4);
  });

  test('a stopped app can be continued', () => {
    const script = `
      app=$$
      (while ! grep -q 'T (stopped)' /proc/$app/status; do sleep 0.01; done; kill -s CONT 1) &
      kill -s STOP $$; echo goes on; exit 6`;
    expect(shell(script)).toMatchObject({ status: 6, stdout: 'goes on\n' });
  });

  const hasTerminal = works('script', ['-qec', 'true', '/dev/null']);
  if (!hasTerminal) console.warn('the terminal is not tried; on Debian: apt-get install bsdutils');

  describe.skipIf(!hasTerminal)('with a terminal', () => {
    /** Runs a script as PID 1's app on a new terminal; types each text once its mark is printed. */
    async function type(app: string, typed: readonly (readonly [mark: string, text: string])[]) {
      const file = bench.program('app.sh', app);
      const command = ['exec', 'unshare', ...(NEW_PIDS ?? []), launch, '--', 'sh', file].join(' ');
      const child: ChildProcessWithoutNullStreams = spawn(
        'script',
        ['-qec', command, '/dev/null'],
        {
          env: { PATH: '/usr/bin:/bin', SHELL: '/bin/sh', LC_ALL: 'C' },
          timeout: 20_000,
          killSignal: 'SIGKILL',
        },
      );
      let output = '';
      let next = 0;
      child.stdout.setEncoding('latin1').on('data', (text: string) => {
        output += text;
        for (let step = typed[next]; step && output.includes(step[0]); step = typed[++next]) {
          child.stdin.write(step[1]);
        }
      });
      const status = await new Promise((resolve) => child.on('close', resolve));
      return { status, output: output.replaceAll('\r', '') };
    }

    test('the app’s group has the terminal', async () => {
      const app = 'echo ready; read -r line; cut -d" " -f5,8 /proc/$$/stat; echo "$line"; exit 2';
      const ran = await type(app, [['ready', 'text\n']]);
      expect(ran.output).toContain('\n2 2\ntext\n');
      expect(ran.status).toBe(2);
    });

    test('the interrupt key reaches the app once', async () => {
      const app = `
        trap 'echo interrupted; n=$((n+1))' INT
        echo ready
        until [ "$n" ]; do sleep 0.05; done
        sleep 0.2; echo "$n time"; exit 5`;
      const ran = await type(app, [['ready', '\x03']]);
      expect(ran.output).toMatch(/interrupted\n1 time\n$/);
      expect(ran.status).toBe(5);
    });

    test('the stop key cannot leave the app stopped, with no shell to continue it', async () => {
      const app = `
        trap 'echo interrupted; exit 5' INT
        trap 'echo continued' CONT
        sleep 20 &
        echo ready
        while :; do wait; done`;
      const ran = await type(app, [
        ['ready', '\x1a'],
        ['continued', '\x03'],
      ]);
      expect(ran.output).toContain('interrupted');
      expect(ran.status).toBe(5);
    });
  });
});
