// The other side of the comparisons: the same start without the launcher, by the kernel itself and
// by the C library's execvp.
import { type Bench, fields, type Ran, run, works } from './launch.ts';

const compilers = ['cc', 'gcc', 'clang'].filter((name) => works(name, ['--version']));

/** Undefined where there is no C compiler. */
export const COMPILER: string | undefined = compilers[0];

export const COMPILER_HINT =
  'there is no C compiler, so nothing is compared with the kernel; on Debian: apt-get install gcc libc6-dev';

export function compile(bench: Bench, name: string, source: string): string {
  bench.program(`${name}.c`, source);
  const ran = run(COMPILER ?? 'cc', ['-o', bench.at(name), bench.at(`${name}.c`)]);
  if (ran.status !== 0) throw new Error(ran.stderr);
  return bench.at(name);
}

/** Prints its own arguments, a NUL after each. */
export function compileShow(bench: Bench, name: string): string {
  return compile(
    bench,
    name,
    `#include <stdio.h>
     int main(int count, char **args) {
       for (int i = 0; i < count; i++) { fputs(args[i], stdout); putchar(0); }
     }`,
  );
}

/** `starter execve|execvp NAME ARG...`: becomes NAME, or prints the errno's name. */
export function compileStarter(bench: Bench): string {
  return compile(
    bench,
    'starter',
    `#define _GNU_SOURCE
     #include <errno.h>
     #include <stdio.h>
     #include <string.h>
     #include <unistd.h>
     extern char **environ;
     int main(int count, char **args) {
       (void)count;
       if (!strcmp(args[1], "execve")) execve(args[2], args + 2, environ);
       else execvp(args[2], args + 2);
       fputs(strerrorname_np(errno), stdout);
       return 99;
     }`,
  );
}

/** Either the arguments that a started program saw, or the errno's name. */
export type Outcome = readonly string[] | string;

export function kernelOutcome(ran: Ran): Outcome {
  return ran.status === 99 ? ran.stdout : fields(ran.stdout);
}
