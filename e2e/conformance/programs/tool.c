/*
 * What the conformance suite starts: one program, compiled for the guest's CPU, the host's and a third
 * one, that tells how it was started. The first argument says what to do; texts come in brackets, with
 * bytes outside printable ASCII as \xNN.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpu.h"

extern char **environ;

static void show(const char *text) {
  putchar('[');
  for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
    if (*at >= 0x20 && *at < 0x7f) putchar(*at);
    else printf("\\x%02x", *at);
  }
  putchar(']');
}

static void show_file(const char *path) {
  unsigned char bytes[4096];
  int file = open(path, O_RDONLY);
  ssize_t size = file < 0 ? -1 : read(file, bytes, sizeof bytes - 1);
  close(file);
  if (size < 0) {
    printf("errno %d\n", errno);
    return;
  }
  /* The NULs of /proc/PID/cmdline. */
  for (ssize_t i = 0; i < size; i++) {
    if (bytes[i] == 0) bytes[i] = ' ';
  }
  bytes[size] = 0;
  fwrite(bytes, 1, (size_t)size, stdout);
}

static void show_descriptors(void) {
  for (int i = 0; i < 1024; i++) {
    if (fcntl(i, F_GETFD) >= 0) printf("%d ", i);
  }
  putchar('\n');
}

static void show_signals(void) {
  sigset_t blocked;
  sigprocmask(SIG_BLOCK, NULL, &blocked);
  printf("blocked");
  for (int i = 1; i < 32; i++) {
    if (sigismember(&blocked, i) == 1) printf(" %d", i);
  }
  printf("; ignored");
  for (int i = 1; i < 32; i++) {
    struct sigaction action;
    if (sigaction(i, NULL, &action) == 0 && action.sa_handler == SIG_IGN) printf(" %d", i);
  }
  printf("; caught");
  for (int i = 1; i < 32; i++) {
    struct sigaction action;
    if (sigaction(i, NULL, &action) == 0 && action.sa_handler != SIG_IGN && action.sa_handler != SIG_DFL)
      printf(" %d", i);
  }
  putchar('\n');
}

static void show_state(void) {
  char folder[4096];
  struct rlimit files, core, stack;
  mode_t mask = umask(0);
  umask(mask);
  getrlimit(RLIMIT_NOFILE, &files);
  getrlimit(RLIMIT_CORE, &core);
  getrlimit(RLIMIT_STACK, &stack);
  printf("cwd %s; umask %o; files %lu; core %lu; stack %lu; nice %d\n", getcwd(folder, sizeof folder),
         (unsigned)mask, (unsigned long)files.rlim_cur, (unsigned long)core.rlim_cur,
         (unsigned long)stack.rlim_cur, getpriority(PRIO_PROCESS, 0));
}

static int start(char **argv, int wait_for_it) {
  pid_t child = wait_for_it ? fork() : 0;
  int status;
  if (child == 0) {
    execvp(argv[0], argv);
    printf("errno %d\n", errno);
    fflush(stdout);
    _exit(126);
  }
  if (child < 0 || waitpid(child, &status, 0) != child) return 125;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void on_signal(int signal) {
  /* So that a test sees which one came, and that it came to this process. */
  char line[32];
  int size = snprintf(line, sizeof line, "signal %d\n", signal);
  if (write(1, line, (size_t)size) < 0) _exit(9);
  if (signal == SIGTERM || signal == SIGINT) _exit(7);
}

static void wait_for_signals(void) {
  static const int all[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT, SIGQUIT};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) signal(all[i], on_signal);
  if (write(1, "ready\n", 6) < 0) exit(9);
  for (;;) pause();
}

static void leave_orphans(int count) {
  for (int i = 0; i < count; i++) {
    pid_t child = fork();
    if (child == 0) {
      if (fork() == 0) _exit(0);
      _exit(0);
    }
    if (child > 0) waitpid(child, NULL, 0);
  }
}

static int zombies(void) {
  int count = 0;
  DIR *folder = opendir("/proc");
  for (struct dirent *entry; folder && (entry = readdir(folder));) {
    char path[300], line[300];
    if (atoi(entry->d_name) < 1) continue;
    snprintf(path, sizeof path, "/proc/%.200s/stat", entry->d_name);
    FILE *file = fopen(path, "r");
    if (!file) continue;
    char *state = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (state && strncmp(state, ") Z", 3) == 0) count++;
    fclose(file);
  }
  if (folder) closedir(folder);
  return count;
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  char **rest = argc > 1 ? argv + 2 : argv;
  setvbuf(stdout, NULL, _IOFBF, 1 << 16);
  if (strcmp(what, "cpu") == 0) {
    puts(CPU);
  } else if (strcmp(what, "arguments") == 0) {
    show(argv[0]);
    for (; *rest; rest++) show(*rest);
    putchar('\n');
  } else if (strcmp(what, "environment") == 0) {
    for (char **at = environ; *at; at++) show(*at);
    putchar('\n');
  } else if (strcmp(what, "count") == 0) {
    size_t bytes = 0;
    for (int i = 2; i < argc; i++) bytes += strlen(argv[i]);
    printf("%d arguments, %zu bytes\n", argc - 2, bytes);
  } else if (strcmp(what, "status") == 0) {
    return atoi(rest[0]);
  } else if (strcmp(what, "kill") == 0) {
    kill(getpid(), atoi(rest[0]));
    pause();
  } else if (strcmp(what, "descriptors") == 0) {
    show_descriptors();
  } else if (strcmp(what, "signals") == 0) {
    show_signals();
  } else if (strcmp(what, "state") == 0) {
    show_state();
  } else if (strcmp(what, "link") == 0) {
    char target[4096];
    ssize_t size = readlink(rest[0], target, sizeof target - 1);
    if (size < 0) size = snprintf(target, sizeof target, "errno %d", errno);
    printf("%.*s\n", (int)size, target);
  } else if (strcmp(what, "file") == 0) {
    show_file(rest[0]);
  } else if (strcmp(what, "line") == 0) {
    /* The line of a file of /proc that begins with a word. */
    char line[4096];
    FILE *file = fopen(rest[0], "r");
    while (file && fgets(line, sizeof line, file)) {
      if (strncmp(line, rest[1], strlen(rest[1])) == 0) fputs(line, stdout);
    }
  } else if (strcmp(what, "copy") == 0) {
    char bytes[4096];
    for (ssize_t size; (size = read(0, bytes, sizeof bytes)) > 0;) fwrite(bytes, 1, (size_t)size, stdout);
  } else if (strcmp(what, "read-descriptor") == 0) {
    char bytes[64];
    ssize_t size = read(atoi(rest[0]), bytes, sizeof bytes);
    if (size < 0) printf("errno %d\n", errno);
    else fwrite(bytes, 1, (size_t)size, stdout);
  } else if (strcmp(what, "exec") == 0) {
    return start(rest, 0);
  } else if (strcmp(what, "spawn") == 0) {
    fflush(stdout);
    return start(rest, 1);
  } else if (strcmp(what, "chain") == 0) {
    /* Starts itself so many times by exec, then does what is left. */
    int left = atoi(rest[0]);
    if (left > 0) {
      char number[16];
      snprintf(number, sizeof number, "%d", left - 1);
      char *again[] = {argv[0], "chain", number, rest[1], NULL};
      execv(rest[1], again);
      printf("errno %d\n", errno);
      return 1;
    }
    printf("end %d\n", (int)getpid());
  } else if (strcmp(what, "process") == 0) {
    printf("pid %d; parent %d; group %d; session %d\n", (int)getpid(), (int)getppid(), (int)getpgrp(),
           (int)getsid(0));
  } else if (strcmp(what, "users") == 0) {
    printf("%d %d %d %d\n", (int)getuid(), (int)geteuid(), (int)getgid(), (int)getegid());
  } else if (strcmp(what, "auxiliary") == 0) {
    const char *name = (const char *)getauxval(AT_EXECFN);
    printf("file %s; page %s; secure %lu; random %s\n", name ? name : "none",
           (long)getauxval(AT_PAGESZ) == sysconf(_SC_PAGESIZE) ? "ok" : "wrong", getauxval(AT_SECURE),
           getauxval(AT_RANDOM) ? "yes" : "no");
  } else if (strcmp(what, "uname") == 0) {
    struct utsname name;
    uname(&name);
    puts(name.machine);
  } else if (strcmp(what, "timer") == 0) {
    struct itimerval left;
    getitimer(ITIMER_REAL, &left);
    printf("%s\n", left.it_value.tv_sec > 0 ? "running" : "none");
  } else if (strcmp(what, "affinity") == 0) {
    cpu_set_t set;
    printf("%d\n", sched_getaffinity(0, sizeof set, &set) < 0 ? -errno : CPU_COUNT(&set));
  } else if (strcmp(what, "no-new-privileges") == 0) {
    printf("%d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  } else if (strcmp(what, "traceme") == 0) {
    printf("%d\n", ptrace(PTRACE_TRACEME, 0, 0, 0) == 0 ? 0 : errno);
  } else if (strcmp(what, "readdir") == 0) {
    int count = 0;
    DIR *folder = opendir(rest[0]);
    errno = 0;
    while (folder && readdir(folder)) count++;
    printf("%d entries, errno %d\n", count, errno);
  } else if (strcmp(what, "preloaded") == 0) {
    printf("%s\n", getenv("PRELOADED") ? getenv("PRELOADED") : "no");
  } else if (strcmp(what, "wait") == 0) {
    wait_for_signals();
  } else if (strcmp(what, "sleep") == 0) {
    if (write(1, "ready\n", 6) < 0) return 9;
    sleep((unsigned)atoi(rest[0]));
  } else if (strcmp(what, "tree") == 0) {
    /* A child and a grandchild that stay, of this same program. */
    if (fork() == 0) {
      char *child[] = {argv[0], "sleep", "600", NULL};
      if (fork() == 0) pause();
      execv(rest[0], child);
      _exit(1);
    }
    sleep(600);
  } else if (strcmp(what, "orphans") == 0) {
    leave_orphans(atoi(rest[0]));
    puts("done");
    if (rest[1]) {
      char *then[] = {argv[0], rest[1], NULL};
      fflush(stdout);
      execv(rest[2], then);
    }
  } else if (strcmp(what, "zombies") == 0) {
    /* Until there are none, for ten seconds at most. */
    int count = -1;
    for (int i = 0; i < 1000 && count != 0; i++, usleep(10000)) count = zombies();
    printf("%d zombies\n", count);
  } else if (strcmp(what, "daemon") == 0) {
    /* Lives on when its parent is gone, and writes a file then. */
    if (fork() == 0) {
      setsid();
      if (fork() == 0) {
        char *child[] = {argv[0], "touch", rest[1], NULL};
        close(0), close(1), close(2);
        usleep(200000);
        execv(rest[0], child);
      }
      _exit(0);
    }
    wait(NULL);
  } else if (strcmp(what, "touch") == 0) {
    close(open(rest[0], O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
  } else if (strcmp(what, "terminal") == 0) {
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
    printf("terminal %s; foreground %s\n", terminal < 0 ? "none" : "yes",
           terminal >= 0 && tcgetpgrp(terminal) == getpgrp() ? "yes" : "no");
  } else {
    printf("tool: what is %s?\n", what);
    return 2;
  }
  return ferror(stdout) ? 1 : 0;
}
