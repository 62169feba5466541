/* The supervisor's life: see supervise.h.
 *
 * Tracing, it stops processes at an exec (seccomp), at fork, vfork and clone, and, as ptrace has it, at
 * signals and the ends of processes. Everything else runs at full speed. Group stops are left to job
 * control (PTRACE_LISTEN). Should it be killed, the kernel kills those (PTRACE_O_EXITKILL).
 *
 * Listening, it looks at what is to be executed while the kernel waits for its answer. Programs of the
 * host go on at once. For one of a guest
 *
 *   it attaches, asks for a stop, and answers that the call is to be made again;
 *   at the stop before that second call it changes the path: see exec-rewrite.h;
 *   at the stop after the exec it puts the arguments in place, and detaches.
 *
 * Whatever comes between, such as a signal, makes it detach at once: the call is then made again and
 * asked about again. Should it be killed, its guard kills the app: see guard.h.
 *
 * Following, it does the same and does not detach. The processes that those it traces make are traced
 * from their first instruction (fork, vfork), others from their first exec on. That threads are not
 * stopped at their start makes a difference to those who start many. */
#include "supervise.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec-filter.h"
#include "exec-rewrite.h"
#include "guard.h"
#include "heap.h"
#include "memory.h"
#include "message.h"
#include "notification.h"
#include "tracees.h"

/* From Linux's ptrace.h and seccomp.h, where the C library has other names or none. */
enum {
  TRACE_OPTIONS = PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK |
                  PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD,
  LISTEN_OPTIONS = PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD,
  FOLLOW_OPTIONS = LISTEN_OPTIONS | PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK,
  SYSCALL_STOP = SIGTRAP | 0x80,
  RESTART = 513, /* ERESTARTNOINTR: with a stop pending, the call is made again */
};

static struct rewriter rewriter;
static struct rewrite *spare;
static unsigned waiting;
static pid_t guard = -1;
/* Where it is asked before each exec. */
static bool follows;

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

static void drop_opened(struct tracee *tracee) {
  if (tracee->opened) give_back(tracee->opened);
  tracee->opened = NULL;
}

static void drop_rewrite(struct tracee *tracee) {
  drop_opened(tracee);
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

static bool plan_at_stop(pid_t thread, bool is_execveat, struct rewrite *rewrite) {
  struct exec_call call = {.is_execveat = is_execveat};
  return read_exec(thread, &rewrite->before, &call) && plan_rewrite(&rewriter, thread, &call, rewrite) &&
         apply_rewrite(thread, rewrite);
}

/* A process that has changed its user, or asks for it, may not be looked into before its next exec. It is
 * made to allow it (prctl) and to call again. */
static bool open_for_look(struct tracee *tracee, struct rewrite *rewrite) {
  if (!rewrite->is_locked || tracee->opened) return false;
  if (!change_to_dumpable(tracee->thread, &rewrite->before, true)) return false;
  debug("ptrace: process ", decimal((uint64_t)tracee->thread), " is opened for a look", NULL);
  tracee->opened = rewrite;
  tracee->step = OPENING;
  ptrace(PTRACE_SYSCALL, tracee->thread, 0, 0);
  return true;
}

/* The stops of such a process at system calls. */
static void step_on(struct tracee *tracee) {
  struct registers *before = &tracee->opened->before;
  bool good = true;
  switch (tracee->step) {
    case OPENING:
      tracee->step = OPEN;
      if (!call_again(tracee->thread, before)) kill(tracee->thread, SIGKILL);
      go_on(tracee->thread, 0);
      return;
    case OPEN:
      tracee->step = CLOSING;
      good = call_undumpable(tracee->thread, before);
      break;
    case CLOSING: tracee->step = CLOSED; break;
    case CLOSED:
      good = false;
      if (!end_call(tracee->thread, before)) kill(tracee->thread, SIGKILL);
      break;
  }
  if (good) {
    ptrace(PTRACE_SYSCALL, tracee->thread, 0, 0);
  } else {
    drop_opened(tracee);
    go_on(tracee->thread, 0);
  }
}

static void before_exec(pid_t thread) {
  unsigned long which = 0;
  struct tracee *tracee = add_tracee(thread);
  struct rewrite *rewrite = tracee ? take_rewrite() : NULL;
  if (rewrite) rewrite->is_locked = false;
  if (rewrite && ptrace(PTRACE_GETEVENTMSG, thread, 0, &which) == 0 &&
      plan_at_stop(thread, which == EXECVEAT_STOP, rewrite)) {
    tracee->rewrite = rewrite;
    /* It stops again when the call fails. */
    ptrace(PTRACE_SYSCALL, thread, 0, 0);
    return;
  }
  if (rewrite) {
    if (open_for_look(tracee, rewrite)) return;
    if (rewrite->held >= 0) close(rewrite->held);
    give_back(rewrite);
  }
  if (tracee && tracee->opened) {
    ptrace(PTRACE_SYSCALL, thread, 0, 0);
  } else {
    go_on(thread, 0);
  }
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
    tracee->stage = FREE;
    drop_rewrite(tracee);
    close_held(tracee);
  }
  if (rewrite) {
    bool finished = rewrite->front_count == 0 || finish_rewrite(process, rewrite);
    if (tracee) {
      tracee->held = rewrite->held;
    } else if (rewrite->held >= 0) {
      close(rewrite->held);
    }
    give_back(rewrite);
    if (!finished) {
      debug("ptrace: process ", decimal((uint64_t)process), ": its arguments could not be made", NULL);
      kill(process, SIGKILL);
    }
  } else {
    clean_environment(&rewriter, process);
  }
  go_on(process, 0);
}

/* With a call only that was rewritten, and has failed, or of a process that is opened for a look. */
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
  if (tracee && tracee->opened) {
    step_on(tracee);
  } else {
    go_on(thread, 0);
  }
}

/* A new thread or process. */
static void after_fork(pid_t parent) {
  unsigned long child = 0;
  if (ptrace(PTRACE_GETEVENTMSG, parent, 0, &child) == 0) {
    struct tracee *tracee = add_tracee((pid_t)child);
    if (tracee) stop_waiting(tracee);
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

void prepare_supervision(const struct manifest *manifest) { prepare_rewriter(&rewriter, manifest); }

int descriptor_of_supervisor(unsigned number) {
  return number < rewriter.manifest->emulator_count ? rewriter.files[number].descriptor : -1;
}

int trace(pid_t app) { return ptrace(PTRACE_SEIZE, app, 0, TRACE_OPTIONS) == 0 ? 0 : errno; }

bool follow_start(pid_t app, const int *let_go) {
  for (;;) {
    int status;
    pid_t thread = waitpid(-1, &status, __WALL);
    if (thread < 0 && errno == EINTR) continue;
    if (thread < 0) return false;
    if (!WIFSTOPPED(status)) {
      if (thread == app) return false;
      continue;
    }
    int event = status >> 16, signal = WSTOPSIG(status);
    bool is_signal = event == 0 && signal != SYSCALL_STOP;
    if (thread == app && event == PTRACE_EVENT_EXEC) return true;
    if (thread == app && is_signal && signal == SIGURG && __atomic_load_n(let_go, __ATOMIC_ACQUIRE)) {
      ptrace(PTRACE_DETACH, app, 0, 0);
      return false;
    }
    if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
      ptrace(PTRACE_LISTEN, thread, 0, 0);
    } else {
      go_on(thread, is_signal ? signal : 0);
    }
  }
}

static void begin(pid_t app) {
  struct tracee *first = add_tracee(app);
  if (first) first->known = true;
  go_on(app, 0);
  ask_for_short_slices();
}

void supervise_traced(pid_t app) {
  begin(app);
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

/* The program that it runs may still need what is held for it. */
static void detach(pid_t thread, int signal) {
  struct tracee *tracee = find_tracee(thread);
  if (tracee) {
    drop_rewrite(tracee);
    tracee->stage = FREE;
    if (tracee->held < 0) remove_tracee(thread);
  }
  ptrace(PTRACE_DETACH, thread, 0, signal);
}

/* Attaches to a thread whose exec waits for an answer; NULL when that is forbidden. */
static struct tracee *attach(pid_t thread) {
  struct tracee *tracee = follows ? find_tracee(thread) : NULL;
  if (tracee) return tracee;
  tracee = add_tracee(thread);
  if (!tracee) return NULL;
  if (ptrace(PTRACE_SEIZE, thread, 0, follows ? FOLLOW_OPTIONS : LISTEN_OPTIONS) != 0) {
    debug("ptrace: ", decimal((uint64_t)thread), ": cannot be attached to (", error_name(errno), ")", NULL);
    if (tracee->held < 0) remove_tracee(thread);
    return NULL;
  }
  tracee->known = true;
  return tracee;
}

/* The same, and asks for a stop. */
static bool interrupt(pid_t thread, struct rewrite *rewrite) {
  struct tracee *tracee = attach(thread);
  if (!tracee || tracee->rewrite) return false;
  tracee->rewrite = rewrite;
  tracee->stage = INTERRUPTED;
  ptrace(PTRACE_INTERRUPT, thread, 0, 0);
  return true;
}

static void answer_one(int listener) {
  struct notification asked;
  struct exec_call call;
  memset(&asked, 0, sizeof asked);
  if (ioctl(listener, NOTIFICATION_RECEIVE, &asked) != 0) return;
  tell_guard(asked.id);
  struct answer answer = {.id = asked.id, .flags = ANSWER_GO_ON};
  pid_t thread = (pid_t)asked.thread;
  struct rewrite *rewrite = take_rewrite();
  bool is_guest = rewrite && thread != 0 && read_notified(&asked, &call) &&
                  plan_rewrite(&rewriter, thread, &call, rewrite);
  /* It may have been killed, and its number be another's. */
  bool is_there = (is_guest || (follows && thread != 0)) &&
                  ioctl(listener, NOTIFICATION_IS_VALID, &asked.id) == 0;
  if (is_guest && is_there && interrupt(thread, rewrite)) {
    rewrite = NULL;
    answer.error = -RESTART;
    answer.flags = 0;
  } else {
    if (is_guest && rewrite->held >= 0) close(rewrite->held);
    if (follows && is_there) attach(thread);
  }
  if (rewrite) give_back(rewrite);
  ioctl(listener, NOTIFICATION_SEND, &answer);
  tell_guard(0);
}

/* The call is made again. Where it cannot be changed the kernel answers it: asked about once more,
 * it would be so for ever. */
static bool change_again(pid_t thread, struct rewrite *rewrite) {
  struct exec_call call = rewrite->call;
  if (!read_exec(thread, &rewrite->before, &call)) return false;
  if (memcmp(call.args, rewrite->call.args, sizeof call.args) != 0) return false;
  return apply_rewrite(thread, rewrite) || leave_to_kernel(thread, rewrite);
}

/* The kernel has made the new image. */
static void after_listened_exec(pid_t process) {
  unsigned long former = (unsigned long)process;
  ptrace(PTRACE_GETEVENTMSG, process, 0, &former);
  struct tracee *caller = find_tracee((pid_t)former);
  struct rewrite *rewrite = caller && caller->stage == CALLED ? caller->rewrite : NULL;
  int held = -1;
  if (rewrite) {
    held = rewrite->held;
    rewrite->held = -1;
    if (rewrite->front_count > 0 && !finish_rewrite(process, rewrite)) {
      debug("ptrace: process ", decimal((uint64_t)process), ": its arguments could not be made", NULL);
      kill(process, SIGKILL);
    }
  }
  lose((pid_t)former);
  lose(process);
  ptrace(PTRACE_DETACH, process, 0, 0);
  struct tracee *holder = held >= 0 ? add_tracee(process) : NULL;
  if (holder) {
    holder->held = held;
  } else if (held >= 0) {
    close(held);
  }
}

static void handle_listened(pid_t thread, int status) {
  struct tracee *tracee = find_tracee(thread);
  if (!WIFSTOPPED(status)) {
    lose(thread);
    return;
  }
  int event = status >> 16, signal = WSTOPSIG(status);
  if (event == PTRACE_EVENT_EXEC) {
    after_listened_exec(thread);
  } else if (tracee && tracee->stage == INTERRUPTED && event == PTRACE_EVENT_STOP && signal == SIGTRAP) {
    tracee->stage = RESTARTING;
    ptrace(PTRACE_SYSCALL, thread, 0, 0);
  } else if (tracee && tracee->stage == RESTARTING && signal == SYSCALL_STOP &&
             change_again(thread, tracee->rewrite)) {
    tracee->stage = CALLED;
    ptrace(PTRACE_SYSCALL, thread, 0, 0);
  } else {
    if (tracee && tracee->stage == CALLED) undo_rewrite(thread, tracee->rewrite);
    detach(thread, event == 0 && signal != SYSCALL_STOP ? signal : 0);
  }
}

/* Following: the stops of an exec, or any other one. */
static void handle_followed(pid_t thread, int status) {
  struct tracee *tracee = find_tracee(thread);
  if (!WIFSTOPPED(status) || !tracee || tracee->stage == FREE) {
    handle(thread, status);
    return;
  }
  int event = status >> 16, signal = WSTOPSIG(status);
  if (tracee->stage == INTERRUPTED && event == PTRACE_EVENT_STOP && signal == SIGTRAP) {
    tracee->stage = RESTARTING;
    ptrace(PTRACE_SYSCALL, thread, 0, 0);
  } else if (tracee->stage == RESTARTING && signal == SYSCALL_STOP &&
             change_again(thread, tracee->rewrite)) {
    tracee->stage = CALLED;
    ptrace(PTRACE_SYSCALL, thread, 0, 0);
  } else if (tracee->stage == CALLED && event == PTRACE_EVENT_EXEC) {
    handle(thread, status);
  } else {
    if (tracee->stage == CALLED) {
      undo_rewrite(thread, tracee->rewrite);
      debug("ptrace: the kernel could not start ", tracee->rewrite->exe, NULL);
    }
    drop_rewrite(tracee);
    tracee->stage = FREE;
    handle(thread, status);
  }
}

/* Programs without a name are kept open for those who run them. */
static void forget_if_gone(struct tracee *tracee) {
  if (tracee->stage == FREE && kill(tracee->thread, 0) != 0 && errno == ESRCH) lose(tracee->thread);
}

__attribute__((noreturn)) static void serve(int listener, pid_t app, void (*handle_one)(pid_t, int)) {
  const struct sigaction standard = {.sa_handler = SIG_DFL};
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  /* Where it is ignored, as it may have been by who started the app, nothing comes. */
  sigaction(SIGCHLD, &standard, NULL);
  struct pollfd sources[2] = {
      {.fd = listener, .events = POLLIN},
      {.fd = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK), .events = POLLIN}};
  bool first = true;
  if (follows) {
    ptrace(PTRACE_SETOPTIONS, app, 0, FOLLOW_OPTIONS);
    begin(app);
  } else {
    guard = start_guard(listener, app);
  }
  for (;;) {
    if (poll(sources, 2, -1) < 0) {
      if (errno == EINTR) continue;
      _exit(1);
    }
    struct heap_mark mark = mark_heap();
    if (first && !follows) ask_for_short_slices();
    first = false;
    if ((sources[1].revents & POLLIN) != 0) {
      struct signalfd_siginfo sent;
      int status;
      pid_t thread;
      if (read(sources[1].fd, &sent, sizeof sent) < 0 && errno != EAGAIN) _exit(1);
      while ((thread = waitpid(-1, &status, __WALL | WNOHANG)) > 0) {
        if (thread == guard && !WIFSTOPPED(status)) end_all(listener, app);
        handle_one(thread, status);
      }
    }
    if ((sources[0].revents & POLLIN) != 0) {
      if (!follows) each_tracee(forget_if_gone);
      answer_one(listener);
    } else if ((sources[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) {
      _exit(0);
    }
    release_heap(mark);
  }
}

void supervise_listening(int listener, pid_t app) {
  serve(listener, app, handle_listened);
}

void supervise_following(int listener, pid_t app) {
  follows = true;
  serve(listener, app, handle_followed);
}
