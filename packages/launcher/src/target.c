/* What a file turns into when it is executed. */
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "memory.h"
#include "own-loader.h"
#include "shebang.h"

/* The kernel gives up (ELOOP) when it has found more interpreters in a row than this. */
enum { SCRIPTS_MAX = 5 };

/* Whether execve could open the file: regular, executable, on a file system that allows it. An empty
 * name is no file, but in a script's first line it is the working directory. */
static int check_executable(void *context, const char *path, bool is_interpreter) {
  (void)context;
  struct stat status;
  if (*path == '\0') return is_interpreter ? EACCES : ENOENT;
  if (stat(path, &status) != 0) return errno;
  if (!S_ISREG(status.st_mode)) return EACCES;
  /* The C library's faccessat would bring code for kernels before 5.8 that starts a process. */
  if (syscall(SYS_faccessat2, AT_FDCWD, path, X_OK, AT_EACCESS) == 0) return 0;
  if (errno != ENOSYS) return errno;
  return access(path, X_OK) == 0 ? 0 : errno;
}

static int open_to_read(void *context, const char *path) {
  (void)context;
  return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

/* Reads the first bytes; zeros follow when there are fewer. */
static int read_head(const struct view *view, const char *path, unsigned char head[HEAD_SIZE],
                     size_t *length) {
  int descriptor = view->open(view->context, path);
  if (descriptor < 0) return errno;
  memset(head, 0, HEAD_SIZE);
  *length = 0;
  while (*length < HEAD_SIZE) {
    ssize_t got = read(descriptor, head + *length, HEAD_SIZE - *length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      int error = errno;
      close(descriptor);
      return error;
    }
    if (got == 0) break;
    *length += (size_t)got;
  }
  close(descriptor);
  return 0;
}

/* argv[0] gives way to: interpreter, its argument if any, path of the script. */
static char **script_argv(char **argv, const struct shebang *shebang, const char *script) {
  size_t count = 0;
  while (argv[count]) count++;
  char **rebuilt = allocate((count + 4) * sizeof *rebuilt);
  size_t used = 0;
  rebuilt[used++] = shebang->interpreter;
  if (shebang->argument) rebuilt[used++] = shebang->argument;
  rebuilt[used++] = (char *)script;
  for (size_t i = 1; i < count; i++) rebuilt[used++] = argv[i];
  rebuilt[used] = NULL;
  return rebuilt;
}

static int fail_to_open(struct failure *failure, int error, const struct target *target,
                        const char *script) {
  int status = error == ENOENT || error == ENOTDIR ? STATUS_NOT_FOUND : STATUS_CANNOT_EXECUTE;
  const char *what = status == STATUS_NOT_FOUND ? "was not found" : "cannot be executed";
  if (!script) {
    if (status == STATUS_NOT_FOUND) {
      return fail(failure, error, status, target->file,
                  ": was not found, give the path of a program that is there", NULL);
    }
    return fail(failure, error, status, target->file, ": cannot be executed (", error_name(error),
                "), it must be a file with execute permission for this user", NULL);
  }
  size_t length = strlen(target->path);
  if (length > 0 && target->path[length - 1] == '\r') {
    return fail(failure, error, status, script,
                ": its first line ends with a carriage return, so its interpreter ", what,
                "; store the script with Unix line ends", NULL);
  }
  return fail(failure, error, status, script, ": its interpreter ", target->path, " ", what, " (",
              error_name(error), "), correct the script's first line or add that program", NULL);
}

static const char *place_of_interpreter(void *context, const char *script, const char *interpreter) {
  return own_interpreter(context, script, interpreter);
}

int find_target(const struct manifest *manifest, const char *file, char **argv, struct target *target,
                struct failure *failure) {
  const struct view own = {.context = (void *)manifest, .check = check_executable, .open = open_to_read,
                           .place = place_of_interpreter};
  return find_target_in(&own, file, argv, target, failure);
}

int find_target_in(const struct view *view, const char *file, char **argv, struct target *target,
                   struct failure *failure) {
  target->file = file;
  target->file_argv = argv;
  target->path = file;
  target->argv = argv;
  target->scripts = 0;
  target->is_moved = false;
  const char *script = NULL;
  for (;;) {
    if (target->scripts > SCRIPTS_MAX) {
      return fail(failure, ELOOP, STATUS_CANNOT_EXECUTE, file,
                  ": is a script whose interpreter is a script, more than five times in a row; "
                  "name a program in the first line",
                  NULL);
    }
    int error = view->check(view->context, target->path, script != NULL);
    if (error != 0) return fail_to_open(failure, error, target, script);
    size_t length = 0;
    error = read_head(view, target->path, target->head, &length);
    if (error != 0) {
      debug(target->path, ": cannot be read (", error_name(error), ")", NULL);
      target->kind = TARGET_HIDDEN;
      return 0;
    }
    if (read_elf(target->head, length, &target->elf)) {
      target->kind = TARGET_ELF;
      return 0;
    }
    struct shebang shebang;
    if (!read_shebang(target->head, &shebang)) {
      target->kind = TARGET_UNKNOWN;
      return 0;
    }
    script = target->path;
    target->argv = script_argv(target->argv, &shebang, script);
    const char *place = view->place ? view->place(view->context, script, shebang.interpreter) : NULL;
    target->path = place ? place : shebang.interpreter;
    target->is_moved = target->is_moved || place;
    target->scripts++;
    debug(script, ": is a script for ", target->path, shebang.argument ? " with " : NULL,
          shebang.argument, NULL);
  }
}
