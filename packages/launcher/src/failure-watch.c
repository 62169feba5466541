/* The watch's life: see failure-watch.h. While the kernel waits for its answer it looks at what is to be
 * executed, as a supervisor does (supervise.c), and where that is a program of a guest that the kernel
 * will refuse, it tells before that comes.
 *
 * It writes to the standard error that the app was started with. Kept open, that would never end for
 * whoever reads it: so it is borrowed from the app, or from who asks.
 *
 * Without an answer no exec would go on, so a second process stands by, and takes its place should it be
 * killed. */
#include "failure-watch.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "binfmt.h"
#include "compatible.h"
#include "exec-call.h"
#include "heap.h"
#include "memory.h"
#include "message.h"
#include "notification.h"
#include "target.h"
#include "tracee-view.h"
#include "tracee.h"

static const struct manifest *bundle;
static const char *reason;
static struct stat error_output;
static bool has_error_output;
static int app_handle;

/* Shells that redirect it for a child keep it as 10 or more meanwhile. */
enum { BORROWED_MAX = 32 };

/* What the one who stands by must know. */
static struct progress {
  uint64_t working_on; /* a notification; 0: none */
  bool told[EMULATORS_MAX];
} own_progress, *progress = &own_progress;

void prepare_failure_watch(const struct manifest *manifest, const char *why) {
  bundle = manifest;
  reason = why;
  has_error_output = fstat(STDERR_FILENO, &error_output) == 0;
}

/* Number 2 of a process may by now be another file, even one with data. */
static int borrow_error_output(int process) {
  struct stat status;
  for (int number = STDERR_FILENO; process >= 0 && number < BORROWED_MAX; number++) {
    int descriptor = (int)syscall(SYS_pidfd_getfd, process, number, 0);
    if (descriptor < 0) continue;
    if (fstat(descriptor, &status) == 0 && status.st_dev == error_output.st_dev &&
        status.st_ino == error_output.st_ino) {
      return descriptor;
    }
    close(descriptor);
  }
  return -1;
}

/* False when nobody could be told, or that would have to wait for a reader. */
static bool tell_of(const char *program, const struct emulator *emulator, pid_t thread) {
  if (!has_error_output) return false;
  int descriptor = borrow_error_output(app_handle);
  if (descriptor < 0) {
    int process = (int)syscall(SYS_pidfd_open, thread, 0);
    descriptor = borrow_error_output(process);
    if (process >= 0) close(process);
  }
  if (descriptor < 0) return false;
  struct pollfd output = {.fd = descriptor, .events = POLLOUT};
  bool told = poll(&output, 1, 0) == 1 && (output.revents & POLLOUT) != 0;
  if (told) {
    tell(descriptor, program, ": is a program for ", emulator->name,
         " that the app could not start: ", reason, NULL);
  }
  close(descriptor);
  return told;
}

/* The emulator of the program that the kernel is about to refuse, or NULL. */
static const struct emulator *find_refused(pid_t thread, const struct exec_call *call,
                                           struct target *target) {
  static char path[PATH_MAX], no_name[1];
  static struct failure failure;
  int memory = open_memory(thread);
  bool known = memory >= 0 && read_string(memory, path_of_call(call), path, sizeof path);
  if (memory < 0) debug("the watch cannot look into process ", decimal((uint64_t)thread), ": ", error_name(errno), NULL);
  if (memory >= 0) close(memory);
  const char *given = known ? name_for_script(call, path) : NULL;
  if (!given || *given == '\0') return NULL;
  struct tracee_view view;
  const struct view functions = {.context = &view, .check = check_in_view, .open = open_in_view};
  char *argv[] = {no_name, NULL};
  start_view(&view, thread);
  view.no_follow = forbids_link(call, path);
  int error = find_target_in(&functions, given, argv, target, &failure);
  end_view(&view);
  if (error != 0 || target->kind != TARGET_ELF || is_host_cpu(target->elf.cpu)) return NULL;
  const struct emulator *emulator = find_emulator(bundle, &target->elf);
  if (!emulator || progress->told[emulator - bundle->emulators]) return NULL;
  if (is_compatible_cpu(target->elf.cpu) && kernel_runs_cpu(target->elf.cpu)) return NULL;
  /* Any registration that starts it, though it may not give it its own argv[0]. */
  char *plain[] = {(char *)target->path, NULL};
  target->argv = plain;
  return binfmt_fits(target) ? NULL : emulator;
}

static bool all_told(void) {
  for (unsigned i = 0; i < bundle->emulator_count; i++) {
    if (!progress->told[i]) return false;
  }
  return true;
}

static void answer_one(int listener) {
  static struct target target;
  struct notification asked;
  struct exec_call call;
  memset(&asked, 0, sizeof asked);
  if (ioctl(listener, NOTIFICATION_RECEIVE, &asked) != 0) return;
  progress->working_on = asked.id;
  pid_t thread = (pid_t)asked.thread;
  if (thread != 0 && !all_told() && read_notified(&asked, &call)) {
    const struct emulator *emulator = find_refused(thread, &call, &target);
    /* It may have been killed, and its number be another's. */
    if (emulator && ioctl(listener, NOTIFICATION_IS_VALID, &asked.id) == 0 &&
        tell_of(target.path, emulator, thread)) {
      progress->told[emulator - bundle->emulators] = true;
    }
  }
  struct answer answer = {.id = asked.id, .flags = ANSWER_GO_ON};
  ioctl(listener, NOTIFICATION_SEND, &answer);
  progress->working_on = 0;
}

/* Waits for the end of the process before it. */
static void stand_by(int listener, int before) {
  struct pollfd source = {.fd = before, .events = POLLIN};
  while (poll(&source, 1, -1) < 0 && errno == EINTR) {}
  close(before);
  struct answer answer = {.id = progress->working_on, .flags = ANSWER_GO_ON};
  if (answer.id != 0) ioctl(listener, NOTIFICATION_SEND, &answer);
  progress->working_on = 0;
}

static bool is_over(const struct pollfd *listener) {
  return (listener->revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

void watch_failures(int listener, pid_t app) {
  struct pollfd sources[2] = {{.fd = listener, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
  void *page = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page != MAP_FAILED) progress = page;
  app_handle = (int)syscall(SYS_pidfd_open, app, 0);
  for (;;) {
    if (sources[1].fd < 0 && poll(sources, 1, 0) >= 0 && !is_over(sources)) {
      int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
      pid_t second = fork();
      if (second == 0) {
        stand_by(listener, self);
        continue;
      }
      if (self >= 0) close(self);
      if (second > 0) sources[1].fd = (int)syscall(SYS_pidfd_open, second, 0);
    }
    if (poll(sources, 2, -1) < 0) {
      if (errno == EINTR) continue;
      _exit(1);
    }
    struct heap_mark mark = mark_heap();
    if ((sources[0].revents & POLLIN) != 0) {
      answer_one(listener);
    } else if (is_over(&sources[0])) {
      _exit(0);
    }
    if ((sources[1].revents & POLLIN) != 0) {
      close(sources[1].fd);
      sources[1].fd = -1;
      while (waitpid(-1, NULL, WNOHANG | __WALL) > 0) {}
    }
    release_heap(mark);
  }
}
