/* Starting programs with an emulator other than QEMU:
 *
 *   LOADER --argv0 TRANSLATE --inhibit-cache --library-path FOLDER box64 PROGRAM [ARG...]
 */
#include "translator.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h> /* renameat */
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

#include "descriptors.h"
#include "exec-filter.h"
#include "kernel-version.h"
#include "memory.h"
#include "message.h"
#include "own-loader.h"

extern char **environ;

enum {
  /* Seconds. A machine that is itself emulated needs some. */
  TRIAL_TIME = 60,
  NOTE_SIZE_MAX = 512,
};

const char translator_self[] = "translate";

/* What the last trial said, beside the manifest of an unpacked app. */
static const char note_file[] = "translator";
static const char argv0_name[] = "BOX64_ARG0";
/* Where the x86-64 libraries of distributions lie. */
static const char system_libraries[] =
    "/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu:/usr/local/lib64:/lib64:/usr/lib64:/usr/local/lib:/lib:"
    "/usr/lib";

static const char *last_part(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

bool is_translator_self(void) {
  const char *path = (const char *)getauxval(AT_EXECFN);
  return path && *path == '/' && strcmp(last_part(path), translator_self) == 0;
}

const char *take_translator_argv0(void) {
  const char *value = getenv(argv0_name);
  if (!value) return NULL;
  value = copy_bytes(value, strlen(value));
  unsetenv(argv0_name);
  return value;
}

/* The absolute path of a file of the manifest's folder. */
static const char *beside_manifest(const struct manifest *manifest, const char *name) {
  const struct emulator file = {.path = name};
  return emulator_path(manifest, &file);
}

static const char *own_file(const struct manifest *manifest, const char *name) {
  return beside_manifest(manifest, concatenate(manifest->translator.name, "/", name));
}

static bool is_set(char *const *environment, const char *name) {
  size_t length = strlen(name);
  for (; *environment; environment++) {
    if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=') return true;
  }
  return false;
}

/* What is told by variables, whatever is run. Without a cached description of the machine it would start
 * lscpu, through a shell that may itself be one of the guest's. */
static const char *const settings[] = {
    "BOX64_PREFER_EMULATED=1", "BOX64_NOBANNER=1",  "BOX64_LOG=0",
    "BOX64_NORCFILES=1",       "BOX64_DYNACACHE=0", "BOX64_SYSINFO_CACHED=1",
    "BOX64_SYSINFO_CPUNAME=box64",
};

static const char *count_cpus(void) {
  cpu_set_t set;
  int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  return concatenate("BOX64_SYSINFO_NCPU=", decimal((uint64_t)count), "");
}

/* Variables that are set already stay as they are. */
static void add_setting(char **all, size_t *used, const char *setting) {
  const char *name = copy_bytes(setting, strcspn(setting, "="));
  all[*used] = NULL;
  if (!is_set(all, name)) all[(*used)++] = (char *)setting;
}

/* The caller's environment with what the emulator is told by variables; those that the caller has set
 * stay. The loader would try to preload the guest's libraries: only the emulator is to. */
static char **environment_for(const char *libraries, const char *argv0) {
  static const char preload[] = "LD_PRELOAD=";
  size_t count = 0, used = 0;
  while (environ[count]) count++;
  char **all = allocate((count + sizeof settings / sizeof *settings + 4) * sizeof *all);
  for (size_t i = 0; i < count; i++) {
    bool preloads = strncmp(environ[i], preload, sizeof preload - 1) == 0;
    all[used++] = preloads ? concatenate("BOX64_", environ[i], "") : environ[i];
  }
  if (libraries) {
    add_setting(all, &used, concatenate("BOX64_LD_LIBRARY_PATH=", libraries, ""));
  }
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
    add_setting(all, &used, settings[i]);
  }
  add_setting(all, &used, count_cpus());
  if (argv0) all[used++] = concatenate(argv0_name, "=", argv0);
  all[used] = NULL;
  return all;
}

static char **arguments_for(const struct manifest *manifest, const char *program, char *const *rest) {
  size_t count = 0, used = 0;
  while (rest[count]) count++;
  char **argv = allocate((count + 9) * sizeof *argv);
  argv[used++] = (char *)own_file(manifest, manifest->translator.loader);
  argv[used++] = "--argv0";
  argv[used++] = (char *)beside_manifest(manifest, translator_self);
  argv[used++] = "--inhibit-cache";
  argv[used++] = "--library-path";
  argv[used++] = (char *)beside_manifest(manifest, manifest->translator.name);
  argv[used++] = (char *)own_file(manifest, manifest->translator.name);
  argv[used++] = (char *)program;
  for (size_t i = 0; i < count; i++) argv[used++] = rest[i];
  argv[used] = NULL;
  return argv;
}

static const char *read_note(const struct manifest *manifest) {
  static char note[NOTE_SIZE_MAX + 1];
  const char *path = concatenate(manifest->folder, note_file, "");
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (file < 0) return NULL;
  ssize_t size = read(file, note, NOTE_SIZE_MAX);
  close(file);
  if (size <= 0 || note[size - 1] != '\n') return NULL;
  note[size - 1] = '\0';
  return note;
}

static void write_note(const struct manifest *manifest, const char *text) {
  const char *path = concatenate(manifest->folder, note_file, "");
  const char *temporary = concatenate(path, ".", decimal((uint64_t)getpid()));
  int file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return;
  const char *line = concatenate(text, "\n", "");
  bool written = write(file, line, strlen(line)) == (ssize_t)strlen(line);
  if (close(file) != 0 || !written || rename(temporary, path) != 0) unlink(temporary);
}

/* In the child. */
__attribute__((noreturn)) static void run_trial(const struct manifest *manifest) {
  static char *none[] = {NULL};
  struct sigaction standard = {.sa_handler = SIG_DFL};
  sigset_t nothing;
  sigaction(SIGALRM, &standard, NULL);
  sigemptyset(&nothing);
  sigprocmask(SIG_SETMASK, &nothing, NULL);
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  close_all(0, null < 0 ? NULL : (int[]){null, -1});
  for (int one = 0; null >= 0 && one < 3; one++) dup2(null, one);
  alarm(TRIAL_TIME);
  char **argv = arguments_for(manifest, own_file(manifest, "probe"), none);
  execve(argv[0], argv, environment_for(NULL, NULL));
  _exit(STATUS_CANNOT_EXECUTE);
}

/* NULL, or why it does not work. */
static const char *try_it(const struct manifest *manifest) {
  /* Who ignores SIGCHLD is told no exit status. */
  struct sigaction standard = {.sa_handler = SIG_DFL}, before;
  sigaction(SIGCHLD, &standard, &before);
  pid_t child = fork();
  if (child == 0) run_trial(manifest);
  int status = 0, error = child < 0 ? errno : 0;
  while (child > 0 && waitpid(child, &status, 0) < 0) {
    if (errno == EINTR) continue;
    error = errno;
    break;
  }
  sigaction(SIGCHLD, &before, NULL);
  if (error != 0) return concatenate("no trial could be made (", error_name(error), ")");
  if (WIFSIGNALED(status)) {
    int number = WTERMSIG(status);
    return number == SIGALRM ? "its trial did not end"
                             : concatenate("its trial was ended by signal ",
                                           decimal((uint64_t)number), "");
  }
  unsigned code = (unsigned)WEXITSTATUS(status);
  if (code == STATUS_CANNOT_EXECUTE) return "it cannot be executed";
  return code == 0 ? NULL : concatenate("its trial ended with ", decimal(code), "");
}

/* A new kernel is a new chance, and a new risk. */
static const char *reason_against(const struct manifest *manifest) {
  /* Only a cache is ours to write in. */
  bool remembers = manifest->unpacked_count > 0;
  const char *works = concatenate("works with Linux ", kernel_release(), "");
  const char *fails = concatenate("fails with Linux ", kernel_release(), ": ");
  const char *note = remembers ? read_note(manifest) : NULL;
  if (note && strcmp(note, works) == 0) return NULL;
  if (note && strncmp(note, fails, strlen(fails)) == 0) return note + strlen(fails);
  const char *reason = try_it(manifest);
  debug(manifest->translator.name, ": its trial ", reason ? "failed: " : "went well", reason, NULL);
  if (remembers) write_note(manifest, reason ? concatenate(fails, reason, "") : works);
  return reason;
}

/* NULL, or why this is no program for it. */
static const char *unsuitable(const struct target *target) {
  static char interpreter[INTERPRETER_SIZE];
  if (!read_program_interpreter(target->path, target->elf.cpu.class, interpreter)) {
    return "static programs are not for it";
  }
  static const char glibc[] = "ld-linux-x86-64.so.";
  if (strncmp(last_part(interpreter), glibc, sizeof glibc - 1) == 0) return NULL;
  return "programs of other C libraries than glibc are not for it";
}

bool translator_serves(const struct manifest *manifest, const struct emulator *emulator,
                       const struct target *target, bool is_tried) {
  if (!manifest->has_translator || strcmp(manifest->translator.guest, emulator->name) != 0) {
    return false;
  }
  const char *reason = unsuitable(target);
  if (!reason && !is_tried) reason = reason_against(manifest);
  if (!reason) return true;
  debug(target->path, ": ", manifest->translator.name, " is passed over for qemu-", emulator->name,
        ": ", reason, NULL);
  return false;
}

int exec_translator(const struct manifest *manifest, const struct target *target) {
  const char *loaded = own_library_folder(manifest, target->path, target->elf.cpu.class);
  const char *libraries = loaded ? loaded : system_libraries;
  /* It would look for a name without a slash in PATH. */
  const char *program = strchr(target->path, '/') && *target->path != '-'
                            ? target->path
                            : concatenate("./", target->path, "");
  const char *argv0 = strcmp(target->argv[0], program) == 0 ? NULL : target->argv[0];
  char **argv = arguments_for(manifest, program, *target->argv ? target->argv + 1 : target->argv);
  debug(target->path, ": started with ", manifest->translator.name, ", ",
        own_file(manifest, manifest->translator.name), NULL);
  exec_unsupervised(argv[0], argv, environment_for(libraries, argv0));
  int error = errno;
  debug(argv[0], ": cannot be executed (", error_name(error), ")", NULL);
  return error;
}
