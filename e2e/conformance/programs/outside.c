/*
 * What whoever starts an app may expect of it, seen from outside: status, signals, terminal, and that
 * nothing is left behind. For the host's CPU; it must be process 1 of a PID namespace.
 *
 *   outside SECONDS ORPHANS NAMES [NAME...] [PREFIX...]
 *
 * NAMES is the number of NAMEs, of those to check; 0 for all. PREFIX is what starts programs: the
 * launcher and its options, or nothing.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>

#include "runner.h"
/* Of these only the terminal's checks are used. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "signals.h"

const char *host_cpu, *third_cpu;

static char **prefix;
static int orphan_count;

static char **command(char *const argv[]) {
  size_t used = 0;
  char **all = calloc(64, sizeof *all);
  for (char **one = prefix; *one; one++) all[used++] = *one;
  all[used++] = TOOL;
  for (size_t i = 1; argv[i]; i++) all[used++] = argv[i];
  return all;
}

/* The tool as an app: what follows its name. */
static struct ran *app(char *const argv[]) {
  char **all = command(argv);
  return start(all[0], all);
}
#define APP(...) app((char *[]){"tool", __VA_ARGS__, NULL})

static const char *app_status(void) {
  static const int statuses[] = {0, 1, 3, 77, 124, 255};
  for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
    struct ran *ran = APP("status", text("%d", statuses[i]));
    if (ran->error || !WIFEXITED(ran->status) || WEXITSTATUS(ran->status) != statuses[i]) return ending(ran);
  }
  return NULL;
}

static const char *app_killed(void) {
  static const int signals[] = {SIGTERM, SIGKILL, SIGABRT, SIGSEGV, SIGUSR1};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    struct ran *ran = APP("kill", text("%d", signals[i]));
    if (ran->error || !WIFSIGNALED(ran->status) || WTERMSIG(ran->status) != signals[i])
      return text("signal %d: %s", signals[i], ending(ran));
  }
  return NULL;
}

static const char *app_output(void) {
  int in[2], out[2];
  static unsigned char sent[1 << 18], got[1 << 18];
  for (size_t i = 0; i < sizeof sent; i++) sent[i] = (unsigned char)(i * 7 + (i >> 8));
  if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC)) return errno_text("pipe2");
  pid_t child = fork();
  if (child == 0) {
    char **all = command((char *[]){"tool", "copy", NULL});
    dup2(in[0], 0), dup2(out[1], 1);
    execv(all[0], all);
    _exit(126);
  }
  close(in[0]), close(out[1]);
  pid_t writer = fork();
  if (writer == 0) {
    size_t done = 0;
    for (ssize_t size; done < sizeof sent; done += (size_t)size) {
      if ((size = write(in[1], sent + done, sizeof sent - done)) <= 0) _exit(1);
    }
    _exit(0);
  }
  close(in[1]);
  size_t used = 0;
  for (ssize_t size; used < sizeof got && (size = read(out[0], got + used, sizeof got - used)) > 0;) used += (size_t)size;
  int status;
  waitpid(writer, &status, 0);
  waitpid(child, &status, 0);
  return status == 0 && used == sizeof got && memcmp(sent, got, used) == 0 ? NULL : text("status %#x, %zu bytes", status, used);
}

static const char *app_closed_input(void) {
  char **all = command((char *[]){"tool", "descriptors", NULL});
  int ends[2];
  char got[64] = "";
  if (pipe2(ends, O_CLOEXEC)) return errno_text("pipe2");
  pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], 1);
    close(0), close(2);
    execv(all[0], all);
    _exit(126);
  }
  close(ends[1]);
  ssize_t size = read(ends[0], got, sizeof got - 1);
  waitpid(child, NULL, 0);
  return size > 0 && strcmp(got, "1 \n") == 0 ? NULL : text("open are %s", got);
}

static const char *app_parent(void) {
  int ends[2];
  char got[128] = "";
  char **all = command((char *[]){"tool", "process", NULL});
  if (pipe2(ends, O_CLOEXEC)) return errno_text("pipe2");
  pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], 1);
    setpgid(0, 0);
    execv(all[0], all);
    _exit(126);
  }
  close(ends[1]);
  ssize_t size = read(ends[0], got, sizeof got - 1);
  waitpid(child, NULL, 0);
  char *expected = text("pid %d; parent %d; group %d; session %d\n", child, (int)getpid(), child, (int)getsid(0));
  return size > 0 && strcmp(got, expected) == 0 ? NULL : text("%s instead of %s", got, expected);
}

/* An app that waits, and the end of its output. */
static struct waiter waiting(char *const argv[]) {
  int ends[2];
  char line[8];
  char **all = command(argv);
  if (pipe2(ends, O_CLOEXEC)) abort();
  pid_t child = fork();
  if (child == 0) {
    setpgid(0, 0);
    dup2(ends[1], 1);
    execv(all[0], all);
    _exit(126);
  }
  close(ends[1]);
  if (read(ends[0], line, sizeof line) != 6) abort();
  return (struct waiter){child, ends[0]};
}
#define WAITING(...) waiting((char *[]){"tool", __VA_ARGS__, NULL})

static const char *app_signals(void) {
  static const int signals[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGQUIT};
  struct waiter one = WAITING("wait");
  const char *fault = NULL;
  for (size_t i = 0; !fault && i < sizeof signals / sizeof *signals; i++) {
    kill(one.process, signals[i]);
    fault = tells(one, text("signal %d\n", signals[i]));
  }
  if (fault) return fault;
  kill(one.process, SIGTERM);
  fault = tells(one, "signal 15\n");
  int status = 0;
  waitpid(one.process, &status, 0);
  return fault ? fault : status == 7 << 8 ? NULL : text("status %#x", status);
}

static const char *app_group_signal(void) {
  /* A terminal's or a shell's signal goes to the whole group, and once only to the app. */
  struct waiter one = WAITING("wait");
  kill(-one.process, SIGUSR1);
  const char *fault = tells(one, "signal 10\n");
  struct pollfd end = {one.output, POLLIN, 0};
  if (!fault && poll(&end, 1, 300) != 0) fault = "it came twice";
  kill(-one.process, SIGINT);
  int status = 0;
  waitpid(one.process, &status, 0);
  return fault ? fault : status == 7 << 8 ? NULL : text("status %#x", status);
}

static const char *app_stop(void) {
  struct waiter one = WAITING("wait");
  int status = 0;
  static const int stops[] = {SIGSTOP, SIGTSTP};
  for (int i = 0; i < 2; i++) {
    kill(one.process, stops[i]);
    if (waitpid(one.process, &status, WUNTRACED) != one.process || !WIFSTOPPED(status) || WSTOPSIG(status) != stops[i])
      return text("stop by %d: status %#x", stops[i], status);
    kill(one.process, SIGUSR1);
    struct pollfd end = {one.output, POLLIN, 0};
    if (poll(&end, 1, 200) != 0) return text("stopped by %d, it runs on", stops[i]);
    kill(one.process, SIGCONT);
    if (waitpid(one.process, &status, WCONTINUED) != one.process || !WIFCONTINUED(status))
      return text("not continued: status %#x", status);
    char got[64] = "";
    for (int tries = 0; tries < 50 && !(strstr(got, "signal 10\n") && strstr(got, "signal 18\n")); tries++) {
      size_t used = strlen(got);
      if (poll(&end, 1, 200) == 1 && read(one.output, got + used, sizeof got - 1 - used) <= 0) break;
    }
    if (!strstr(got, "signal 10\n") || !strstr(got, "signal 18\n")) return text("after SIGCONT it told %s", got);
  }
  kill(one.process, SIGKILL);
  return waitpid(one.process, &status, 0) == one.process && WIFSIGNALED(status) ? NULL : text("status %#x", status);
}

/* Processes beside process 1, the caller and what holds a listener for `enter -b`, without those that
 * have ended. */
static int others(char *names, size_t size) {
  int count = 0;
  *names = 0;
  DIR *folder = opendir("/proc");
  for (struct dirent *entry; folder && (entry = readdir(folder));) {
    char bytes[512] = "";
    int process = atoi(entry->d_name);
    if (process <= 1 || process == getpid()) continue;
    int file = open(text("/proc/%d/stat", process), O_RDONLY | O_CLOEXEC);
    if (file < 0) continue;
    ssize_t got = read(file, bytes, sizeof bytes - 1);
    close(file);
    if (got <= 0 || !strchr(bytes, ')')) continue;
    *strchr(bytes, ')') = 0;
    if (strstr(bytes, "(a listener")) continue;
    count++;
    snprintf(names + strlen(names), size - strlen(names), "%.60s) ", bytes);
  }
  closedir(folder);
  return count;
}

static const char *nothing_left(void) {
  char names[256];
  for (int i = 0; i < 300; i++) {
    if (others(names, sizeof names) == 0) return NULL;
    pause_ms(10);
  }
  return text("left are %s", names);
}

static const char *app_kill(void) {
  struct waiter one = WAITING("wait");
  int status;
  kill(one.process, SIGKILL);
  if (waitpid(one.process, &status, 0) != one.process || !WIFSIGNALED(status)) return text("status %#x", status);
  return nothing_left();
}

static const char *app_kill_tree(void) {
  /* Whoever kills the whole group leaves nothing behind either. */
  struct waiter one = WAITING("tree", TOOL);
  int status;
  pause_ms(100);
  kill(-one.process, SIGKILL);
  waitpid(one.process, &status, 0);
  return nothing_left();
}

static const char *app_ends_before_child(void) {
  /* As natively: a child in the background lives on, and the app has ended. */
  struct ran *ran = APP("daemon", TOOL, text("%s/left", getcwd(NULL, 0)));
  if (ran->error || ran->status) return ending(ran);
  for (int i = 0; i < 1000; i++) {
    if (access("left", F_OK) == 0) return nothing_left();
    pause_ms(10);
  }
  return "the daemon did nothing";
}

static const char *app_orphans(void) {
  struct ran *ran = APP("orphans", text("%d", orphan_count));
  const char *fault = prints(ran, "done\n");
  return fault ? fault : nothing_left();
}

static const char *app_missing(void) {
  char **all = command((char *[]){"tool", NULL});
  size_t last = 0;
  while (all[last]) last++;
  all[last - 1] = "/nowhere/app";
  struct ran *ran = start(all[0], all);
  if (ran->error) return ran->error == ENOENT ? NULL : ending(ran);
  return WIFEXITED(ran->status) && WEXITSTATUS(ran->status) == 127 ? NULL : ending(ran);
}

static char *script_of(const char *format) {
  char *line = text("%s", "");
  for (char **one = prefix; *one; one++) line = text("%s%s ", line, *one);
  return text(format, line);
}

static const char *app_terminal(void) { return on_terminal(check_foreground, script_of("exec %s" TOOL " terminal")); }
static const char *app_interrupt(void) {
  return on_terminal(check_interrupt, script_of("trap : INT; %s" TOOL " wait; echo status $?; sleep 1"));
}
static const char *app_size(void) { return on_terminal(check_size, script_of("exec %s" TOOL " wait")); }
static const char *app_jobs(void) {
  return on_terminal(check_jobs, script_of("set -m; %s" TOOL " wait; echo stopped; fg; echo status $?; sleep 1"));
}
static const char *app_hang_up(void) { return on_terminal(check_hang_up, script_of("exec %s" TOOL " sleep 60")); }

static const struct behaviour behaviours[] = {
    {"app: exit statuses", app_status},
    {"app: death by a signal", app_killed},
    {"app: standard input and output", app_output},
    {"app: closed standard descriptors", app_closed_input},
    {"app: process id, parent and group", app_parent},
    {"app: 127 for a missing program", app_missing},
    {"app: signals reach it", app_signals},
    {"app: a signal to its group comes once", app_group_signal},
    {"app: SIGSTOP, SIGTSTP and SIGCONT", app_stop},
    {"app: SIGKILL leaves nothing behind", app_kill},
    {"app: SIGKILL to the group of a tree", app_kill_tree},
    {"app: a daemon lives on when it has ended", app_ends_before_child},
    {"app: short-lived orphans leave no zombie", app_orphans},
    {"app: terminal and foreground group", app_terminal},
    {"app: Ctrl-C", app_interrupt},
    {"app: SIGWINCH", app_size},
    {"app: Ctrl-Z and fg", app_jobs},
    {"app: hang-up", app_hang_up},
};

int main(int argc, char **argv) {
  int count = argc > 3 ? atoi(argv[3]) : -1;
  if (count < 0 || count > argc - 4) return 2;
  orphan_count = atoi(argv[2]);
  prefix = argv + 4 + count;
  terminal_shell = SHELL;
  char **names = calloc((size_t)count + 1, sizeof *names);
  for (int i = 0; i < count; i++) names[i] = argv[4 + i];
  run_checks(behaviours, sizeof behaviours / sizeof *behaviours, atoi(argv[1]), names);
  return 0;
}
