/* Starting the supervisor. The app keeps the launcher's process: its number, parent, group, session and
 * exit status are by nature what they would be without uport. The supervisor is a grandchild that init
 * adopts, in a session of its own; it blocks every signal and ends with the last process that it is
 * there for.
 *
 * It shares the launcher's memory until the launcher becomes the app, and has it alone from then on:
 * nothing is copied. The kernel wakes it at that moment, or when the launcher ends: by `gate`, or when
 * it traces, by a stop. Until then it waits, so that it writes no `errno` of the launcher's; tracing, it
 * passes signals on too.
 *
 * Descriptors are its own from birth: locks (fcntl) belong to a table of descriptors, and an exec leaves
 * a shared one behind with all its locks. The listener comes to it over a socket. */
#include "start-supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capabilities.h"
#include "cpu.h"
#include "descriptors.h"
#include "exec-filter.h"
#include "failure-watch.h"
#include "guard.h"
#include "kernel-version.h"
#include "memory.h"
#include "message.h"
#include "supervise.h"

enum {
  STACK_SIZE = 256 * 1024,
  BETWEEN_STACK_SIZE = 16 * 1024,
  FUTEX_WAIT = 0,
  FUTEX_WAKE = 1,
  CAP_SETUID = 7,
  CAP_SYS_PTRACE = 19,
  /* Linux that lets no signal interrupt what a listener is working on. */
  LISTEN_MAJOR = 5,
  LISTEN_MINOR = 19,
  /* Linux that tells a listener when nobody has its filter any more. */
  WATCH_MAJOR = 5,
  WATCH_MINOR = 9,
};

/* What `gate` says. */
enum { ALONE, SHARED, TRACE };

static struct {
  int gate;
  int done;   /* errno + 1 of what the supervisor was told to do */
  int let_go;
  int line;   /* the supervisor's end, or -1 */
  pid_t app;
  bool only_watches; /* for failures: see failure-watch.h */
  int error;  /* no process could be made */
} shared;

static char stack[STACK_SIZE] __attribute__((aligned(16)));
/* A supervisor that could not do its work may still be ending. */
static char watch_stack[STACK_SIZE] __attribute__((aligned(16)));
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

static void set_signals(int how, const unsigned long *wanted, unsigned long *before) {
  syscall(SYS_rt_sigprocmask, how, wanted, before, 8);
}

/* Closes what is the app's. */
static void keep_own_descriptors(void) {
  int kept[EMULATORS_MAX + 3];
  unsigned count = 0;
  if (debug_wanted) kept[count++] = STDERR_FILENO;
  if (shared.line >= 0) kept[count++] = shared.line;
  for (unsigned i = 0; !shared.only_watches && i < EMULATORS_MAX; i++) {
    if (descriptor_of_supervisor(i) >= 0) kept[count++] = descriptor_of_supervisor(i);
  }
  kept[count] = -1;
  close_all(0, kept);
}

/* The one byte that carries a descriptor. */
struct carrier {
  char byte;
  struct iovec part;
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  struct msghdr message;
};

static void prepare_carrier(struct carrier *carrier) {
  memset(carrier, 0, sizeof *carrier);
  carrier->part = (struct iovec){&carrier->byte, 1};
  carrier->message.msg_iov = &carrier->part;
  carrier->message.msg_iovlen = 1;
  carrier->message.msg_control = &carrier->control;
  carrier->message.msg_controllen = sizeof carrier->control;
}

static bool send_descriptor(int line, int descriptor) {
  struct carrier carrier;
  prepare_carrier(&carrier);
  struct cmsghdr *header = CMSG_FIRSTHDR(&carrier.message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof descriptor);
  memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  ssize_t sent;
  while ((sent = sendmsg(line, &carrier.message, 0)) < 0 && errno == EINTR) {}
  return sent == 1;
}

/* -1 where nothing was sent. */
static int receive_descriptor(int line) {
  struct carrier carrier;
  prepare_carrier(&carrier);
  int descriptor = -1;
  if (recvmsg(line, &carrier.message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) == 1) {
    struct cmsghdr *header = CMSG_FIRSTHDR(&carrier.message);
    if (header && header->cmsg_type == SCM_RIGHTS) memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
  }
  close(line);
  return descriptor;
}

static int live(void *unused) {
  (void)unused;
  syscall(SYS_setsid);
  wait_while(&shared.gate, SHARED);
  bool traces = shared.gate == TRACE;
  if (traces) {
    int error = trace(shared.app);
    set_word(&shared.done, error + 1);
    if (error != 0) _exit(0);
    if (!follow_start(shared.app, &shared.let_go)) {
      set_word(&shared.done, 1);
      _exit(0);
    }
  } else if (shared.line < 0) {
    _exit(0);
  }
  keep_own_descriptors();
  int listener = shared.line < 0 ? -1 : receive_descriptor(shared.line);
  if (!traces && listener < 0) _exit(0);
  prctl(PR_SET_NAME, shared.only_watches ? "uport-watch" : "uport-children", 0, 0, 0);
  if (chdir("/") != 0) debug("/ is no working directory", NULL);
  if (shared.only_watches) watch_failures(listener, shared.app);
  if (!traces) supervise_listening(listener, shared.app);
  if (listener >= 0) supervise_following(listener, shared.app);
  supervise_traced(shared.app);
}

/* No SIGCHLD is to reach the app (exit signal 0). */
static int make_grandchild(void *unused) {
  (void)unused;
  char *own = shared.only_watches ? watch_stack : stack;
  if (clone(live, own + STACK_SIZE, CLONE_VM, NULL) < 0) shared.error = errno;
  _exit(0);
}

/* Whether somebody traces this process already. */
static bool is_traced(void) {
  static const char name[] = "\nTracerPid:\t";
  char text[1024];
  int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  ssize_t size = file < 0 ? -1 : read(file, text, sizeof text - 1);
  if (file >= 0) close(file);
  text[size > 0 ? size : 0] = '\0';
  const char *at = strstr(text, name);
  return at && at[sizeof name - 1] != '0';
}

/* What Yama allows without and with CAP_SYS_PTRACE: see ptrace_scope in Linux's documentation. */
static bool yama_allows_attaching(bool is_capable) {
  char scope = '0';
  int file = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);
  if (file < 0) return true;
  bool known = read(file, &scope, 1) == 1;
  close(file);
  return known && scope < (is_capable ? '3' : '1');
}

/* Whether it may attach to everything that the app may start, at any time. */
static bool may_attach_always(void) {
  bool is_capable = has_capability(CAP_SYS_PTRACE);
  /* Without it those are out of reach that become another user's. */
  if (!is_capable && has_capability(CAP_SETUID)) return false;
  return yama_allows_attaching(is_capable);
}

static bool may_be_asked(void) {
  /* A 32-bit Arm kernel does not make a call again that a listener has answered. */
  return strcmp(host_name, "arm") != 0 && kernel_is_at_least(LISTEN_MAJOR, LISTEN_MINOR) &&
         may_attach_always();
}

static bool may_listen(const struct manifest *manifest) {
  /* It keeps the guest's variables from programs of the host at the stop after their exec. */
  return !has_guest_settings(&manifest->surroundings) && has_capability(CAP_SYS_PTRACE) && may_guard();
}

static int wait_until_done(void) {
  wait_while(&shared.done, 0);
  return shared.done - 1;
}

/* The signal comes at once, whatever this process had blocked. */
static void ask_to_let_go(void) {
  static const unsigned long urgent[2] = {1UL << (SIGURG - 1)};
  unsigned long before[2];
  shared.done = 0;
  __atomic_store_n(&shared.let_go, 1, __ATOMIC_RELEASE);
  set_signals(SIG_UNBLOCK, urgent, before);
  kill(shared.app, SIGURG);
  wait_until_done();
  set_signals(SIG_SETMASK, before, NULL);
}

/* Whether the helper is asked from now on. */
static bool ask_at(int line) {
  int listener;
  int error = install_exec_filter(&listener);
  if (error != 0) {
    debug("no listener: ", error_name(error), NULL);
    return false;
  }
  if (!send_descriptor(line, listener)) {
    die(STATUS_OWN_FAULT, "the process that is to be asked before each exec cannot be told (",
        error_name(errno), "), give this one more descriptors or memory", NULL);
  }
  close(listener);
  return true;
}

/* 0 or an errno. */
static int make_helper(void) {
  static const unsigned long all[2] = {~0UL, ~0UL};
  unsigned long before[2];
  shared.gate = SHARED;
  shared.done = 0;
  shared.error = 0;
  shared.app = getpid();
  syscall(SYS_set_tid_address, &shared.gate);
  set_signals(SIG_SETMASK, all, before);
  int between = clone(make_grandchild, between_stack + sizeof between_stack, CLONE_VM, NULL);
  int error = between < 0 ? errno : 0;
  set_signals(SIG_SETMASK, before, NULL);
  if (error != 0) return error;
  while (waitpid(between, NULL, __WALL) < 0 && errno == EINTR) {}
  return shared.error;
}

static bool ask_supervisor_at(int line) {
  if (!ask_at(line)) return false;
  debug("ptrace: the supervisor is asked before each exec", NULL);
  return true;
}

/* `line` is -1 where it cannot be asked. */
static const char *trace_this(int line) {
  /* Where only a descendant may be traced (Yama). */
  prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
  set_word(&shared.gate, TRACE);
  int error = wait_until_done();
  /* What the app starts is followed from birth; nobody else is let in. */
  prctl(PR_SET_PTRACER, 0, 0, 0, 0);
  if (error == EPERM) return "this process is traced already, or tracing is forbidden (EPERM)";
  if (error != 0) return concatenate("ptrace: ", error_name(error), "");
  if (line >= 0 && ask_supervisor_at(line)) return NULL;
  error = install_exec_filter(NULL);
  if (error == 0) return NULL;
  ask_to_let_go();
  return concatenate("seccomp: ", error_name(error), "");
}

const char *start_supervisor(const struct manifest *manifest) {
  if (access("/proc/self/mem", R_OK) != 0) return "there is no /proc";
  if (is_traced()) return "this process is traced already";
  if (is_supervised()) return "a supervisor serves this process already";
  /* What is wrong with the guest's variables is told now: the supervisor's voice nobody hears. */
  const struct surroundings *surroundings = &manifest->surroundings;
  const struct elf guest = {.cpu = surroundings->cpu, .flags = surroundings->flags_value};
  struct guest_environment environment;
  find_guest_environment(surroundings, manifest->folder, &guest, NULL, &environment);
  prepare_supervision(manifest);

  int line[2] = {-1, -1};
  bool is_asked = may_be_asked() && socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, line) == 0;
  shared.line = line[1];
  shared.only_watches = false;
  int error = make_helper();
  const char *reason = error != 0 ? concatenate("no process can be made: ", error_name(error), "") : NULL;
  if (!reason && !(is_asked && may_listen(manifest) && ask_supervisor_at(line[0]))) {
    reason = trace_this(line[0]);
  }
  if (line[0] >= 0) {
    close(line[0]);
    close(line[1]);
  }
  return reason;
}

const char *start_failure_watch(const struct manifest *manifest, const char *why) {
  if (!kernel_is_at_least(WATCH_MAJOR, WATCH_MINOR)) return "Linux before 5.9";
  if (access("/proc/self/mem", R_OK) != 0) return "there is no /proc";
  /* A listener's filter outranks that of a tracer, who may be a supervisor, and would be told nothing. */
  if (is_traced() && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0) return "this process's tracer has a seccomp filter";
  int line[2];
  if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, line) != 0) return error_name(errno);
  prepare_failure_watch(manifest, why);
  shared.line = line[1];
  shared.only_watches = true;
  int error = make_helper();
  bool watches = error == 0 && ask_at(line[0]);
  close(line[0]);
  close(line[1]);
  return watches ? NULL : "no listener can be had";
}
