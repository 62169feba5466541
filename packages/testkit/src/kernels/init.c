/*
 * The first process of a simulated host: runs a list of commands and reports what each printed and
 * how it ended, byte for byte.
 *
 * The list is the file /.testkit/commands: strings that each end with a NUL. For each command:
 *   root, cwd, options, uid, gid, seconds, input, argc, argv..., envc, env...
 * `root` becomes the command's "/" by a mount move (not a chroot, in which the kernel refuses user
 * namespaces). `options` holds letters: r read-only root, p a PID namespace whose first process the
 * command is, n no new privileges, c all capabilities dropped, d no /proc.
 * `input` names the file of standard input, or is empty.
 *
 * Reports go to the console as lines, since a console mixes in what the kernel has to say:
 *   @@ KIND BASE64 CHECKSUM
 * KIND is k (the kernel: release and page size), o (output), e (error output), s (status, signal) or
 * f (a failure of this program); the last line is "@@ end".
 *
 * Started as `init FOLDER` it does the same on this machine: FOLDER becomes its root, and reports go
 * to standard output.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* The bytes of a report's line: short enough for any terminal's input and output queues. */
enum { CHUNK = 600 };

static int console = 1;
static int local;

static void write_all(const char *bytes, size_t size) {
  while (size > 0) {
    ssize_t done = write(console, bytes, size);
    if (done < 0 && errno != EINTR) exit(1);
    if (done > 0) bytes += done, size -= (size_t)done;
  }
}

static void report(char kind, const unsigned char *bytes, size_t size) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  char line[CHUNK * 2];
  uint32_t sum = 2166136261u; /* FNV-1a of the bytes, so that a damaged line is seen. */
  size_t at = (size_t)sprintf(line, "@@ %c ", kind);
  for (size_t i = 0; i < size; i++) sum = (sum ^ bytes[i]) * 16777619u;
  for (size_t i = 0; i < size; i += 3) {
    size_t left = size - i;
    uint32_t group = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                     (left > 2 ? bytes[i + 2] : 0);
    line[at++] = digits[group >> 18];
    line[at++] = digits[group >> 12 & 63];
    line[at++] = left > 1 ? digits[group >> 6 & 63] : '=';
    line[at++] = left > 2 ? digits[group & 63] : '=';
  }
  at += (size_t)sprintf(line + at, " %08x\n", sum);
  write_all(line, at);
}

static void report_text(char kind, const char *format, ...) {
  char text[CHUNK];
  va_list args;
  va_start(args, format);
  int size = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  report(kind, (unsigned char *)text, size < CHUNK ? (size_t)size : CHUNK - 1);
}

static void power_off(int status) {
  if (local) exit(status);
  sync();
  reboot(RB_POWER_OFF);
  for (;;) pause();
}

static void fail(const char *what) {
  report_text('f', "%s: %s", what, strerror(errno));
  power_off(1);
}

static char *cursor, *list_end;

static char *next_string(void) {
  char *text = cursor;
  char *nul = memchr(cursor, 0, (size_t)(list_end - cursor));
  if (!nul) {
    errno = EINVAL;
    fail("/.testkit/commands");
  }
  cursor = nul + 1;
  return text;
}

static long next_number(void) { return strtol(next_string(), 0, 10); }

static char **next_strings(void) {
  long count = next_number();
  char **strings = calloc((size_t)count + 1, sizeof *strings);
  if (!strings) fail("memory");
  for (long i = 0; i < count; i++) strings[i] = next_string();
  return strings;
}

/* In the command's own process, whatever goes wrong is said on its standard error. */
static void must(int result, const char *what) {
  if (result >= 0) return;
  fprintf(stderr, "testkit: %s: %s\n", what, strerror(errno));
  _exit(125);
}

static void make_folder(const char *root, const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", root, name);
  if (mkdir(path, 0755) && errno != EEXIST) must(-1, path);
}

static void bind_device(const char *root, const char *name) {
  char from[64], to[4096];
  snprintf(from, sizeof from, "/dev/%s", name);
  snprintf(to, sizeof to, "%s/dev/%s", root, name);
  int file = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  must(file, to);
  close(file);
  must(mount(from, to, 0, MS_BIND, 0), to);
}

/* What a container engine gives: /proc, a small /dev, and the root in the place of "/". */
static void enter_root(const char *root, const char *options) {
  char path[4096];
  must(unshare(CLONE_NEWNS), "unshare mounts");
  must(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0), "private mounts");
  must(mount(root, root, 0, MS_BIND | MS_REC, 0), "bind root");
  if (strcmp(root, "/")) {
    make_folder(root, "dev");
    snprintf(path, sizeof path, "%s/dev", root);
    must(mount("tmpfs", path, "tmpfs", MS_NOSUID, "mode=755"), path);
    for (const char **name = (const char *[]){"null", "zero", "full", "random", "urandom", "tty", 0};
         *name; name++)
      bind_device(root, *name);
    make_folder(root, "dev/pts");
    snprintf(path, sizeof path, "%s/dev/pts", root);
    must(mount("devpts", path, "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"), path);
    snprintf(path, sizeof path, "%s/dev/ptmx", root);
    must(symlink("pts/ptmx", path), path);
    make_folder(root, "dev/shm");
    snprintf(path, sizeof path, "%s/dev/shm", root);
    must(mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777"), path);
    if (!strchr(options, 'd')) {
      make_folder(root, "proc");
      snprintf(path, sizeof path, "%s/proc", root);
      must(mount("proc", path, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0), path);
    }
  }
  if (strchr(options, 'r')) must(mount(0, root, 0, MS_BIND | MS_REMOUNT | MS_RDONLY, 0), "read-only");
  if (strcmp(root, "/")) {
    must(chdir(root), root);
    must(mount(".", "/", 0, MS_MOVE, 0), "move root");
    must(chroot("."), "chroot");
  }
}

static void drop_capabilities(void) {
  for (int capability = 0; capability <= CAP_LAST_CAP; capability++)
    prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
}

static void clear_capabilities(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
  must((int)syscall(SYS_capset, &header, none), "capset");
}

static void start_command(const char *root, const char *cwd, const char *options, uid_t uid, gid_t gid,
                          int input, int output, int errors, char **argv, char **env) {
  must(dup2(input, 0), "standard input");
  must(dup2(output, 1), "standard output");
  must(dup2(errors, 2), "standard error");
  must((int)close_range(3, ~0U, 0), "close_range");
  setsid();
  enter_root(root, options);
  must(chdir(cwd), cwd);
  if (strchr(options, 'c')) drop_capabilities();
  must(setgroups(0, 0), "setgroups");
  must(setresgid(gid, gid, gid), "setresgid");
  must(setresuid(uid, uid, uid), "setresuid");
  if (strchr(options, 'c')) clear_capabilities();
  if (strchr(options, 'n')) must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
  execve(argv[0], argv, env);
  must(-1, argv[0]);
}

static int64_t milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void run_command(void) {
  char *root = next_string(), *cwd = next_string(), *options = next_string();
  uid_t uid = (uid_t)next_number();
  gid_t gid = (gid_t)next_number();
  int64_t deadline = milliseconds() + next_number() * 1000;
  char *input = next_string(), **argv = next_strings(), **env = next_strings();

  int from[2][2];
  int stdin_file = open(*input ? input : "/dev/null", O_RDONLY | O_CLOEXEC);
  if (stdin_file < 0) fail(input);
  if (pipe2(from[0], O_CLOEXEC) || pipe2(from[1], O_CLOEXEC)) fail("pipe");

  /* vfork-like flags would share memory; plain clone takes a new PID namespace at the fork. */
  unsigned long flags = SIGCHLD | (strchr(options, 'p') ? CLONE_NEWPID : 0);
#ifdef __s390x__
  pid_t child = (pid_t)syscall(SYS_clone, 0, flags, 0, 0, 0);
#else
  pid_t child = (pid_t)syscall(SYS_clone, flags, 0, 0, 0, 0);
#endif
  if (child < 0) fail("clone");
  if (!child)
    start_command(root, cwd, options, uid, gid, stdin_file, from[0][1], from[1][1], argv, env);
  close(stdin_file);
  close(from[0][1]);
  close(from[1][1]);

  struct pollfd ends[2] = {{from[0][0], POLLIN, 0}, {from[1][0], POLLIN, 0}};
  int timed_out = 0, ended = 0, status = 0, silences = 0;
  while (ends[0].fd >= 0 || ends[1].fd >= 0) {
    if (!ended) ended = waitpid(child, &status, WNOHANG) == child;
    if (milliseconds() >= deadline) {
      timed_out = 1;
      break;
    }
    int ready = poll(ends, 2, 100);
    /* Something left behind may hold the pipes open: it is not waited for. */
    if (ready == 0 && ended && ++silences == 3) break;
    if (ready <= 0) continue;
    silences = 0;
    for (int i = 0; i < 2; i++) {
      unsigned char bytes[CHUNK];
      if (ends[i].fd < 0 || !ends[i].revents) continue;
      ssize_t size = read(ends[i].fd, bytes, sizeof bytes);
      if (size > 0)
        report(i ? 'e' : 'o', bytes, (size_t)size);
      else if (size == 0 || errno != EINTR)
        ends[i].fd = -1;
    }
  }
  if (!ended) {
    while (waitpid(child, &status, WNOHANG) != child) {
      if (milliseconds() > deadline) {
        timed_out = 1;
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        break;
      }
      usleep(2000);
    }
  }
  close(from[0][0]);
  close(from[1][0]);
  /* As the first process of its PID namespace, this kills only what the command left behind. */
  kill(-1, SIGKILL);
  while (waitpid(-1, 0, WNOHANG) > 0)
    ;
  report_text('s', "%d %d", timed_out ? -1 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
              !timed_out && WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static void enter_local_root(const char *folder) {
  int status;
  console = dup(1);
  if (unshare(CLONE_NEWNS | CLONE_NEWPID) || mount(0, "/", 0, MS_REC | MS_PRIVATE, 0)) fail("unshare");
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child) {
    if (waitpid(child, &status, 0) != child) fail("waitpid");
    exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  char dev[4096];
  snprintf(dev, sizeof dev, "%s/dev", folder);
  mkdir(dev, 0755);
  if (mount(folder, folder, 0, MS_BIND, 0) || mount("/dev", dev, 0, MS_BIND | MS_REC, 0) || chdir(folder) ||
      mount(".", "/", 0, MS_MOVE, 0) || chroot("."))
    fail(folder);
}

static void enter_machine(void) {
  struct termios raw;
  mkdir("/dev", 0755);
  if (mount("devtmpfs", "/dev", "devtmpfs", 0, 0) && errno != EBUSY) fail("/dev");
  console = open("/dev/console", O_RDWR | O_CLOEXEC | O_NOCTTY);
  if (console < 0) fail("/dev/console");
  if (!tcgetattr(console, &raw)) {
    cfmakeraw(&raw);
    tcsetattr(console, TCSANOW, &raw);
  }
  klogctl(6, 0, 0); /* No kernel messages on the console from here on. */
}

int main(int argc, char **argv) {
  struct utsname kernel;
  umask(022);
  local = argc > 1;
  if (local)
    enter_local_root(argv[1]);
  else
    enter_machine();
  mkdir("/proc", 0755);
  mkdir("/sys", 0755);
  if (mount("proc", "/proc", "proc", 0, 0)) fail("/proc");
  if (mount("sysfs", "/sys", "sysfs", 0, 0)) fail("/sys");
  if (uname(&kernel)) fail("uname");
  report_text('k', "%s %ld", kernel.release, sysconf(_SC_PAGESIZE));

  int file = open("/.testkit/commands", O_RDONLY | O_CLOEXEC);
  struct stat info;
  if (file < 0 || fstat(file, &info)) fail("/.testkit/commands");
  char *list = malloc((size_t)info.st_size);
  if (!list || read(file, list, (size_t)info.st_size) != info.st_size) fail("/.testkit/commands");
  close(file);
  cursor = list;
  list_end = list + info.st_size;
  while (cursor < list_end) run_command();
  write_all("@@ end\n", 7);
  if (!local) tcdrain(console);
  power_off(0);
}
