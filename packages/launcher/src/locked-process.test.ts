// A tracing supervisor and processes that it may not look into: those of another user, where root lacks
// CAP_SYS_PTRACE, and those that have asked for it (PR_SET_DUMPABLE).
import { chmodSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COMPILER, COMPILER_HINT, compile } from './testing/kernel.ts';
import { type Bench, CPUS, elfHeader, makeBench, run, THIS_HOST } from './testing/launch.ts';
import { SUPERVISOR_MODES } from './testing/supervisor.ts';

if (!COMPILER) console.warn(`locked-process.test.ts: ${COMPILER_HINT}`);
const tracing = SUPERVISOR_MODES.find(({ mode }) => mode === 'tracing');
const IS_ROOT = process.getuid?.() === 0;
const MISSING =
  THIS_HOST !== 'x86_64' ? ' [on x86_64 only]' : tracing?.possible ? '' : ' [needs root]';

/** locked PROGRAM...: forbids to be looked into, tries each, and says how that went. */
const LOCKED = `
  #include <errno.h>
  #include <stdio.h>
  #include <sys/prctl.h>
  #include <sys/wait.h>
  #include <unistd.h>
  int main(int count, char **args) {
    char *argv[] = {"zero", "word", NULL};
    (void)count;
    prctl(PR_SET_DUMPABLE, 0);
    for (char **one = args + 1; *one; one++) {
      int status;
      pid_t child = fork();
      if (child == 0) {
        execv(*one, argv);
        printf("%s: error %d, dumpable %d\\n", *one, errno, (int)prctl(PR_GET_DUMPABLE));
        fflush(stdout);
        _exit(1);
      }
      waitpid(child, &status, 0);
    }
    printf("dumpable %d\\n", (int)prctl(PR_GET_DUMPABLE));
    return 0;
  }`;

/** other PROGRAM...: becomes it, as another user. */
const OTHER = `
  #define _GNU_SOURCE
  #include <grp.h>
  #include <unistd.h>
  int main(int count, char **args) {
    (void)count;
    if (setgroups(0, NULL) || setgid(1000) || setuid(1000)) return 9;
    execvp(args[1], args + 1);
    return 8;
  }`;

describe.skipIf(MISSING !== '' || !COMPILER)(
  `processes that may not be looked into${MISSING}`,
  () => {
    let bench: Bench;
    let launch: string;
    beforeAll(() => {
      bench = makeBench();
      chmodSync(bench.folder, 0o755);
      const source =
        '#include <stdio.h>\nint main(int count, char **args) { for (int i = 2; i < count; i++) printf("%s ", args[i]); puts(""); }';
      const path = compile(bench, 'emulator', source);
      launch = bench.launcher(THIS_HOST ?? '', [{ name: 'hppa', elf: CPUS.hppa, path, args: [] }]);
      bench.program('guest', elfHeader(CPUS.hppa));
      bench.program('private', elfHeader(CPUS.hppa), 0o700);
      bench.program('broken', elfHeader(CPUS.m68k));
      compile(bench, 'locked', LOCKED);
      compile(bench, 'other', OTHER);
    });
    afterAll(() => bench.remove());

    const app = (...command: string[]) => {
      const [first = '', ...rest] = [...(tracing?.prefix ?? []), launch, '--', ...command];
      return run(first, rest, { env: { UPORT_EXEC: 'ptrace' }, cwd: bench.folder });
    };

    test('one that has asked for it starts programs, and stays so where it cannot', () => {
      const ran = app('./locked', './guest', './nothing', '/bin/echo', './broken', './guest');
      expect(ran).toMatchObject({ status: 0, stderr: '' });
      expect(ran.stdout.split('\n')).toEqual([
        'zero ./guest word ',
        './nothing: error 2, dumpable 0',
        'word',
        './broken: error 8, dumpable 0',
        'zero ./guest word ',
        'dumpable 0',
        '',
      ]);
    });

    describe.skipIf(!IS_ROOT)(`of another user${IS_ROOT ? '' : ' [needs root]'}`, () => {
      test('the first exec after the change', () => {
        const ran = app('./other', './guest', 'x');
        expect(ran).toMatchObject({ status: 0, stdout: './guest ./guest x \n', stderr: '' });
      });

      test('what that starts', () => {
        const script = './guest a; ./private b; ./nothing; exec ./guest c';
        const ran = app('./other', 'sh', '-c', script);
        expect(ran.stdout).toBe('./guest ./guest a \n./guest ./guest c \n');
        expect(ran.stderr).toMatch(/private: Permission denied[\s\S]*nothing: not found/);
      });

      test('beside programs of root', () => {
        const ran = app(
          'sh',
          '-c',
          `./private a; ./other ./guest b & ./other sh -c './guest c'; wait; ./private d`,
        );
        expect(ran.stdout.split('\n').sort()).toEqual(
          [
            '',
            ...['a', 'd'].map((word) => `./private ./private ${word} `),
            './guest ./guest b ',
            './guest ./guest c ',
          ].sort(),
        );
        expect(ran.stderr).toBe('');
      });
    });
  },
);
