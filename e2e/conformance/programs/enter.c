/*
 * Prepares what a way of starting children needs of the system, then becomes a program as an ordinary
 * user. For the host's CPU.
 *
 *   enter [-n] [-u UID] [-t] [-m] [-r LINE]... [-l] -- PROGRAM [ARG...]
 *
 * -n: in a user namespace of its own that has all users, so that -r registers for its processes only;
 *     without it, for the whole machine.
 * -t: with the capabilities by which root may trace every process (CAP_SYS_PTRACE, CAP_SYS_ADMIN).
 * -b: below a seccomp listener of somebody else. The kernel allows one: a supervisor has to trace all.
 * -m: a file system of its own at /tmp. A simulated machine's root is a ramfs, which can do less than
 *     what machines have: no leases (Linux 7).
 * -r: a line for binfmt_misc; it is mounted first.
 * -l: no new user namespaces from here on (user.max_user_namespaces = 0).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BINFMT "/proc/sys/fs/binfmt_misc"

static void must(int result, const char *what) {
  if (result >= 0) return;
  fprintf(stderr, "enter: %s: %s\n", what, strerror(errno));
  exit(125);
}

static void put(const char *file, const char *content, const char *what) {
  int descriptor = open(file, O_WRONLY | O_CLOEXEC);
  must(descriptor, file);
  must((int)write(descriptor, content, strlen(content)), what);
  close(descriptor);
}

/* A user namespace that maps every user to itself: a process outside must write the maps. */
static void new_namespace(void) {
  int go[2], done[2];
  char byte = 0, path[64];
  must(pipe2(go, O_CLOEXEC), "pipe");
  must(pipe2(done, O_CLOEXEC), "pipe");
  pid_t parent = getpid(), child = fork();
  must(child, "fork");
  if (child == 0) {
    if (read(go[0], &byte, 1) != 1) _exit(1);
    snprintf(path, sizeof path, "/proc/%d/uid_map", (int)parent);
    put(path, "0 0 4294967295\n", path);
    snprintf(path, sizeof path, "/proc/%d/gid_map", (int)parent);
    put(path, "0 0 4294967295\n", path);
    if (write(done[1], "x", 1) != 1) _exit(1);
    _exit(0);
  }
  must(unshare(CLONE_NEWUSER | CLONE_NEWNS), "unshare");
  must((int)write(go[1], "x", 1), "pipe");
  close(done[1]);
  if (read(done[0], &byte, 1) != 1) must(-1, "maps of users");
  waitpid(child, NULL, 0);
}

/* What the user keeps, and all that it starts. */
static void keep_capabilities(void) {
  static const unsigned kept[] = {CAP_SYS_PTRACE, CAP_SYS_ADMIN};
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct sets[2] = {{0, 0, 0}, {0, 0, 0}};
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) sets[0].permitted |= 1U << kept[i];
  sets[0].effective = sets[0].inheritable = sets[0].permitted;
  must((int)syscall(SYS_capset, &header, sets), "capset");
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
    must(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept[i], 0, 0), "ambient capabilities");
  }
}

/* It is asked of nothing, and open in a process that init adopts. */
static void add_listener(void) {
  struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  struct sock_fprog program = {.len = 1, .filter = &allow};
  int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  must(listener, "seccomp listener");
  pid_t between = fork();
  must(between, "fork");
  if (between == 0) {
    if (fork() != 0) _exit(0);
    setsid();
    prctl(PR_SET_NAME, "a listener", 0, 0, 0);
    for (int i = 0; i < 3; i++) close(i);
    for (;;) pause();
  }
  waitpid(between, NULL, 0);
  close(listener);
}

int main(int argc, char **argv) {
  int mounted = 0, tracer = 0, busy = 0;
  uid_t user = 0;
  for (int option; (option = getopt(argc, argv, "+nltbmu:r:")) != -1;) {
    switch (option) {
      case 'n': new_namespace(); break;
      case 't': tracer = 1; break;
      case 'b': busy = 1; break;
      case 'm': must(mount("tmpfs", "/tmp", "tmpfs", MS_NODEV, "mode=1777"), "mount of /tmp"); break;
      case 'u': user = (uid_t)atoi(optarg); break;
      case 'l': put("/proc/sys/user/max_user_namespaces", "0\n", "max_user_namespaces"); break;
      case 'r':
        if (!mounted++) must(mount("binfmt_misc", BINFMT, "binfmt_misc", 0, NULL), "mount of binfmt_misc");
        put(BINFMT "/register", optarg, optarg);
        break;
      default: return 125;
    }
  }
  if (busy) add_listener();
  if (tracer) must(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "keep capabilities");
  must(setgroups(0, NULL), "setgroups");
  must(setresgid(user, user, user), "setresgid");
  must(setresuid(user, user, user), "setresuid");
  if (tracer) keep_capabilities();
  /* Changing users made the process undumpable; an exec restores that. */
  execv(argv[optind], argv + optind);
  must(-1, argv[optind]);
}
