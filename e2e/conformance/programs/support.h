/* What the checks of the conformance suite share: starting programs and comparing what they say. */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cpu.h"

/* Where the box has its parts (box.ts lays them out). */
#define TOOL "/suite/tool"
#define HOST_TOOL "/suite/host-tool"
#define THIRD_TOOL "/suite/third-tool"
#define SHELL "/bin/sh"             /* of the host's CPU */
#define GUEST_SHELL "/suite/guest/sh" /* of the guest's */

extern char **environ;

/* A check answers NULL when all is as it must be, else what was seen instead. */
typedef const char *check_fn(void);

struct behaviour {
  const char *name;
  check_fn *check;
};

struct ran {
  int error;  /* errno of the exec that failed, else 0 */
  int status; /* as waitpid gives it */
  char out[1 << 16];
};

__attribute__((format(printf, 1, 2), unused)) static char *text(const char *format, ...) {
  char *made;
  va_list args;
  va_start(args, format);
  if (vasprintf(&made, format, args) < 0) abort();
  va_end(args);
  return made;
}

__attribute__((unused)) static char *errno_text(const char *what) { return text("%s: %s", what, strerror(errno)); }

/* Collects what a child writes and how it ended. */
__attribute__((unused)) static void collect(struct ran *ran, pid_t child, int output) {
  size_t used = 0;
  for (ssize_t got; used < sizeof ran->out - 1; used += (size_t)got) {
    got = read(output, ran->out + used, sizeof ran->out - 1 - used);
    if (got < 0 && errno == EINTR) got = 0;
    else if (got <= 0) break;
  }
  ran->out[used] = 0;
  close(output);
  while (waitpid(child, &ran->status, 0) < 0 && errno == EINTR) continue;
}

/* How a child becomes the program: answers only when that failed. */
typedef void become_fn(const char *path, char *const argv[], char *const env[]);

__attribute__((unused)) static void by_execve(const char *path, char *const argv[], char *const env[]) {
  execve(path, argv, env);
}

/* Output and errors of a program in one text. */
__attribute__((unused)) static struct ran *start_by(become_fn *become, const char *path, char *const argv[],
                                                    char *const env[]) {
  struct ran *ran = calloc(1, sizeof *ran);
  int ends[2], failed[2];
  if (!ran || pipe2(ends, O_CLOEXEC) || pipe2(failed, O_CLOEXEC)) abort();
  pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    become(path, argv, env);
    int error = errno;
    if (write(failed[1], &error, sizeof error) < 0) _exit(251);
    _exit(250);
  }
  close(ends[1]);
  close(failed[1]);
  if (child < 0) {
    ran->error = errno;
    return ran;
  }
  collect(ran, child, ends[0]);
  if (read(failed[0], &ran->error, sizeof ran->error) < 0) ran->error = 0;
  close(failed[0]);
  return ran;
}

__attribute__((unused)) static struct ran *start(const char *path, char *const argv[]) {
  return start_by(by_execve, path, argv, environ);
}

#define RUN(path, ...) start(path, (char *[]){__VA_ARGS__, NULL})
#define RUN_BY(become, path, ...) start_by(become, path, (char *[]){__VA_ARGS__, NULL}, environ)

__attribute__((unused)) static char *ending(const struct ran *ran) {
  if (ran->error) return text("exec failed: %s", strerror(ran->error));
  if (WIFSIGNALED(ran->status)) return text("killed by signal %d, after %s", WTERMSIG(ran->status), ran->out);
  return text("status %d, printed %.300s", WEXITSTATUS(ran->status), ran->out);
}

/* That it printed just this and ended with 0. */
__attribute__((unused)) static const char *prints(const struct ran *ran, const char *expected) {
  bool good = !ran->error && ran->status == 0 && strcmp(ran->out, expected) == 0;
  return good ? NULL : ending(ran);
}

__attribute__((unused)) static const char *fails_with(const struct ran *ran, int error) {
  if (ran->error == error) return NULL;
  return text("%s, wanted: %s", ending(ran), strerror(error));
}

/* The CPUs of the programs in the box, with a newline. */
extern const char *host_cpu, *third_cpu;

__attribute__((unused)) static void write_file(const char *path, const char *content, mode_t mode) {
  unlink(path);
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  size_t size = strlen(content);
  if (file < 0 || write(file, content, size) != (ssize_t)size || fchmod(file, mode)) {
    printf("%s: %s\n", path, strerror(errno));
    _exit(99);
  }
  close(file);
}

__attribute__((unused)) static void copy_file(const char *from, const char *to, mode_t mode) {
  static char bytes[1 << 16];
  unlink(to);
  int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
  ssize_t size = -1;
  while (in >= 0 && out >= 0 && (size = read(in, bytes, sizeof bytes)) > 0) {
    if (write(out, bytes, (size_t)size) != size) break;
  }
  if (size != 0 || fchmod(out, mode)) {
    printf("copy of %s: %s\n", from, strerror(errno));
    _exit(99);
  }
  close(in);
  close(out);
}

__attribute__((unused)) static void pause_ms(long ms) {
  struct timespec time = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&time, &time) < 0 && errno == EINTR) continue;
}

#endif
