/* Signals, the ends of children, and job control on a terminal. */
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <termios.h>

#include "support.h"

static const char *child_status(void) {
  static const int statuses[] = {0, 1, 2, 77, 125, 126, 127, 128, 254, 255};
  for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
    struct ran *ran = RUN(TOOL, "tool", "status", text("%d", statuses[i]));
    if (ran->error || !WIFEXITED(ran->status) || WEXITSTATUS(ran->status) != statuses[i]) return ending(ran);
  }
  return NULL;
}

static const char *child_killed(void) {
  static const int signals[] = {SIGTERM, SIGKILL, SIGABRT, SIGSEGV, SIGBUS, SIGUSR1, SIGPIPE, SIGALRM};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    struct ran *ran = RUN(TOOL, "tool", "kill", text("%d", signals[i]));
    if (ran->error || !WIFSIGNALED(ran->status) || WTERMSIG(ran->status) != signals[i])
      return text("signal %d: %s", signals[i], ending(ran));
  }
  return NULL;
}

struct waiter {
  pid_t process;
  int output;
};

/* A child that tells the signals it gets. */
static struct waiter waiter(void) {
  int ends[2];
  char line[8];
  if (pipe2(ends, O_CLOEXEC)) abort();
  pid_t child = fork();
  if (child == 0) {
    char *argv[] = {"waiter", "wait", NULL};
    setpgid(0, 0);
    dup2(ends[1], 1);
    execv(TOOL, argv);
    _exit(1);
  }
  close(ends[1]);
  if (read(ends[0], line, sizeof line) != 6) abort();
  return (struct waiter){child, ends[0]};
}

static const char *tells(struct waiter one, const char *expected) {
  char line[64] = "";
  struct pollfd end = {one.output, POLLIN, 0};
  if (poll(&end, 1, 10000) != 1) return text("nothing came, wanted %s", expected);
  ssize_t size = read(one.output, line, sizeof line - 1);
  return size > 0 && strcmp(line, expected) == 0 ? NULL : text("it told %s", line);
}

static const char *signals_reach(void) {
  static const int signals[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGQUIT};
  struct waiter one = waiter();
  const char *fault = NULL;
  for (size_t i = 0; !fault && i < sizeof signals / sizeof *signals; i++) {
    kill(one.process, signals[i]);
    fault = tells(one, text("signal %d\n", signals[i]));
  }
  int status = 0;
  kill(one.process, SIGTERM);
  if (!fault) fault = tells(one, text("signal %d\n", SIGTERM));
  waitpid(one.process, &status, 0);
  return fault ? fault : WIFEXITED(status) && WEXITSTATUS(status) == 7 ? NULL : text("status %#x", status);
}

static const char *signals_group(void) {
  struct waiter one = waiter();
  kill(-one.process, SIGINT);
  int status = 0;
  waitpid(one.process, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 7 ? NULL : text("status %#x", status);
}

static const char *signals_stop(void) {
  struct waiter one = waiter();
  int status = 0;
  kill(one.process, SIGSTOP);
  if (waitpid(one.process, &status, WUNTRACED) != one.process || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGSTOP)
    return text("not stopped: status %#x", status);
  pause_ms(50);
  if (waitpid(one.process, &status, WNOHANG) != 0) return text("it did not stay stopped: %#x", status);
  kill(one.process, SIGCONT);
  if (waitpid(one.process, &status, WCONTINUED) != one.process || !WIFCONTINUED(status))
    return text("not continued: status %#x", status);
  const char *fault = tells(one, text("signal %d\n", SIGCONT));
  if (fault) return fault;
  kill(one.process, SIGTSTP);
  if (waitpid(one.process, &status, WUNTRACED) != one.process || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGTSTP)
    return text("SIGTSTP: status %#x", status);
  kill(one.process, SIGKILL);
  return waitpid(one.process, &status, 0) == one.process && WIFSIGNALED(status) ? NULL : text("status %#x", status);
}

static volatile siginfo_t seen;
static volatile sig_atomic_t handled;

static void remember(int signal, siginfo_t *info, void *unused) {
  (void)signal, (void)unused;
  *(siginfo_t *)&seen = *info;
  handled++;
}

static void handle(int signal, int flags) {
  struct sigaction action = {.sa_sigaction = remember, .sa_flags = SA_SIGINFO | flags};
  sigaction(signal, &action, NULL);
}

static const char *signals_child_info(void) {
  handle(SIGCHLD, SA_NOCLDSTOP);
  struct ran *ran = RUN(TOOL, "tool", "status", "33");
  (void)ran;
  for (int i = 0; i < 100 && !handled; i++) pause_ms(10);
  if (!handled) return "no SIGCHLD came";
  return seen.si_code == CLD_EXITED && seen.si_status == 33 ? NULL : text("code %d, status %d", seen.si_code, seen.si_status);
}

static const char *signals_sender(void) {
  handle(SIGUSR1, 0);
  struct ran *ran = RUN(SHELL, "sh", "-c", text("kill -USR1 %d", (int)getpid()));
  if (ran->status) return ending(ran);
  for (int i = 0; i < 100 && !handled; i++) pause_ms(10);
  if (!handled) return "SIGUSR1 did not come";
  return seen.si_code == SI_USER && (int)seen.si_uid == (int)getuid() ? NULL : text("code %d, user %d", seen.si_code, (int)seen.si_uid);
}

static const char *signals_value(void) {
  handle(SIGRTMIN + 2, 0);
  if (sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = 4711})) return errno_text("sigqueue");
  for (int i = 0; i < 100 && !handled; i++) pause_ms(10);
  return handled && seen.si_value.sival_int == 4711 ? NULL : text("came %d times, value %d", (int)handled, seen.si_value.sival_int);
}

static const char *signals_real_time(void) {
  for (int signal = SIGRTMIN; signal <= SIGRTMAX; signal++) {
    handled = 0;
    struct sigaction action = {.sa_sigaction = remember, .sa_flags = SA_SIGINFO};
    if (sigaction(signal, &action, NULL)) return text("sigaction of signal %d: %s", signal, strerror(errno));
    raise(signal);
    if (!handled) return text("signal %d did not come", signal);
  }
  return NULL;
}

static const char *signals_interrupt(void) {
  int ends[2];
  char byte;
  if (pipe2(ends, O_CLOEXEC)) return errno_text("pipe2");
  struct itimerval timer = {{0, 0}, {0, 50000}};
  handle(SIGALRM, 0);
  setitimer(ITIMER_REAL, &timer, NULL);
  if (read(ends[0], &byte, 1) != -1 || errno != EINTR) return errno_text("read");
  handle(SIGALRM, SA_RESTART);
  if (fork() == 0) {
    pause_ms(300);
    _exit(write(ends[1], "x", 1) != 1);
  }
  setitimer(ITIMER_REAL, &timer, NULL);
  ssize_t got = read(ends[0], &byte, 1);
  wait(NULL);
  return got == 1 && handled == 2 ? NULL : text("SA_RESTART: read %zd, %d signals", got, (int)handled);
}

static void crash_to_handler(int signal) { _exit(signal == SIGSEGV ? 42 : 43); }

static const char *signals_own_stack(void) {
  int status;
  pid_t child = fork();
  if (child == 0) {
    static char stack[1 << 16];
    stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = crash_to_handler, .sa_flags = SA_ONSTACK};
    sigaltstack(&other, NULL);
    sigaction(SIGSEGV, &action, NULL);
    *(volatile int *)16 = 1;
    _exit(1);
  }
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 42 ? NULL : text("status %#x", status);
}

static volatile int depth, end_of_recursion = 1 << 30;
static int recurse(int n) {
  volatile char space[4096];
  space[0] = (char)n;
  depth = n;
  return n == end_of_recursion ? 0 : recurse(n + 1) + space[0];
}

static const char *signals_stack_overflow(void) {
  int status;
  pid_t child = fork();
  if (child == 0) {
    static char stack[1 << 16];
    struct rlimit core = {0, 0};
    stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = crash_to_handler, .sa_flags = SA_ONSTACK};
    setrlimit(RLIMIT_CORE, &core);
    sigaltstack(&other, NULL);
    sigaction(SIGSEGV, &action, NULL);
    _exit(recurse(0) ? 1 : 2);
  }
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 42 ? NULL : text("status %#x", status);
}

static const char *signals_wait_no_reap(void) {
  pid_t child = fork();
  if (child == 0) {
    char *argv[] = {"tool", "status", "6", NULL};
    execv(TOOL, argv);
    _exit(1);
  }
  siginfo_t info = {0};
  if (waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT)) return errno_text("waitid");
  if (info.si_status != 6 || info.si_code != CLD_EXITED) return text("status %d, code %d", info.si_status, info.si_code);
  int status;
  return waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 6 ? NULL : errno_text("waitpid");
}

static const char *signals_subreaper(void) {
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) return errno_text("prctl");
  struct ran *ran = RUN(TOOL, "tool", "daemon", TOOL, "left");
  if (ran->status) return ending(ran);
  int status;
  pid_t orphan = waitpid(-1, &status, 0);
  if (orphan < 0) return errno_text("no orphan came to the subreaper");
  return status == 0 && access("left", F_OK) == 0 ? NULL : text("orphan: status %#x", status);
}

static const char *signals_parent_death(void) {
  int ends[2];
  char line[16] = "";
  if (pipe2(ends, O_CLOEXEC)) return errno_text("pipe2");
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  pid_t middle = fork();
  if (middle == 0) {
    if (fork() == 0) {
      char *argv[] = {"tool", "wait", NULL};
      prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
      dup2(ends[1], 1);
      execv(TOOL, argv);
      _exit(1);
    }
    close(ends[1]);
    pause();
  }
  close(ends[1]);
  if (read(ends[0], line, sizeof line) != 6) return "the child did not start";
  kill(middle, SIGKILL);
  struct pollfd end = {ends[0], POLLIN, 0};
  memset(line, 0, sizeof line);
  if (poll(&end, 1, 5000) != 1 || read(ends[0], line, sizeof line - 1) <= 0) return "no signal came";
  return strcmp(line, "signal 15\n") == 0 ? NULL : text("it told %s", line);
}

static const char *signals_orphans(void) {
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  struct ran *ran = RUN(TOOL, "tool", "orphans", "100");
  const char *fault = prints(ran, "done\n");
  if (fault) return fault;
  int reaped = 0;
  while (wait(NULL) > 0) reaped++;
  return reaped == 100 ? NULL : text("%d orphans came", reaped);
}

static const char *signals_exec_storm(void) {
  /* Signals that come while children become programs. */
  struct itimerval timer = {{0, 3000}, {0, 3000}};
  handle(SIGALRM, SA_RESTART);
  setitimer(ITIMER_REAL, &timer, NULL);
  const char *fault = NULL;
  for (int i = 0; !fault && i < 10; i++) fault = prints(RUN(TOOL, "tool", "cpu"), CPU "\n");
  timer = (struct itimerval){{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &timer, NULL);
  return fault;
}

static const char *signals_kill_starting(void) {
  /* Killed at any moment of its start, a child is gone and reaped. */
  for (int i = 0; i < 12; i++) {
    pid_t child = fork();
    if (child == 0) {
      char *argv[] = {"tool", "sleep", "60", NULL};
      close(1);
      open("/dev/null", O_WRONLY);
      execv(TOOL, argv);
      _exit(1);
    }
    pause_ms(i * 3);
    kill(child, SIGKILL);
    int status;
    if (waitpid(child, &status, 0) != child) return errno_text("waitpid");
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) return text("status %#x", status);
  }
  return NULL;
}

static const char *signals_broken_pipe(void) {
  struct ran *ran = RUN(GUEST_SHELL, "sh", "-c", "yes | head -n 1");
  return prints(ran, "y\n");
}

/* What runs the scripts on a terminal. */
static const char *terminal_shell = GUEST_SHELL;

/* A session with a terminal of its own: the check runs in it as the session's leader. */
static const char *on_terminal(const char *(*check)(int master, pid_t child), const char *script) {
  int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0 || grantpt(master) || unlockpt(master)) return errno_text("pseudo terminal");
  char name[64];
  if (ptsname_r(master, name, sizeof name)) return errno_text("ptsname");
  pid_t child = fork();
  if (child == 0) {
    setsid();
    int slave = open(name, O_RDWR);
    if (slave < 0 || ioctl(slave, TIOCSCTTY, 0)) _exit(98);
    struct termios modes;
    tcgetattr(slave, &modes);
    modes.c_oflag &= (tcflag_t)~OPOST;
    modes.c_lflag &= (tcflag_t)~ECHO;
    tcsetattr(slave, TCSANOW, &modes);
    dup2(slave, 0), dup2(slave, 1), dup2(slave, 2);
    if (slave > 2) close(slave);
    char *argv[] = {"sh", "-c", (char *)script, NULL};
    execv(terminal_shell, argv);
    _exit(97);
  }
  const char *fault = check(master, child);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  close(master);
  return fault;
}

/* Waits for a text; the next call looks at what follows it. */
static const char *comes(int master, const char *expected) {
  static char got[1 << 16];
  static size_t used, from;
  for (;;) {
    char *found = strstr(got + from, expected);
    if (found) {
      from = (size_t)(found - got) + strlen(expected);
      return NULL;
    }
    struct pollfd end = {master, POLLIN, 0};
    if (used == sizeof got - 1 || poll(&end, 1, 60000) != 1) break;
    ssize_t size = read(master, got + used, sizeof got - 1 - used);
    if (size <= 0) break;
    used += (size_t)size;
  }
  return text("the terminal got %s, wanted %s", got + from, expected);
}

static const char *check_foreground(int master, pid_t child) {
  (void)child;
  return comes(master, "terminal yes; foreground yes\n");
}

static const char *terminal_foreground(void) { return on_terminal(check_foreground, TOOL " terminal"); }

static const char *check_interrupt(int master, pid_t child) {
  (void)child;
  const char *fault = comes(master, "ready\n");
  if (!fault && write(master, "\003", 1) != 1) fault = errno_text("write");
  if (!fault) fault = comes(master, "signal 2\n");
  return fault ? fault : comes(master, "status 7\n");
}

static const char *terminal_interrupt(void) {
  return on_terminal(check_interrupt, "trap : INT; " TOOL " wait; echo status $?; sleep 1");
}

static const char *check_size(int master, pid_t child) {
  (void)child;
  struct winsize size = {.ws_row = 30, .ws_col = 90};
  const char *fault = comes(master, "ready\n");
  if (!fault && ioctl(master, TIOCSWINSZ, &size)) fault = errno_text("TIOCSWINSZ");
  return fault ? fault : comes(master, "signal 28\n");
}

static const char *terminal_size(void) { return on_terminal(check_size, "exec " TOOL " wait"); }

static const char *check_jobs(int master, pid_t child) {
  (void)child;
  const char *fault = comes(master, "ready\n");
  if (!fault && write(master, "\032", 1) != 1) fault = errno_text("write");
  if (!fault) fault = comes(master, "stopped\n");
  if (!fault) fault = comes(master, "signal 18\n");
  if (!fault && write(master, "\003", 1) != 1) fault = errno_text("write");
  return fault ? fault : comes(master, "status 7\n");
}

static const char *terminal_jobs(void) {
  return on_terminal(check_jobs, "set -m; " TOOL " wait; echo stopped; fg; echo status $?; sleep 1");
}

static const char *check_hang_up(int master, pid_t child) {
  const char *fault = comes(master, "ready\n");
  int status = 0;
  close(master);
  for (int i = 0; i < 500 && waitpid(child, &status, WNOHANG) == 0; i++) pause_ms(10);
  return fault ? fault : WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP ? NULL : text("status %#x", status);
}

static const char *terminal_hang_up(void) { return on_terminal(check_hang_up, "exec " TOOL " sleep 60"); }

#define SIGNALS                                                 \
  {"exit statuses of children", child_status},                  \
  {"signals that end children", child_killed},                  \
  {"signals reach a child", signals_reach},                     \
  {"signals to a process group", signals_group},                \
  {"SIGSTOP, SIGCONT and SIGTSTP, seen by waitpid", signals_stop}, \
  {"SIGCHLD tells status and code", signals_child_info},        \
  {"sender of a signal", signals_sender},                       \
  {"value of sigqueue", signals_value},                         \
  {"every real-time signal", signals_real_time},                \
  {"EINTR and SA_RESTART", signals_interrupt},                  \
  {"handler on a stack of its own", signals_own_stack},         \
  {"overflow of the stack is SIGSEGV", signals_stack_overflow}, \
  {"SIGPIPE ends a writer", signals_broken_pipe},               \
  {"waitid with WNOWAIT", signals_wait_no_reap},                \
  {"a daemon lives on; PR_SET_CHILD_SUBREAPER", signals_subreaper}, \
  {"PR_SET_PDEATHSIG across exec", signals_parent_death},       \
  {"100 orphans come to the subreaper", signals_orphans},       \
  {"signals while children start", signals_exec_storm},         \
  {"SIGKILL at any moment of a start", signals_kill_starting},  \
  {"controlling terminal and foreground group", terminal_foreground}, \
  {"Ctrl-C on a terminal", terminal_interrupt},                 \
  {"SIGWINCH of a terminal", terminal_size},                    \
  {"Ctrl-Z and fg in a shell", terminal_jobs},                  \
  {"hang-up of a terminal", terminal_hang_up}
