/* The supervisor. The app keeps the launcher's process: its number, parent, group, session and exit
 * status are by nature what they would be without uport. The tracer is a grandchild that init adopts;
 * it belongs to a session of its own, blocks every signal, keeps none of the app's descriptors open
 * and ends with the last process that it traces. Should it be killed, the kernel kills those
 * (PTRACE_O_EXITKILL).
 *
 * Stops: at an exec (seccomp), at fork, vfork and clone, and, as ptrace has it, at signals and the
 * ends of processes. Everything else runs at full speed. Group stops are left to job control
 * (PTRACE_LISTEN). */
#include "supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "descriptors.h"
#include "exec-filter.h"
#include "exec-rewrite.h"
#include "heap.h"
#include "memory.h"
#include "message.h"
#include "tracees.h"

/* From Linux's ptrace.h, where the C library has other names or none. */
enum {
  OPTIONS = PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEFORK |
            PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACESYSGOOD,
  SYSCALL_STOP = SIGTRAP | 0x80,
};

static struct rewriter rewriter;
static struct rewrite *spare;
static unsigned waiting;

static struct rewrite *take_rewrite(void) {
  struct rewrite *one = spare;
  if (one) {
    spare = one->next;
  } else {
    one = malloc(sizeof *one);
  }
  return one;
}

static void give_back(struct rewrite *one) {
  one->next = spare;
  spare = one;
}

static void go_on(pid_t thread, int signal) { ptrace(PTRACE_CONT, thread, 0, signal); }

static void close_held(struct tracee *tracee) {
  if (tracee->held >= 0) close(tracee->held);
  tracee->held = -1;
}

static void drop_rewrite(struct tracee *tracee) {
  if (!tracee->rewrite) return;
  if (tracee->rewrite->held >= 0) close(tracee->rewrite->held);
  give_back(tracee->rewrite);
  tracee->rewrite = NULL;
}

static void lose(pid_t thread) {
  struct tracee *tracee = find_tracee(thread);
  if (!tracee) return;
  drop_rewrite(tracee);
  close_held(tracee);
  if (tracee->waiting) waiting--;
  remove_tracee(thread);
}

static void stop_waiting(struct tracee *tracee) {
  tracee->known = true;
  if (!tracee->waiting) return;
  tracee->waiting = false;
  waiting--;
  go_on(tracee->thread, 0);
}

static void before_exec(pid_t thread) {
  unsigned long which = 0;
  struct tracee *tracee = add_tracee(thread);
  struct rewrite *rewrite = tracee ? take_rewrite() : NULL;
  if (rewrite && ptrace(PTRACE_GETEVENTMSG, thread, 0, &which) == 0 &&
      rewrite_exec(&rewriter, thread, which == EXECVEAT_STOP, tracee->exe, rewrite)) {
    tracee->rewrite = rewrite;
    /* It stops again when the call fails. */
    ptrace(PTRACE_SYSCALL, thread, 0, 0);
    return;
  }
  if (rewrite) give_back(rewrite);
  go_on(thread, 0);
}

static void after_exec(pid_t process) {
  unsigned long former = 0;
  if (ptrace(PTRACE_GETEVENTMSG, process, 0, &former) != 0) former = (unsigned long)process;
  struct tracee *caller = find_tracee((pid_t)former);
  struct rewrite *rewrite = caller ? caller->rewrite : NULL;
  if (caller) caller->rewrite = NULL;
  if ((pid_t)former != process) lose((pid_t)former);
  struct tracee *tracee = add_tracee(process);
  if (tracee) {
    tracee->known = true;
    tracee->exe = 0;
    drop_rewrite(tracee);
    close_held(tracee);
  }
  if (rewrite) {
    uint64_t exe = finish_rewrite(process, rewrite);
    if (tracee) {
      tracee->exe = exe;
      tracee->held = rewrite->held;
    } else if (rewrite->held >= 0) {
      close(rewrite->held);
    }
    give_back(rewrite);
    if (exe == 0) {
      debug("ptrace: process ", decimal((uint64_t)process), ": its arguments could not be made", NULL);
      kill(process, SIGKILL);
    }
  } else {
    clean_environment(&rewriter, process);
  }
  go_on(process, 0);
}

/* With a rewritten call only: it has failed. */
static void after_failed_exec(pid_t thread) {
  struct tracee *tracee = find_tracee(thread);
  if (tracee && tracee->rewrite) {
    struct rewrite *rewrite = tracee->rewrite;
    tracee->rewrite = NULL;
    undo_rewrite(thread, rewrite);
    debug("ptrace: the kernel could not start ", rewrite->exe, NULL);
    if (rewrite->held >= 0) close(rewrite->held);
    give_back(rewrite);
  }
  go_on(thread, 0);
}

/* A new thread or process: it has its parent's memory, or a copy. */
static void after_fork(pid_t parent) {
  unsigned long child = 0;
  struct tracee *from = find_tracee(parent);
  uint64_t exe = from ? from->exe : 0;
  if (ptrace(PTRACE_GETEVENTMSG, parent, 0, &child) == 0) {
    struct tracee *tracee = add_tracee((pid_t)child);
    if (tracee) {
      tracee->exe = exe;
      stop_waiting(tracee);
    }
  }
  go_on(parent, 0);
}

/* The first stop of a new one may come before its parent's: what it is, the parent's stop tells. */
static void at_stop(pid_t thread, int signal) {
  if (signal != SIGTRAP) {
    ptrace(PTRACE_LISTEN, thread, 0, 0);
    return;
  }
  struct tracee *tracee = add_tracee(thread);
  if (tracee && !tracee->known) {
    tracee->waiting = true;
    waiting++;
    return;
  }
  go_on(thread, 0);
}

static void handle(pid_t thread, int status) {
  if (WIFEXITED(status) || WIFSIGNALED(status)) {
    lose(thread);
    /* It may have been killed between the start of a child and its own stop. */
    if (waiting > 0) each_tracee(stop_waiting);
    return;
  }
  if (!WIFSTOPPED(status)) return;
  int signal = WSTOPSIG(status);
  switch (status >> 16) {
    case PTRACE_EVENT_SECCOMP: before_exec(thread); break;
    case PTRACE_EVENT_EXEC: after_exec(thread); break;
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK:
    case PTRACE_EVENT_CLONE: after_fork(thread); break;
    case PTRACE_EVENT_STOP: at_stop(thread, signal); break;
    default:
      if (signal == SYSCALL_STOP) {
        after_failed_exec(thread);
      } else {
        go_on(thread, signal);
      }
  }
}

__attribute__((noreturn)) static void supervise(void) {
  for (;;) {
    int status;
    pid_t thread = waitpid(-1, &status, __WALL);
    if (thread < 0 && errno == EINTR) continue;
    if (thread < 0) _exit(0);
    struct heap_mark mark = mark_heap();
    handle(thread, status);
    release_heap(mark);
  }
}

static void block_signals(void) {
  unsigned long all[8 / sizeof(unsigned long)];
  memset(all, 0xff, sizeof all);
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, all, NULL, sizeof all);
}

/* The processes that it has stopped wait for it: a short slice makes the scheduler give it the
 * processor soon (Linux 6.12; older ones take no notice). */
static void ask_for_short_slices(void) {
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } attributes = {.size = 48, .flags = 0x08 /* SCHED_FLAG_KEEP_POLICY */, .nice = getpriority(PRIO_PROCESS, 0), .runtime = 100000 /* ns */};
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

static void let_go(pid_t app) {
  int status;
  if (ptrace(PTRACE_INTERRUPT, app, 0, 0) == 0 && waitpid(app, &status, __WALL) == app) {
    ptrace(PTRACE_DETACH, app, 0, 0);
  }
}

/* The tracer's life. `line` leads to the app: an errno goes there, one byte comes back when the
 * filter stands. */
__attribute__((noreturn)) static void live(pid_t app, int line, const struct manifest *manifest) {
  block_signals();
  setsid();
  int error = ptrace(PTRACE_SEIZE, app, 0, OPTIONS) == 0 ? 0 : errno;
  ssize_t told = write(line, &error, sizeof error);
  if (error != 0 || told != sizeof error) _exit(0);
  prctl(PR_SET_NAME, "uport-children", 0, 0, 0);
  ask_for_short_slices();
  struct tracee *first = add_tracee(app);
  if (first) first->known = true;
  /* Some emulators lie in memory: their descriptors are the app's. */
  prepare_rewriter(&rewriter, manifest);
  int kept[EMULATORS_MAX + 3];
  unsigned count = 0;
  if (debug_wanted) kept[count++] = STDERR_FILENO;
  for (unsigned i = 0; i <= manifest->emulator_count; i++) {
    int one = i == manifest->emulator_count ? line : rewriter.files[i].descriptor;
    if (one < 0) continue;
    unsigned place = count++;
    for (; place > 0 && kept[place - 1] > one; place--) kept[place] = kept[place - 1];
    kept[place] = one;
  }
  kept[count] = -1;
  close_all(0, kept);
  if (chdir("/") != 0) debug("ptrace: / is no working directory", NULL);
  char go;
  if (read(line, &go, 1) != 1) {
    let_go(app);
    _exit(0);
  }
  close(line);
  supervise();
}

const char *start_supervisor(const struct manifest *manifest) {
  int line[2];
  if (access("/proc/self/mem", R_OK) != 0) return "there is no /proc";
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line) != 0) return error_name(errno);
  pid_t app = getpid();
  /* What is wrong with the guest's variables is told now: the supervisor's voice nobody hears. */
  const struct surroundings *surroundings = &manifest->surroundings;
  const struct elf guest = {.cpu = surroundings->cpu, .flags = surroundings->flags_value};
  struct guest_environment environment;
  find_guest_environment(surroundings, manifest->folder, &guest, &environment);
  /* Where only a descendant may be traced (Yama). */
  prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
  /* No SIGCHLD is to reach the app (exit signal 0). */
  long between = syscall(SYS_clone, 0, 0, 0, 0, 0);
  if (between == 0) {
    close(line[0]);
    if (syscall(SYS_clone, 0, 0, 0, 0, 0) == 0) live(app, line[1], manifest);
    _exit(0);
  }
  int error = between < 0 ? errno : 0;
  close(line[1]);
  if (error == 0) {
    while (waitpid((pid_t)between, NULL, __WALL) < 0 && errno == EINTR) {}
    ssize_t got;
    while ((got = read(line[0], &error, sizeof error)) < 0 && errno == EINTR) {}
    if (got != sizeof error) error = ESRCH;
    /* What the app starts is followed from birth; nobody else is let in. */
    prctl(PR_SET_PTRACER, 0, 0, 0, 0);
    if (error == EPERM) {
      close(line[0]);
      return "this process is traced already, or tracing is forbidden (EPERM)";
    }
  }
  const char *what = error == 0 ? NULL : "ptrace: ";
  if (error == 0) {
    error = install_exec_filter();
    if (error != 0) {
      what = "seccomp: ";
    } else if (write(line[0], "", 1) != 1) {
      die(STATUS_OWN_FAULT, "the supervisor is gone, start again", NULL);
    }
  }
  close(line[0]);
  return what ? concatenate(what, error_name(error), "") : NULL;
}
