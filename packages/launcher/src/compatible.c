/* Whether the kernel runs programs of a CPU. A child that is traced stops as soon as its exec is done,
 * before its first instruction, and is killed there. */
#include "compatible.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"
#include "message.h"

enum { CPUS_MAX = 8, REFUSED = 1, UNKNOWN = 2 };

/* Its end gives no SIGCHLD (exit signal 0). */
static bool try(int program) {
  char *argv[] = {"", NULL}, *environment[] = {NULL};
  const char *path = concatenate("/proc/self/fd/", decimal((uint64_t)program), "");
  long child = syscall(SYS_clone, 0, 0, 0, 0, 0);
  if (child < 0) return true;
  if (child == 0) {
    if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0) _exit(UNKNOWN);
    execve(path, argv, environment);
    _exit(errno == ENOEXEC ? REFUSED : UNKNOWN);
  }
  int status = 0;
  while (waitpid((pid_t)child, &status, __WALL) < 0 && errno == EINTR) {}
  if (WIFSTOPPED(status)) {
    kill((pid_t)child, SIGKILL);
    int end;
    while (waitpid((pid_t)child, &end, __WALL) < 0 && errno == EINTR) {}
  }
  return !(WIFEXITED(status) && WEXITSTATUS(status) == REFUSED);
}

bool kernel_runs(int program, struct cpu cpu) {
  static struct cpu tried[CPUS_MAX];
  static bool answers[CPUS_MAX];
  static unsigned count;
  for (unsigned i = 0; i < count; i++) {
    if (tried[i].machine == cpu.machine && tried[i].class == cpu.class && tried[i].data == cpu.data) {
      return answers[i];
    }
  }
  bool answer = try(program);
  if (count < CPUS_MAX) {
    tried[count] = cpu;
    answers[count++] = answer;
  }
  const char *name = cpu_name(cpu);
  debug("this kernel runs ", name ? name : "these", answer ? " programs" : " programs: no", NULL);
  return answer;
}
