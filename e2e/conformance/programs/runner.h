/* Runs checks one after another, each in a process and a folder of its own, and prints a line for each:
 * "pass NAME" or "fail NAME: what was seen", and then "took N ms: NAME". */
#include <ftw.h>

#include "support.h"

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *level) {
  (void)info, (void)type, (void)level;
  return remove(path);
}

/* In a process and a session of its own: answers by a pipe. */
static void check(const struct behaviour *one, int seconds) {
  struct timespec begin, now;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  int ends[2];
  char folder[] = "/tmp/check-XXXXXX", answer[600] = "";
  if (pipe2(ends, O_CLOEXEC) || !mkdtemp(folder)) exit(3);
  pid_t child = fork();
  if (child == 0) {
    setsid();
    if (chdir(folder)) _exit(3);
    int output = fcntl(ends[1], F_DUPFD_CLOEXEC, 100);
    close(ends[0]), close(ends[1]);
    const char *fault = one->check();
    if (!fault) fault = "";
    size_t size = strlen(fault);
    if (write(output, fault, size > 500 ? 500 : size) < 0) _exit(3);
    _exit(*fault ? 1 : 0);
  }
  close(ends[1]);
  struct pollfd end = {ends[0], POLLIN, 0};
  int ready = 0, status = 0, ended = 0;
  for (int left = seconds * 50; ready == 0 && left > 0; left--) {
    ready = poll(&end, 1, 20);
    /* Process 1 gets what children leave behind. */
    int its;
    for (pid_t one; (one = waitpid(-1, &its, WNOHANG)) > 0;) {
      if (one == child) ended = 1, status = its;
    }
  }
  if (ready == 1 && read(ends[0], answer, sizeof answer - 1) < 0) *answer = 0;
  if (ready != 1) {
    snprintf(answer, sizeof answer, "no answer after %d seconds", seconds);
    kill(child, SIGKILL);
  }
  kill(-child, SIGKILL);
  if (!ended) waitpid(child, &status, 0);
  close(ends[0]);
  if (!*answer && status) snprintf(answer, sizeof answer, "the check ended with status %#x", status);
  for (char *at = answer; *at; at++) {
    if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f) *at = ' ';
  }
  if (*answer) printf("fail %s: %s\n", one->name, answer);
  else printf("pass %s\n", one->name);
  clock_gettime(CLOCK_MONOTONIC, &now);
  printf("took %ld ms: %s\n", (now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000, one->name);
  fflush(stdout);
  nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* All of them, or those that are named. */
static void run_checks(const struct behaviour *list, size_t count, int seconds, char **names) {
  for (size_t i = 0; i < count; i++) {
    bool wanted = !*names;
    for (char **name = names; *name; name++) wanted = wanted || strcmp(*name, list[i].name) == 0;
    if (wanted) check(&list[i], seconds);
  }
}
