// The start of the supervisor: what the launcher's process has keeps its state, and no signal upsets it.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COMPILER, COMPILER_HINT, compile } from './testing/kernel.ts';
import { type Bench, CPUS, elfHeader, makeBench, run, THIS_HOST } from './testing/launch.ts';
import { SUPERVISOR_MODES } from './testing/supervisor.ts';

if (!COMPILER) console.warn(`supervise-start.test.ts: ${COMPILER_HINT}`);

const LOCK = `
  #include <fcntl.h>
  #include <stdio.h>
  #include <string.h>
  #include <sys/wait.h>
  #include <unistd.h>
  /* lock FILE COMMAND...: locks it and becomes the command; lock FILE: who has it locked */
  int main(int count, char **args) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int file = open(args[1], O_RDWR | O_CREAT, 0600);
    if (count > 2) {
      if (fcntl(file, F_SETLK, &lock) != 0) return 9;
      execvp(args[2], args + 2);
      return 8;
    }
    pid_t parent = getppid();
    if (fcntl(file, F_GETLK, &lock) != 0) return 9;
    puts(lock.l_type == F_UNLCK ? "nobody" : lock.l_pid == parent ? "parent" : "other");
    return 0;
  }`;

const DESCRIPTORS = `
  #include <fcntl.h>
  #include <stdlib.h>
  #include <unistd.h>
  #include <sys/resource.h>
  /* descriptors N COMMAND...: opens so many, and becomes the command */
  int main(int count, char **args) {
    int wanted = atoi(args[1]);
    struct rlimit limit;
    (void)count;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    while (wanted-- > 0) if (open("/dev/null", O_RDONLY) < 0) return 9;
    execvp(args[2], args + 2);
    return 8;
  }`;

const STORM = `
  #define _GNU_SOURCE
  #include <errno.h>
  #include <signal.h>
  #include <stdio.h>
  #include <stdlib.h>
  #include <sys/wait.h>
  #include <time.h>
  #include <unistd.h>
  static pid_t child;
  static void hangs(int number) {
    (void)number;
    kill(child, SIGKILL);
    write(1, "hangs\\n", 6);
    _exit(1);
  }
  /* storm SIGNAL COUNT STEP COMMAND...: starts it COUNT times, and sends the signal so many
     microseconds later each time; then says how they ended. What was stopped is continued. */
  int main(int argc, char **args) {
    int number = atoi(args[1]), count = atoi(args[2]), step = atoi(args[3]), status;
    int killed = 0, ended = 0, stopped = 0, other = 0;
    (void)argc;
    signal(SIGALRM, hangs);
    for (int i = 0; i < count; i++) {
      alarm(20);
      child = fork();
      if (child == 0) { execv(args[4], args + 4); _exit(8); }
      struct timespec pause = {0, (long)i * step * 1000L};
      nanosleep(&pause, NULL);
      kill(child, number);
      while (waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status)) {
        stopped++;
        kill(child, SIGCONT);
      }
      if (WIFSIGNALED(status) && WTERMSIG(status) == number) killed++;
      else if (WIFEXITED(status) && WEXITSTATUS(status) == 0) ended++;
      else other++;
    }
    printf("%d of %d, stopped %s\\n", killed + ended, count, stopped > 0 ? "some" : "none");
    return other;
  }`;

const MEMFD = `
  #define _GNU_SOURCE
  #include <errno.h>
  #include <fcntl.h>
  #include <stdlib.h>
  #include <string.h>
  #include <sys/mman.h>
  #include <sys/wait.h>
  #include <unistd.h>
  /* memfd FILE COUNT SIZE: starts a copy of the file that has no name so often, with an argument of so
     many bytes; ends with the number of those that could not be started. */
  int main(int argc, char **args) {
    static char bytes[65536];
    int source = open(args[1], O_RDONLY), failed = 0, status;
    ssize_t size = read(source, bytes, sizeof bytes);
    char *big = malloc(atoi(args[3]) + 1);
    (void)argc;
    memset(big, 'x', atoi(args[3]));
    big[atoi(args[3])] = 0;
    for (int i = atoi(args[2]); i > 0; i--) {
      pid_t child = fork();
      if (child == 0) {
        char *argv[] = {"guest", big, NULL}, *environment[] = {NULL};
        int file = memfd_create("guest", MFD_CLOEXEC);
        if (write(file, bytes, size) != size) _exit(7);
        fexecve(file, argv, environment);
        _exit(errno == E2BIG ? 1 : 6);
      }
      if (waitpid(child, &status, 0) != child || WEXITSTATUS(status) > 1) return 99;
      failed += WEXITSTATUS(status);
    }
    return failed;
  }`;

describe.each(SUPERVISOR_MODES)(
  'the start of a supervisor, $name',
  ({ listens, prefix, possible }) => {
    describe.skipIf(!THIS_HOST || !COMPILER || !possible)('', () => {
      let bench: Bench;
      let launch: string;
      beforeAll(() => {
        bench = makeBench();
        const emulator = compile(
          bench,
          'emulator',
          '#include <stdio.h>\nint main(int count, char **args) { puts(args[count - 1]); }',
        );
        launch = bench.launcher(THIS_HOST ?? '', [
          { name: 'hppa', elf: CPUS.hppa, path: emulator, args: [] },
        ]);
        bench.program('guest', elfHeader(CPUS.hppa));
        for (const [name, source] of Object.entries({ LOCK, DESCRIPTORS, STORM, MEMFD })) {
          compile(bench, name.toLowerCase(), source);
        }
      });
      afterAll(() => bench.remove());

      /** Runs a script as the app; `before` are words in front of the launcher. */
      const shell = (script: string, before: readonly string[] = [], env = {}) => {
        const [first = '', ...rest] = [...prefix, ...before, launch, '--', 'sh', '-c', script];
        const options = { UPORT_EXEC: 'ptrace', ...env };
        return run(first, rest, { env: options, cwd: bench.folder, timeout: 120_000 });
      };
      /** What the one supervisor has open, from within the app. */
      const SUPERVISOR = `
      for one in /proc/[0-9]*; do
        read -r name 2>/dev/null <$one/comm && [ "$name" = uport-children ] &&
          [ "$(readlink $one/exe)" = 'LAUNCH' ] && supervisor=$one
      done`;
      const withSupervisor = (script: string) => SUPERVISOR.replace('LAUNCH', launch) + script;

      test('locks stay with the app', () => {
        const ran = shell('./lock file; ./guest x; ./lock file', [
          bench.at('lock'),
          bench.at('file'),
        ]);
        expect(ran).toMatchObject({ status: 0, stdout: 'parent\nx\nparent\n', stderr: '' });
      });

      test('1,500 open descriptors', () => {
        const script = withSupervisor(
          '\n./guest x; ls /proc/self/fd | wc -l; ls $supervisor/fd | wc -l',
        );
        const ran = shell(script, [bench.at('descriptors'), '1500']);
        const [guest, own, kept] = ran.stdout.split('\n');
        expect(ran.stderr).toBe('');
        expect([guest, Number(own) > 1500, Number(kept) < 8]).toEqual(['x', true, true]);
      });

      test('what is held for a program without a name is let go when its start fails', () => {
        const script = withSupervisor(`
        count() { ls $supervisor/fd | wc -l; }
        ./memfd guest 3 4 || echo $?; before=$(count)
        ./memfd guest 40 200000; echo $? failed, $(($(count) - before)) more open`);
        const ran = shell(script);
        expect(ran.stderr).toBe('');
        expect(ran.stdout).toMatch(/^(?:x{4}\n){3}40 failed, (?:0|-\d+) more open\n$/);
      });

      test.each([
        ['SIGTERM', 15, /^60 of 60, stopped none\n$/],
        ['SIGSTOP', 19, /^60 of 60, stopped some\n$/],
        ['SIGWINCH', 28, /^60 of 60, stopped none\n$/],
      ])(
        '%s at any moment of it is nothing but that',
        (_, number, expected) => {
          const words = [`${number}`, '60', '80', ...[...prefix, launch].slice(-1)];
          const [first = '', ...rest] = [
            ...prefix,
            bench.at('storm'),
            ...words,
            '--',
            './guest',
            'x',
          ];
          const env = { UPORT_EXEC: 'ptrace' };
          const ran = run(first, rest, { env, cwd: bench.folder, timeout: 60_000 });
          expect(ran.stdout.replace(/^x\n/gm, '')).toMatch(expected);
          expect(ran).toMatchObject({ status: 0, stderr: '' });
        },
        70_000,
      );

      test('a start below a supervisor is served by that one', () => {
        const inner = `${launch} -- sh -c './guest x; ./guest y'`;
        const ran = shell(`${inner}; UPORT_DEBUG=1 ${inner}`);
        expect(ran.stdout).toBe('x\ny\nx\ny\n');
        expect(ran.stderr).toMatch(
          listens
            ? /not ptrace: a supervisor serves this process already/
            : /not ptrace: this process is traced already/,
        );
      });

      if (listens) {
        test('its groups and rights are its own again after a look as another user', async () => {
          const drop = 'setpriv --reuid 1000 --regid 1000 --groups 50 ./guest yes';
          const ran = shell(
            withSupervisor(`\nchmod 755 .; ${drop}; grep -E '^(Groups|Uid)' $supervisor/status
            [ -O $supervisor/fd ] && echo dumpable`),
            ['setpriv', '--groups', '60,70'],
          );
          expect(ran.stdout.replace(/\s+/g, ' ')).toBe('yes Uid: 0 0 0 0 Groups: 60 70 dumpable ');
        });
      }
    });
  },
);
