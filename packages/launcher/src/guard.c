/* Whom to kill: see guard.h. What the app has started, and what that has, is known by the filter that
 * all of it has inherited and cannot lose: the kernel shows it of a process that is stopped
 * (PTRACE_SECCOMP_GET_FILTER). Orphans, other sessions, users and namespaces are found so, and nobody
 * else. No process that is much older than the supervisor is stopped for a look, but for the app's first one,
 * nor one without a filter.
 *
 * The kernel tells (POLLHUP) when nobody has the filter any more. Until then whoever asks for an exec is
 * killed too, and it is looked again. */
#include "guard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capabilities.h"
#include "descriptors.h"
#include "exec-filter.h"
#include "heap.h"
#include "memory.h"
#include "message.h"
#include "notification.h"

enum {
  CAP_SYS_ADMIN = 21,
  GET_FILTER = 0x420c, /* PTRACE_SECCOMP_GET_FILTER */
  STATUS_SIZE = 1024 * 1024, /* with the most groups that a process may have */
  STAT_SIZE = 1024,
  STACK_SIZE = 64 * 1024,
  START_FIELD = 22, /* of /proc/PID/stat: when it was started */
  FIRST_PAUSE = 2,  /* ms between two looks, doubled each time */
  LAST_PAUSE = 500,
  EARLIER = 60 * 100, /* ticks of 10 ms: what this process may have started later than the app's first child */
};

static char status[STATUS_SIZE];

/* The namespace that the system has started with; the number is of the kernel's interface. */
static const char first_user_namespace[] = "user:[4026531837]";

static bool read_text(const char *path, char *text, size_t capacity) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t size = file < 0 ? -1 : read(file, text, capacity - 1);
  if (file >= 0) close(file);
  text[size > 0 ? size : 0] = '\0';
  return size > 0;
}

static bool has_filter(void) {
  const char *mode = strstr(status, "\nSeccomp:\t");
  return mode && mode[10] == '2';
}

bool may_guard(void) {
  char namespace[sizeof first_user_namespace + 1];
  ssize_t size = readlink("/proc/self/ns/user", namespace, sizeof namespace);
  bool is_first = size < 0 || ((size_t)size == sizeof first_user_namespace - 1 &&
                               memcmp(namespace, first_user_namespace, (size_t)size) == 0);
  /* Who has a filter is shown none; ns_last_pid is there where the kernel shows them at all
   * (CONFIG_CHECKPOINT_RESTORE). */
  return is_first && has_capability(CAP_SYS_ADMIN) && access("/proc/sys/kernel/ns_last_pid", F_OK) == 0 &&
         read_text("/proc/self/status", status, sizeof status) && strstr(status, "\nSeccomp:\t0");
}

/* When a process was started, in ticks of the kernel's clock; 0 when it is gone or a zombie. */
static uint64_t start_of(const char *folder, bool *is_zombie) {
  char text[STAT_SIZE];
  *is_zombie = false;
  if (!read_text(concatenate(folder, "/stat", ""), text, sizeof text)) return 0;
  const char *at = strrchr(text, ')');
  if (!at) return 0;
  *is_zombie = at[1] == ' ' && at[2] == 'Z';
  for (unsigned number = 2; at && number < START_FIELD; number++) at = strchr(at + 1, ' ');
  return at ? strtoull(at + 1, NULL, 10) : 0;
}

/* A thread that still runs, of a process whose first one has ended; 0 when there is none. */
static pid_t living_thread(const char *folder) {
  pid_t found = 0;
  const char *tasks = concatenate(folder, "/task", "");
  DIR *list = opendir(tasks);
  if (!list) return 0;
  for (const struct dirent *entry; found == 0 && (entry = readdir(list));) {
    bool is_zombie;
    if (*entry->d_name == '.') continue;
    if (start_of(concatenate(tasks, "/", entry->d_name), &is_zombie) != 0 && !is_zombie) {
      found = (pid_t)strtol(entry->d_name, NULL, 10);
    }
  }
  closedir(list);
  return found;
}

/* Stops a process for a look at its filter, if it may be one of them. The stop comes later. */
static void stop_candidate(const char *number, pid_t app, uint64_t since) {
  const char *folder = concatenate("/proc/", number, "");
  pid_t thread = (pid_t)strtol(number, NULL, 10);
  bool is_zombie;
  uint64_t start = start_of(folder, &is_zombie);
  if ((start < since && thread != app) || thread == getpid()) return;
  if (is_zombie) {
    thread = living_thread(folder);
    if (thread == 0) return;
    folder = concatenate("/proc/", decimal((uint64_t)thread), "");
  }
  if (!read_text(concatenate(folder, "/status", ""), status, sizeof status) || !has_filter()) return;
  if (ptrace(PTRACE_SEIZE, thread, 0, 0) == 0) ptrace(PTRACE_INTERRUPT, thread, 0, 0);
}

static void stop_candidates(pid_t app, uint64_t since) {
  DIR *list = opendir("/proc");
  if (!list) return;
  for (const struct dirent *entry; (entry = readdir(list));) {
    struct heap_mark mark = mark_heap();
    if (*entry->d_name >= '1' && *entry->d_name <= '9') stop_candidate(entry->d_name, app, since);
    release_heap(mark);
  }
  closedir(list);
}

/* Of a thread that is stopped. */
static bool is_served(pid_t thread) {
  unsigned char filter[EXEC_FILTER_SIZE_MAX];
  for (long number = 0;; number++) {
    long count = ptrace(GET_FILTER, thread, number, NULL);
    if (count < 0) return false;
    if ((size_t)count * 8 <= sizeof filter && ptrace(GET_FILTER, thread, number, filter) == count &&
        is_exec_filter(filter, (size_t)count * 8)) {
      return true;
    }
  }
}

static void kill_or_let_go(void) {
  int event;
  for (pid_t thread; (thread = waitpid(-1, &event, __WALL | WNOHANG)) > 0;) {
    if (!WIFSTOPPED(event)) continue;
    if (is_served(thread)) {
      kill(thread, SIGKILL);
    } else {
      ptrace(PTRACE_DETACH, thread, 0, event >> 16 == 0 ? WSTOPSIG(event) : 0);
    }
  }
}

static void kill_asking(int listener) {
  struct notification asked;
  memset(&asked, 0, sizeof asked);
  if (ioctl(listener, NOTIFICATION_RECEIVE, &asked) != 0 || asked.thread == 0) return;
  if (ioctl(listener, NOTIFICATION_IS_VALID, &asked.id) == 0) kill((pid_t)asked.thread, SIGKILL);
}

void end_all(int listener, pid_t app) {
  struct pollfd source = {.fd = listener, .events = POLLIN};
  bool is_zombie;
  uint64_t since = start_of("/proc/self", &is_zombie);
  since = since > EARLIER ? since - EARLIER : 0;
  for (int pause = FIRST_PAUSE, left = 0;; left -= left > 0) {
    int ready = poll(&source, 1, left > 0 ? 1 : 0);
    if (ready > 0 && (source.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) _exit(0);
    if (ready > 0) kill_asking(listener);
    kill_or_let_go();
    if (left > 0) continue;
    stop_candidates(app, since);
    left = pause;
    if (pause < LAST_PAUSE) pause *= 2;
  }
}

static struct {
  int supervisor; /* a descriptor of that process */
  int listener;
  pid_t app;
  volatile uint64_t working_on;
} guarded;

static char stack[STACK_SIZE] __attribute__((aligned(16)));

/* It has its memory in common with the supervisor, and uses none but the stack as long as that lives. */
static int guard(void *unused) {
  (void)unused;
  const int kept[] = {guarded.supervisor, guarded.listener, debug_wanted ? STDERR_FILENO : -1, -1};
  close_all(0, kept);
  prctl(PR_SET_NAME, "uport-guard", 0, 0, 0);
  struct pollfd source = {.fd = guarded.supervisor, .events = POLLIN};
  while (poll(&source, 1, -1) < 0 && errno == EINTR) {}
  /* It may have been killed while it took some of the heap: that is used no more. */
  struct heap_mark mark = mark_heap();
  mark.left = 0;
  release_heap(mark);
  /* Whose exec it was working on would not stop before that is answered. */
  struct answer answer = {.id = guarded.working_on, .error = -EINTR};
  if (answer.id != 0) ioctl(guarded.listener, NOTIFICATION_SEND, &answer);
  end_all(guarded.listener, guarded.app);
}

pid_t start_guard(int listener, pid_t app) {
  guarded.listener = listener;
  guarded.app = app;
  guarded.supervisor = (int)syscall(SYS_pidfd_open, getpid(), 0);
  pid_t child = guarded.supervisor < 0 ? -1 : clone(guard, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL);
  if (child < 0) debug("ptrace: no guard can be made: ", error_name(errno), NULL);
  if (guarded.supervisor >= 0) close(guarded.supervisor);
  return child;
}

void tell_guard(uint64_t notification) { guarded.working_on = notification; }
