/* Every way in which a program of the guest's CPU becomes or starts another one of its CPU. */
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mman.h>

#include "support.h"

static const char *exec_static(void) { return prints(RUN(TOOL, "tool", "cpu"), CPU "\n"); }
static const char *exec_dynamic(void) { return prints(RUN("/suite/tool-dynamic", "tool", "cpu"), CPU "\n"); }
static const char *exec_static_pie(void) { return prints(RUN("/suite/tool-pie", "tool", "cpu"), CPU "\n"); }

static void by_path_search(const char *path, char *const argv[], char *const env[]) {
  (void)env;
  execvp(path, argv);
}

static const char *exec_path_search(void) {
  setenv("PATH", "/nowhere:/suite", 1);
  return prints(RUN_BY(by_path_search, "tool", "tool", "arguments", "x"), "[tool][x]\n");
}

static const char *exec_path_goes_on(void) {
  /* A file without the x bit comes first; the search must go on after EACCES. */
  mkdir("early", 0755);
  copy_file(TOOL, "early/tool", 0644);
  setenv("PATH", "early:/suite", 1);
  return prints(RUN_BY(by_path_search, "tool", "tool", "cpu"), CPU "\n");
}

/* Output of a program that posix_spawn starts. */
static const char *spawned(bool search, const char *path, const char *expected) {
  struct ran *ran = calloc(1, sizeof *ran);
  int ends[2];
  pid_t child;
  posix_spawn_file_actions_t actions;
  if (pipe2(ends, O_CLOEXEC)) return errno_text("pipe2");
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  char *argv[] = {"spawned", "arguments", "a b", NULL};
  ran->error = (search ? posix_spawnp : posix_spawn)(&child, path, &actions, NULL, argv, environ);
  close(ends[1]);
  if (ran->error) return ending(ran);
  collect(ran, child, ends[0]);
  return prints(ran, expected);
}

static const char *exec_posix_spawn(void) { return spawned(false, TOOL, "[spawned][a b]\n"); }

static const char *exec_posix_spawnp(void) {
  setenv("PATH", "/nowhere:/suite", 1);
  return spawned(true, "tool", "[spawned][a b]\n");
}

static const char *exec_spawn_error(void) {
  pid_t child;
  char *argv[] = {"x", NULL};
  int error = posix_spawn(&child, "/nowhere/x", NULL, NULL, argv, environ);
  /* QEMU's vfork is a fork, so the error may come as the child's status, 127. */
  return error == ENOENT ? NULL : text("posix_spawn answers %d", error);
}

static const char *exec_vfork(void) {
  int status;
  pid_t child = vfork();
  if (child == 0) {
    char *argv[] = {"tool", "status", "9", NULL};
    execve(TOOL, argv, environ);
    _exit(100);
  }
  if (waitpid(child, &status, 0) != child) return errno_text("waitpid");
  return WIFEXITED(status) && WEXITSTATUS(status) == 9 ? NULL : text("status %#x", status);
}

static const char *exec_vfork_error(void) {
  int status;
  pid_t child = vfork();
  if (child == 0) {
    char *argv[] = {"x", NULL};
    execve("/nowhere/x", argv, environ);
    _exit(errno == ENOENT ? 44 : 45);
  }
  if (waitpid(child, &status, 0) != child) return errno_text("waitpid");
  return WIFEXITED(status) && WEXITSTATUS(status) == 44 ? NULL : text("status %#x", status);
}

static const char *exec_system(void) {
  int status = system("exec " TOOL " status 5");
  return WIFEXITED(status) && WEXITSTATUS(status) == 5 ? NULL : text("system answers %#x", status);
}

static const char *exec_popen(void) {
  char line[64] = "";
  FILE *pipe = popen("echo text | " TOOL " copy", "r");
  if (!pipe) return errno_text("popen");
  bool got = fgets(line, sizeof line, pipe);
  int status = pclose(pipe);
  return got && status == 0 && strcmp(line, "text\n") == 0 ? NULL : text("status %#x, read %s", status, line);
}

static int flags_of_descriptor;

static void by_descriptor(const char *path, char *const argv[], char *const env[]) {
  int file = open(path, O_RDONLY | flags_of_descriptor);
  fexecve(file, argv, env);
}

static const char *exec_descriptor(void) {
  flags_of_descriptor = 0;
  return prints(RUN_BY(by_descriptor, TOOL, "named", "arguments", "x"), "[named][x]\n");
}

static const char *exec_descriptor_cloexec(void) {
  flags_of_descriptor = O_CLOEXEC;
  return prints(RUN_BY(by_descriptor, TOOL, "named", "arguments", "x"), "[named][x]\n");
}

static const char *exec_descriptor_path(void) {
  flags_of_descriptor = O_PATH | O_CLOEXEC;
  return prints(RUN_BY(by_descriptor, TOOL, "named", "cpu"), CPU "\n");
}

static int exec_at(int folder, const char *path, char *const argv[], char *const env[], int flags) {
  return (int)syscall(SYS_execveat, folder, path, argv, env, flags);
}

static void by_folder(const char *path, char *const argv[], char *const env[]) {
  int folder = open("/suite", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  exec_at(folder, path, argv, env, 0);
}

static const char *exec_relative_to_descriptor(void) {
  return prints(RUN_BY(by_folder, "tool", "tool", "cpu"), CPU "\n");
}

static void by_no_follow(const char *path, char *const argv[], char *const env[]) {
  exec_at(AT_FDCWD, path, argv, env, AT_SYMLINK_NOFOLLOW);
}

static const char *exec_no_follow(void) {
  if (symlink(TOOL, "link")) return errno_text("symlink");
  const char *fault = fails_with(RUN_BY(by_no_follow, "link", "tool", "cpu"), ELOOP);
  return fault ? fault : prints(RUN_BY(by_no_follow, TOOL, "tool", "cpu"), CPU "\n");
}

static const char *exec_bad_flags(void) {
  char *argv[] = {"tool", "cpu", NULL};
  int answer = exec_at(AT_FDCWD, TOOL, argv, environ, 0x40000000);
  return answer < 0 && errno == EINVAL ? NULL : text("answers %d, %s", answer, strerror(errno));
}

/* A copy of the tool in memory. */
static int in_memory(const char *from) {
  static char bytes[1 << 16];
  int in = open(from, O_RDONLY | O_CLOEXEC);
  int memory = (int)syscall(SYS_memfd_create, "program", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  for (ssize_t size; (size = read(in, bytes, sizeof bytes)) > 0;) {
    if (write(memory, bytes, (size_t)size) != size) break;
  }
  close(in);
  fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
  return memory;
}

static void by_memory(const char *path, char *const argv[], char *const env[]) {
  fexecve(in_memory(path), argv, env);
}

static const char *exec_memory(void) {
  return prints(RUN_BY(by_memory, TOOL, "from-memory", "arguments"), "[from-memory]\n");
}

static void by_memory_path(const char *path, char *const argv[], char *const env[]) {
  execve(text("/proc/self/fd/%d", in_memory(path)), argv, env);
}

static const char *exec_memory_path(void) {
  return prints(RUN_BY(by_memory_path, TOOL, "from-memory", "arguments"), "[from-memory]\n");
}

static const char *exec_self(void) { return prints(RUN("/proc/self/exe", "suite", "--cpu"), CPU "\n"); }

static const char *exec_self_by_link(void) {
  char path[4096];
  ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
  if (size < 0) return errno_text("readlink");
  path[size] = 0;
  return prints(RUN(path, "suite", "--cpu"), CPU "\n");
}

/* As sanitizers and debuggers do: personality, then the same program again. */
static void by_personality(const char *path, char *const argv[], char *const env[]) {
  syscall(SYS_personality, 0x0040000);
  execve(path, argv, env);
}

static const char *exec_after_personality(void) {
  return prints(RUN_BY(by_personality, "/proc/self/exe", "suite", "--cpu"), CPU "\n");
}

static struct {
  const char *path;
  char *const *argv;
  char *const *env;
} in_thread;

static void *thread_execs(void *unused) {
  execve(in_thread.path, in_thread.argv, in_thread.env);
  return unused;
}

static void *thread_sleeps(void *unused) {
  for (;;) pause();
  return unused;
}

/* Another thread than the first becomes the program, while others sleep. */
static void by_thread(const char *path, char *const argv[], char *const env[]) {
  pthread_t thread;
  in_thread.path = path, in_thread.argv = argv, in_thread.env = env;
  for (int i = 0; i < 4; i++) pthread_create(&thread, NULL, thread_sleeps, NULL);
  pause_ms(20);
  pthread_create(&thread, NULL, thread_execs, NULL);
  pthread_join(thread, NULL);
  errno = ECHILD;
}

static const char *exec_from_thread(void) { return prints(RUN_BY(by_thread, TOOL, "tool", "cpu"), CPU "\n"); }

static void by_first_thread(const char *path, char *const argv[], char *const env[]) {
  pthread_t thread;
  for (int i = 0; i < 4; i++) pthread_create(&thread, NULL, thread_sleeps, NULL);
  pause_ms(20);
  execve(path, argv, env);
}

static const char *exec_beside_threads(void) {
  return prints(RUN_BY(by_first_thread, TOOL, "tool", "cpu"), CPU "\n");
}

static const char *exec_failed_from_thread(void) {
  /* A failed exec leaves the other threads alone. */
  return fails_with(RUN_BY(by_thread, "/nowhere/x", "x"), ECHILD);
}

static void *starts_children(void *result) {
  for (int i = 0; i < 3; i++) {
    const char *fault = prints(RUN(TOOL, "tool", "cpu"), CPU "\n");
    if (fault) *(const char **)result = fault;
  }
  return NULL;
}

static const char *exec_threads_in_parallel(void) {
  enum { THREADS = 4 };
  pthread_t threads[THREADS];
  const char *faults[THREADS] = {0};
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, starts_children, &faults[i]);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < THREADS; i++) {
    if (faults[i]) return faults[i];
  }
  return NULL;
}

static const char *exec_keeps_process(void) {
  int ends[2], status;
  char expected[64], got[64] = "";
  if (pipe2(ends, O_CLOEXEC)) return errno_text("pipe2");
  pid_t child = fork();
  if (child == 0) {
    char *argv[] = {"tool", "chain", "5", TOOL, NULL};
    dup2(ends[1], 1);
    execv(TOOL, argv);
    _exit(1);
  }
  close(ends[1]);
  ssize_t size = read(ends[0], got, sizeof got - 1);
  waitpid(child, &status, 0);
  snprintf(expected, sizeof expected, "end %d\n", (int)child);
  return size > 0 && strcmp(got, expected) == 0 && status == 0 ? NULL : text("status %#x, printed %s", status, got);
}

static const char *exec_odd_names(void) {
  static const char *const names[] = {"a b", "-name", "*?", "\"quoted\"", "l\nine", "\xff\xfe", "#", "%s"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (symlink(TOOL, names[i])) return errno_text(names[i]);
    const char *fault = prints(RUN((char *)names[i], "tool", "cpu"), CPU "\n");
    if (fault) return text("%s: %s", names[i], fault);
  }
  return NULL;
}

static const char *exec_relative(void) {
  mkdir("down", 0755);
  copy_file(TOOL, "down/tool", 0755);
  const char *fault = prints(RUN("./down/tool", "tool", "cpu"), CPU "\n");
  if (fault) return fault;
  if (chdir("down")) return errno_text("chdir");
  fault = prints(RUN("tool", "tool", "cpu"), CPU "\n");
  return fault ? fault : prints(RUN("../down/./tool", "tool", "cpu"), CPU "\n");
}

static const char *exec_links(void) {
  if (symlink(TOOL, "one") || symlink("one", "two")) return errno_text("symlink");
  return prints(RUN("./two", "two", "arguments"), "[two]\n");
}

static const char *exec_unreadable(void) {
  copy_file(TOOL, "unreadable", 0111);
  return prints(RUN("./unreadable", "tool", "cpu"), CPU "\n");
}

static const char *exec_missing(void) { return fails_with(RUN("/nowhere/x", "x"), ENOENT); }
static const char *exec_folder(void) { return fails_with(RUN("/suite", "x"), EACCES); }
static const char *exec_below_file(void) { return fails_with(RUN(TOOL "/x", "x"), ENOTDIR); }

static const char *exec_not_executable(void) {
  copy_file(TOOL, "plain", 0644);
  return fails_with(RUN("./plain", "x"), EACCES);
}

static const char *exec_no_format(void) {
  write_file("text", "neither a program nor a script\n", 0755);
  const char *fault = fails_with(RUN("./text", "x"), ENOEXEC);
  if (fault) return fault;
  write_file("nothing", "", 0755);
  return fails_with(RUN("./nothing", "x"), ENOEXEC);
}

static const char *exec_link_loop(void) {
  if (symlink("loop", "loop")) return errno_text("symlink");
  return fails_with(RUN("./loop", "x"), ELOOP);
}

static const char *exec_long_name(void) {
  char name[8192];
  memset(name, 'x', sizeof name);
  name[sizeof name - 1] = 0;
  return fails_with(RUN(name, "x"), ENAMETOOLONG);
}

static const char *exec_bad_pointer(void) {
  char *argv[] = {"x", NULL};
  syscall(SYS_execve, (void *)8, argv, environ);
  if (errno != EFAULT) return errno_text("bad path");
  syscall(SYS_execve, TOOL, (void *)8, environ);
  return errno == EFAULT ? NULL : errno_text("bad arguments");
}

static const char *exec_busy_text(void) {
  copy_file(TOOL, "busy", 0755);
  int file = open("busy", O_WRONLY | O_CLOEXEC);
  const char *fault = fails_with(RUN("./busy", "tool", "cpu"), ETXTBSY);
  close(file);
  return fault ? fault : prints(RUN("./busy", "tool", "cpu"), CPU "\n");
}

static const char *exec_running_is_busy(void) {
  copy_file(TOOL, "running", 0755);
  int ends[2];
  char line[8];
  if (pipe2(ends, O_CLOEXEC)) return errno_text("pipe2");
  pid_t child = fork();
  if (child == 0) {
    char *argv[] = {"tool", "sleep", "60", NULL};
    dup2(ends[1], 1);
    execv("./running", argv);
    _exit(1);
  }
  close(ends[1]);
  if (read(ends[0], line, sizeof line) != 6) return "the child did not start";
  int file = open("running", O_WRONLY | O_CLOEXEC);
  int error = errno;
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  return file < 0 && error == ETXTBSY ? NULL : text("open for writing: %s", file < 0 ? strerror(error) : "went well");
}

static const char *exec_no_loader(void) {
  return fails_with(RUN("/suite/tool-no-loader", "tool", "cpu"), ENOENT);
}

static const char *exec_deleted(void) {
  copy_file(TOOL, "deleted", 0755);
  int file = open("deleted", O_RDONLY | O_CLOEXEC);
  char *path = text("/proc/self/fd/%d", file);
  unlink("deleted");
  return prints(RUN(path, "tool", "cpu"), CPU "\n");
}

static const char *exec_many(void) {
  for (int i = 0; i < 25; i++) {
    const char *fault = prints(RUN(TOOL, "tool", "status", "0"), "");
    if (fault) return text("child %d: %s", i, fault);
  }
  return NULL;
}

static const char *exec_at_once(void) {
  enum { CHILDREN = 12 };
  pid_t children[CHILDREN];
  for (int i = 0; i < CHILDREN; i++) {
    children[i] = fork();
    if (children[i] == 0) {
      char *argv[] = {"tool", "status", text("%d", i), NULL};
      execv(TOOL, argv);
      _exit(99);
    }
  }
  for (int i = 0; i < CHILDREN; i++) {
    int status;
    if (waitpid(children[i], &status, 0) != children[i]) return errno_text("waitpid");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != i) return text("child %d: status %#x", i, status);
  }
  return NULL;
}

#define EXEC_FORMS                                                     \
  {"exec of a static program", exec_static},                           \
  {"exec of a dynamically linked program", exec_dynamic},              \
  {"exec of a static-pie program", exec_static_pie},                   \
  {"exec by a search in PATH", exec_path_search},                      \
  {"search in PATH goes on after EACCES", exec_path_goes_on},          \
  {"posix_spawn", exec_posix_spawn},                                   \
  {"posix_spawnp", exec_posix_spawnp},                                 \
  {"posix_spawn tells that there is no such file", exec_spawn_error},  \
  {"vfork and exec", exec_vfork},                                      \
  {"vfork and a failed exec", exec_vfork_error},                       \
  {"system", exec_system},                                             \
  {"popen of a pipe", exec_popen},                                     \
  {"fexecve", exec_descriptor},                                        \
  {"fexecve of an O_CLOEXEC descriptor", exec_descriptor_cloexec},     \
  {"fexecve of an O_PATH descriptor", exec_descriptor_path},           \
  {"execveat relative to a folder's descriptor", exec_relative_to_descriptor}, \
  {"execveat with AT_SYMLINK_NOFOLLOW", exec_no_follow},               \
  {"execveat refuses unknown flags", exec_bad_flags},                  \
  {"fexecve of a sealed program in memory", exec_memory},              \
  {"exec of /proc/self/fd/N, a program in memory", exec_memory_path},  \
  {"exec of a deleted file by /proc/self/fd/N", exec_deleted},         \
  {"exec of /proc/self/exe", exec_self},                               \
  {"exec of what /proc/self/exe links to", exec_self_by_link},         \
  {"exec of itself after personality", exec_after_personality},        \
  {"exec from another thread than the first", exec_from_thread},       \
  {"exec from the first thread beside others", exec_beside_threads},   \
  {"failed exec from a thread", exec_failed_from_thread},              \
  {"threads that start programs at the same time", exec_threads_in_parallel}, \
  {"process id across a chain of execs", exec_keeps_process},          \
  {"odd file names", exec_odd_names},                                  \
  {"relative paths, after chdir too", exec_relative},                  \
  {"exec through symbolic links", exec_links},                         \
  {"exec of a program that may not be read", exec_unreadable},         \
  {"ENOENT for a missing file", exec_missing},                         \
  {"ENOENT for a missing loader", exec_no_loader},                     \
  {"EACCES for a folder", exec_folder},                                \
  {"EACCES without the x bit", exec_not_executable},                   \
  {"ENOTDIR below a file", exec_below_file},                           \
  {"ENOEXEC for text and for an empty file", exec_no_format},          \
  {"ELOOP for a loop of links", exec_link_loop},                       \
  {"ENAMETOOLONG", exec_long_name},                                    \
  {"EFAULT for bad pointers", exec_bad_pointer},                       \
  {"ETXTBSY for a program open for writing", exec_busy_text},          \
  {"ETXTBSY for writing to a running program", exec_running_is_busy},  \
  {"25 children one after another", exec_many},                        \
  {"12 children at once", exec_at_once}
