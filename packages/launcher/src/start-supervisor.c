/* Starting the supervisor. The app keeps the launcher's process: its number, parent, group, session and
 * exit status are by nature what they would be without uport. The supervisor is a grandchild that init
 * adopts, in a session of its own; it blocks every signal and ends with the last process that it is
 * there for.
 *
 * It shares the launcher's memory until the launcher becomes the app, and has it alone from then on:
 * nothing is copied. The kernel wakes it at that moment, or when the launcher ends (`gate`). Until then
 * it does nothing but wait, so that it writes no `errno` of the launcher's. */
#include "start-supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capabilities.h"
#include "descriptors.h"
#include "exec-filter.h"
#include "kernel-version.h"
#include "memory.h"
#include "message.h"
#include "supervise.h"

enum {
  STACK_SIZE = 256 * 1024,
  BETWEEN_STACK_SIZE = 16 * 1024,
  FUTEX_WAIT = 0,
  FUTEX_WAKE = 1,
  CAP_SYS_PTRACE = 19,
  /* Linux that tells a listener when there is nobody left. */
  LISTEN_MAJOR = 5,
  LISTEN_MINOR = 9,
};

/* What `gate` says. */
enum { ALONE, SHARED, TRACE, LET_GO };

static struct {
  int gate;
  int traced;   /* errno + 1 of the order that `gate` was */
  int listener; /* -1: it traces; -2: it is not needed */
  pid_t app;
  int error;    /* no process could be made */
} shared;

static char stack[STACK_SIZE] __attribute__((aligned(16)));
static char between_stack[BETWEEN_STACK_SIZE] __attribute__((aligned(16)));

static void wait_while(int *word, int value) {
  while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value) {
    syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
  }
}

static void set_word(int *word, int value) {
  __atomic_store_n(word, value, __ATOMIC_RELEASE);
  syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void set_signals(const unsigned long *wanted, unsigned long *before) {
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, wanted, before, 8);
}

/* Closes what is the app's. */
static void keep_own_descriptors(void) {
  enum { KEPT_MAX = 1024 };
  int kept[EMULATORS_MAX + 3];
  unsigned count = 0;
  if (is_kept_by_supervisor(STDERR_FILENO)) kept[count++] = STDERR_FILENO;
  for (int one = STDERR_FILENO + 1; one < KEPT_MAX && count < EMULATORS_MAX + 2; one++) {
    if (one == shared.listener || is_kept_by_supervisor(one)) kept[count++] = one;
  }
  kept[count] = -1;
  close_all(0, kept);
}

static int live(void *unused) {
  (void)unused;
  syscall(SYS_setsid);
  wait_while(&shared.gate, SHARED);
  if (shared.gate == TRACE) {
    set_word(&shared.traced, trace(shared.app) + 1);
    wait_while(&shared.gate, TRACE);
  }
  if (shared.gate == LET_GO) {
    let_go(shared.app);
    set_word(&shared.traced, 1);
    _exit(0);
  }
  if (shared.listener == -2) _exit(0);
  unshare(CLONE_FILES);
  keep_own_descriptors();
  prctl(PR_SET_NAME, "uport-children", 0, 0, 0);
  if (chdir("/") != 0) debug("ptrace: / is no working directory", NULL);
  if (shared.listener >= 0) supervise_listening(shared.listener);
  supervise_traced(shared.app);
}

/* No SIGCHLD is to reach the app (exit signal 0). */
static int make_grandchild(void *unused) {
  (void)unused;
  if (clone(live, stack + sizeof stack, CLONE_VM | CLONE_FILES, NULL) < 0) shared.error = errno;
  _exit(0);
}

/* Whether it may attach to everything that the app may start, at any time. */
static bool may_attach_always(void) {
  char scope = '0';
  if (!has_capability(CAP_SYS_PTRACE)) return false;
  int file = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);
  if (file < 0) return true;
  bool known = read(file, &scope, 1) == 1;
  close(file);
  return known && scope < '3';
}

static int order(int what) {
  shared.traced = 0;
  set_word(&shared.gate, what);
  wait_while(&shared.traced, 0);
  return shared.traced - 1;
}

static const char *trace_this(void) {
  /* Where only a descendant may be traced (Yama). */
  prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
  shared.listener = -1;
  int error = order(TRACE);
  /* What the app starts is followed from birth; nobody else is let in. */
  prctl(PR_SET_PTRACER, 0, 0, 0, 0);
  if (error != 0) {
    shared.listener = -2;
    return error == EPERM ? "this process is traced already, or tracing is forbidden (EPERM)"
                          : concatenate("ptrace: ", error_name(error), "");
  }
  error = install_exec_filter(NULL);
  if (error == 0) return NULL;
  order(LET_GO);
  return concatenate("seccomp: ", error_name(error), "");
}

const char *start_supervisor(const struct manifest *manifest) {
  if (access("/proc/self/mem", R_OK) != 0) return "there is no /proc";
  /* What is wrong with the guest's variables is told now: the supervisor's voice nobody hears. */
  const struct surroundings *surroundings = &manifest->surroundings;
  const struct elf guest = {.cpu = surroundings->cpu, .flags = surroundings->flags_value};
  struct guest_environment environment;
  find_guest_environment(surroundings, manifest->folder, &guest, &environment);
  prepare_supervision(manifest);

  static const unsigned long all[2] = {~0UL, ~0UL};
  unsigned long before[2];
  shared.gate = SHARED;
  shared.listener = -2;
  shared.error = 0;
  shared.app = getpid();
  syscall(SYS_set_tid_address, &shared.gate);
  set_signals(all, before);
  int between = clone(make_grandchild, between_stack + sizeof between_stack, CLONE_VM | CLONE_FILES, NULL);
  int error = between < 0 ? errno : 0;
  set_signals(before, NULL);
  /* It keeps the guest's variables from programs of the host at the stop after their exec. */
  bool listens = !has_guest_settings(surroundings) && kernel_is_at_least(LISTEN_MAJOR, LISTEN_MINOR) &&
                 may_attach_always();
  if (error == 0) {
    while (waitpid(between, NULL, __WALL) < 0 && errno == EINTR) {}
    error = shared.error;
  }
  if (error != 0) return concatenate("no process can be made: ", error_name(error), "");
  if (listens) {
    int listener;
    error = install_exec_filter(&listener);
    if (error == 0) {
      shared.listener = listener;
      debug("ptrace: the supervisor is asked before each exec", NULL);
      return NULL;
    }
    debug("ptrace: no listener: ", error_name(error), NULL);
  }
  return trace_this();
}
