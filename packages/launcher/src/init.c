/* The duties of a container's first process (PID 1): the kernel gives it every orphan to reap and
 * shields it from signals that it has no handler for. So the app runs as a child, in a process group
 * of its own that has the terminal, and gets every signal that comes to PID 1.
 *
 * All signals stay blocked here and are taken one by one: a blocked signal is kept even for PID 1.
 * The C library's signal sets leave out the numbers that it uses itself, and other C libraries give
 * those to their programs, so this file talks to the kernel directly. */
#include "init.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "descriptors.h"
#include "memory.h"
#include "message.h"

/* The kernel's signal set: 64 signals on every CPU this runs on. */
typedef struct {
  unsigned long words[8 / sizeof(unsigned long)];
} kernel_set;

static void set_mask(const kernel_set *mask, kernel_set *before) {
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, before, sizeof(kernel_set));
}

static int wait_for_signal(const kernel_set *set) {
  return (int)syscall(SYS_rt_sigtimedwait, set, NULL, NULL, sizeof(kernel_set));
}

/* Gives the terminal, if this group has it, to the calling process's new group. */
static void take_terminal(pid_t launcher_group) {
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++) {
    if (tcgetpgrp(descriptor) == launcher_group) {
      tcsetpgrp(descriptor, getpid());
      return;
    }
  }
}

/* Who reads a pipe that the app writes must see its end when the app closes it. */
static void close_descriptors(void) {
  static const int kept[] = {STDERR_FILENO, -1};
  close_all(0, debug_wanted ? kept : NULL);
}

/* Reaps whatever has ended. Returns whether the app has, with its wait status. */
static bool reap(pid_t app, int *app_status) {
  bool ended = false;
  for (;;) {
    int status;
    pid_t child = waitpid(-1, &status, WNOHANG | WUNTRACED);
    if (child <= 0) return ended;
    if (WIFSTOPPED(status)) {
      /* No shell waits here to continue what the terminal's stop key has stopped. */
      if (child == app && WSTOPSIG(status) == SIGTSTP) {
        kill(getpgid(app) == app ? -app : app, SIGCONT);
      }
      continue;
    }
    if (child == app) {
      *app_status = status;
      ended = true;
    }
  }
}

int run_as_init(void (*start)(void)) {
  kernel_set all, inherited;
  memset(&all, 0xff, sizeof all);
  set_mask(&all, &inherited);
  /* Ignored SIGCHLD would make the kernel throw exit statuses away. */
  struct sigaction standard = {.sa_handler = SIG_DFL}, child_action;
  sigaction(SIGCHLD, &standard, &child_action);

  pid_t launcher_group = getpgrp();
  pid_t app = fork();
  if (app < 0) {
    die(STATUS_OWN_FAULT, "fork: ", error_name(errno), ", raise the limit of processes or memory",
        NULL);
  }
  if (app == 0) {
    setpgid(0, 0);
    take_terminal(launcher_group);
    sigaction(SIGCHLD, &child_action, NULL);
    set_mask(&inherited, NULL);
    start();
    _exit(STATUS_OWN_FAULT);
  }
  debug("PID 1: the app runs as process ", decimal((unsigned long)app), NULL);
  close_descriptors();

  for (int status = 0;;) {
    int signal = wait_for_signal(&all);
    if (signal == SIGCHLD) {
      if (!reap(app, &status)) continue;
      if (WIFEXITED(status)) return WEXITSTATUS(status);
      debug("the app was ended by signal ", decimal((unsigned long)WTERMSIG(status)), NULL);
      return 128 + WTERMSIG(status);
    }
    /* What the terminal driver sends to a background group is not meant for the app. */
    if (signal <= 0 || signal == SIGTTIN || signal == SIGTTOU) continue;
    debug("signal ", decimal((unsigned long)signal), " passed on", NULL);
    kill(app, signal);
  }
}
