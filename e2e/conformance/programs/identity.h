/* What a program is across exec: its files, limits, users, signals, and what /proc says of it. */
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "support.h"

static const char *identity_exe(void) { return prints(RUN(TOOL, "other", "link", "/proc/self/exe"), TOOL "\n"); }

static const char *identity_exe_of_link(void) {
  if (symlink(TOOL, "link")) return errno_text("symlink");
  return prints(RUN("./link", "other", "link", "/proc/self/exe"), TOOL "\n");
}

static const char *identity_exe_of_script(void) {
  write_file("script", "#!" TOOL " link\n", 0755);
  struct ran *ran = start("./script", (char *[]){"x", NULL});
  /* The tool reads the link that is named by its argument, the script's path: no link. */
  if (strcmp(ran->out, "errno 22\n")) return ending(ran);
  write_file("script", "#!" GUEST_SHELL "\nreadlink /proc/$$/exe\n", 0755);
  return prints(RUN("./script", "x"), GUEST_SHELL "\n");
}

/* A child that sleeps, for a look from outside. */
static pid_t sleeper(void) {
  int ends[2];
  char line[8];
  if (pipe2(ends, O_CLOEXEC)) abort();
  pid_t child = fork();
  if (child == 0) {
    char *argv[] = {"sleeper", "sleep", "60", NULL};
    dup2(ends[1], 1);
    execv(TOOL, argv);
    _exit(1);
  }
  close(ends[1]);
  if (read(ends[0], line, sizeof line) != 6) abort();
  close(ends[0]);
  return child;
}

static void end(pid_t child) {
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
}

static const char *identity_exe_from_outside(void) {
  char target[4096];
  pid_t child = sleeper();
  ssize_t size = readlink(text("/proc/%d/exe", (int)child), target, sizeof target - 1);
  end(child);
  target[size > 0 ? size : 0] = 0;
  return strcmp(target, TOOL) == 0 ? NULL : text("it links to %s", target);
}

static const char *proc_text(pid_t process, const char *name) {
  static char bytes[8192];
  int file = open(text("/proc/%d/%s", (int)process, name), O_RDONLY | O_CLOEXEC);
  ssize_t size = read(file, bytes, sizeof bytes - 1);
  close(file);
  for (ssize_t i = 0; i + 1 < size; i++) {
    if (bytes[i] == 0) bytes[i] = ' ';
  }
  bytes[size > 0 ? size : 0] = 0;
  return bytes;
}

static const char *identity_cmdline_from_outside(void) {
  pid_t child = sleeper();
  const char *line = proc_text(child, "cmdline");
  end(child);
  return strcmp(line, "sleeper sleep 60") == 0 ? NULL : text("it is %s", line);
}

static const char *identity_comm_from_outside(void) {
  pid_t child = sleeper();
  const char *name = proc_text(child, "comm");
  end(child);
  return strcmp(name, "tool\n") == 0 ? NULL : text("it is %s", name);
}

static const char *identity_environ_from_outside(void) {
  setenv("MARK", "of the parent", 1);
  pid_t child = sleeper();
  const char *variables = proc_text(child, "environ");
  end(child);
  return strstr(variables, "MARK=of the parent") ? NULL : text("it is %.200s", variables);
}

static const char *identity_cmdline(void) {
  return prints(RUN(TOOL, "a name", "file", "/proc/self/cmdline"), "a name file /proc/self/cmdline ");
}

static const char *identity_comm(void) { return prints(RUN(TOOL, "other", "file", "/proc/self/comm"), "tool\n"); }

static const char *identity_set_name(void) {
  char name[32] = "";
  if (prctl(PR_SET_NAME, "new name", 0, 0, 0)) return errno_text("PR_SET_NAME");
  if (prctl(PR_GET_NAME, name, 0, 0, 0)) return errno_text("PR_GET_NAME");
  return strcmp(name, "new name") == 0 ? NULL : name;
}

static const char *identity_execfn(void) {
  struct ran *ran = RUN(TOOL, "other", "auxiliary");
  return prints(ran, "file " TOOL "; page ok; secure 0; random yes\n");
}

static const char *identity_uname(void) {
  const char *name = CPU;
  return prints(RUN(TOOL, "tool", "uname"), text("%s\n", name));
}

static const char *identity_state(void) {
  struct rlimit files = {200, 300}, core = {4096, 8192}, stack = {4 << 20, 16 << 20};
  if (mkdir("place", 0777) || chdir("place")) return errno_text("place");
  umask(0137);
  if (setrlimit(RLIMIT_NOFILE, &files) || setrlimit(RLIMIT_CORE, &core) || setrlimit(RLIMIT_STACK, &stack))
    return errno_text("setrlimit");
  if (setpriority(PRIO_PROCESS, 0, 7)) return errno_text("setpriority");
  char folder[4096];
  if (!getcwd(folder, sizeof folder)) return errno_text("getcwd");
  return prints(RUN(TOOL, "tool", "state"),
                text("cwd %s; umask 137; files 200; core 4096; stack 4194304; nice 7\n", folder));
}

static const char *identity_descriptors(void) {
  /* Just these: none lost, none left behind by whoever starts programs. */
  int zero = open("/dev/null", O_RDWR | O_CLOEXEC);
  dup2(zero, 5);
  dup2(zero, 9);
  int cloexec = fcntl(zero, F_DUPFD_CLOEXEC, 20);
  for (int i = 3; i < 1024; i++) {
    if (i != 5 && i != 9 && i != cloexec) fcntl(i, F_SETFD, FD_CLOEXEC);
  }
  return prints(RUN(TOOL, "tool", "descriptors"), "0 1 2 5 9 \n");
}

static const char *identity_no_descriptor(void) {
  struct ran *ran = RUN(SHELL, "sh", "-c", "exec 0<&- 2>&- " TOOL " descriptors");
  return prints(ran, "1 \n");
}

static const char *identity_descriptor_content(void) {
  write_file("content", "0123456789", 0644);
  int file = open("content", O_RDONLY);
  if (lseek(file, 4, SEEK_SET) != 4) return errno_text("lseek");
  struct ran *ran = RUN(TOOL, "tool", "read-descriptor", text("%d", file));
  if (prints(ran, "456789")) return ending(ran);
  /* The offset is shared. */
  return lseek(file, 0, SEEK_CUR) == 10 ? NULL : text("offset %ld", (long)lseek(file, 0, SEEK_CUR));
}

static void with_signals(const char *path, char *const argv[], char *const env[]) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  sigaddset(&set, SIGALRM);
  sigprocmask(SIG_SETMASK, &set, NULL);
  signal(SIGINT, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGUSR1, (void (*)(int))abort);
  execve(path, argv, env);
}

static const char *identity_signals(void) {
  return prints(RUN_BY(with_signals, TOOL, "tool", "signals"), "blocked 12 14; ignored 2 13; caught\n");
}

static const char *identity_signals_plain(void) {
  return prints(RUN(TOOL, "tool", "signals"), "blocked; ignored; caught\n");
}

static void with_pending(const char *path, char *const argv[], char *const env[]) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_SETMASK, &set, NULL);
  raise(SIGUSR1);
  execve(path, argv, env);
}

static const char *identity_pending(void) {
  struct ran *ran = RUN_BY(with_pending, TOOL, "tool", "line", "/proc/self/status", "SigBlk");
  if (strcmp(ran->out, "SigBlk:\t0000000000000200\n")) return ending(ran);
  ran = RUN_BY(with_pending, TOOL, "tool", "line", "/proc/self/status", "ShdPnd");
  if (strstr(ran->out, "200")) return NULL;
  ran = RUN_BY(with_pending, TOOL, "tool", "line", "/proc/self/status", "SigPnd");
  return strstr(ran->out, "200") ? NULL : ending(ran);
}

static void with_timer(const char *path, char *const argv[], char *const env[]) {
  struct itimerval timer = {{0, 0}, {500, 0}};
  setitimer(ITIMER_REAL, &timer, NULL);
  execve(path, argv, env);
}

static const char *identity_timer(void) { return prints(RUN_BY(with_timer, TOOL, "tool", "timer"), "running\n"); }

static void with_affinity(const char *path, char *const argv[], char *const env[]) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(0, &set);
  sched_setaffinity(0, sizeof set, &set);
  execve(path, argv, env);
}

static const char *identity_affinity(void) { return prints(RUN_BY(with_affinity, TOOL, "tool", "affinity"), "1\n"); }

static const char *identity_users(void) {
  return prints(RUN(TOOL, "tool", "users"),
                text("%d %d %d %d\n", (int)getuid(), (int)geteuid(), (int)getgid(), (int)getegid()));
}

static const char *identity_expected_user(void) {
  return getuid() == 1000 && getgid() == 1000 ? NULL : text("user %d, group %d", (int)getuid(), (int)getgid());
}

static const char *identity_file_owner(void) {
  struct stat info;
  write_file("mine", "", 0644);
  if (stat("mine", &info) || info.st_uid != 1000 || info.st_gid != 1000)
    return text("a new file is of %d, %d", (int)info.st_uid, (int)info.st_gid);
  if (stat("/suite", &info)) return errno_text("/suite");
  return info.st_uid == 0 ? NULL : text("root's folder is of %d", (int)info.st_uid);
}

static const char *identity_user_map(void) {
  unsigned inside = 1, outside = 1, count = 0;
  FILE *file = fopen("/proc/self/uid_map", "r");
  if (!file || fscanf(file, "%u %u %u", &inside, &outside, &count) != 3) return errno_text("uid_map");
  return inside == 0 && count > 1000 ? NULL : text("uid_map %u %u %u", inside, outside, count);
}

static const char *identity_setuid(void) {
  /* A program of the guest's CPU that is root's and has the setuid bit. */
  return prints(RUN("/suite/tool-setuid", "tool", "users"), "1000 0 1000 1000\n");
}

static const char *identity_setuid_host(void) {
  return prints(RUN("/suite/host-tool-setuid", "tool", "users"), "1000 0 1000 1000\n");
}

static const char *identity_no_new_privileges(void) { return prints(RUN(TOOL, "tool", "no-new-privileges"), "0\n"); }

static const char *identity_tracer(void) {
  return prints(RUN(TOOL, "tool", "line", "/proc/self/status", "TracerPid"), "TracerPid:\t0\n");
}

static const char *identity_seccomp(void) {
  return prints(RUN(TOOL, "tool", "line", "/proc/self/status", "Seccomp:"), "Seccomp:\t0\n");
}

static const char *identity_traceme(void) { return prints(RUN(TOOL, "tool", "traceme"), "0\n"); }
static const char *identity_traceme_host(void) { return prints(RUN(HOST_TOOL, "tool", "traceme"), "0\n"); }

static const char *identity_group_and_session(void) {
  int ends[2];
  char got[128] = "";
  if (pipe2(ends, O_CLOEXEC)) return errno_text("pipe2");
  pid_t child = fork();
  if (child == 0) {
    char *argv[] = {"tool", "process", NULL};
    setsid();
    dup2(ends[1], 1);
    execv(TOOL, argv);
    _exit(1);
  }
  close(ends[1]);
  ssize_t size = read(ends[0], got, sizeof got - 1);
  waitpid(child, NULL, 0);
  char *expected = text("pid %d; parent %d; group %d; session %d\n", child, (int)getpid(), child, child);
  return size > 0 && strcmp(got, expected) == 0 ? NULL : text("%s instead of %s", got, expected);
}

static const char *identity_capabilities(void) {
  return prints(RUN(TOOL, "tool", "line", "/proc/self/status", "CapEff"), "CapEff:\t0000000000000000\n");
}

static const char *identity_maps(void) {
  struct ran *ran = RUN(TOOL, "tool", "file", "/proc/self/maps");
  return strstr(ran->out, TOOL) && !strstr(ran->out, "qemu") ? NULL : ending(ran);
}

static const char *identity_stat(void) {
  struct ran *ran = RUN(TOOL, "tool", "file", "/proc/self/stat");
  return strstr(ran->out, " (tool) ") ? NULL : ending(ran);
}

static const char *identity_cpuinfo(void) {
  static const char *const words[][2] = {{"aarch64", "CPU implementer"}, {"x86_64", "GenuineIntel"},
                                         {"x86_64", "AuthenticAMD"},     {"x86_64", "flags"},
                                         {"riscv64", "isa"},             {"s390x", "vendor_id"},
                                         {"ppc64le", "cpu"}};
  struct ran *ran = RUN(TOOL, "tool", "file", "/proc/cpuinfo");
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (strcmp(words[i][0], CPU) == 0 && strstr(ran->out, words[i][1])) return NULL;
  }
  return text("it begins with %.60s", ran->out);
}

static const char *identity_core_pattern(void) {
  /* Files of /proc that are not about the process. */
  return access("/proc/sys/kernel/pid_max", R_OK) == 0 ? NULL : errno_text("pid_max");
}

#define IDENTITY                                                   \
  {"/proc/self/exe", identity_exe},                                \
  {"/proc/self/exe of a program started by a link", identity_exe_of_link}, \
  {"/proc/PID/exe of a script is its shell", identity_exe_of_script}, \
  {"/proc/PID/exe, seen by the parent", identity_exe_from_outside}, \
  {"/proc/self/cmdline", identity_cmdline},                        \
  {"/proc/PID/cmdline, seen by the parent", identity_cmdline_from_outside}, \
  {"/proc/self/comm", identity_comm},                              \
  {"/proc/PID/comm, seen by the parent", identity_comm_from_outside}, \
  {"/proc/PID/environ, seen by the parent", identity_environ_from_outside}, \
  {"/proc/self/maps names the program", identity_maps},            \
  {"/proc/self/stat names the program", identity_stat},            \
  {"/proc/cpuinfo is of the guest's CPU", identity_cpuinfo},       \
  {"other files of /proc", identity_core_pattern},                 \
  {"PR_SET_NAME and PR_GET_NAME", identity_set_name},              \
  {"auxiliary vector", identity_execfn},                           \
  {"uname says the guest's CPU", identity_uname},                  \
  {"cwd, umask, limits and nice value across exec", identity_state}, \
  {"descriptors across exec, and no others", identity_descriptors}, \
  {"closed standard descriptors stay closed", identity_no_descriptor}, \
  {"offset of a descriptor is shared", identity_descriptor_content}, \
  {"blocked, ignored and caught signals across exec", identity_signals}, \
  {"no signal is blocked or ignored at the start", identity_signals_plain}, \
  {"pending signals across exec", identity_pending},               \
  {"interval timer across exec", identity_timer},                  \
  {"CPU affinity across exec", identity_affinity},                 \
  {"user and group", identity_expected_user},                      \
  {"user and group of a child", identity_users},                   \
  {"owners of files", identity_file_owner},                        \
  {"map of user ids", identity_user_map},                          \
  {"setuid program of the guest's CPU", identity_setuid},          \
  {"setuid program of the host's CPU", identity_setuid_host},      \
  {"no_new_privs is off", identity_no_new_privileges},             \
  {"no capabilities of its own", identity_capabilities},           \
  {"TracerPid is 0", identity_tracer},                             \
  {"Seccomp is 0", identity_seccomp},                              \
  {"PTRACE_TRACEME of the guest", identity_traceme},               \
  {"PTRACE_TRACEME of a program of the host's CPU", identity_traceme_host}, \
  {"parent, group and session", identity_group_and_session}
