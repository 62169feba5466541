/* Starting the app. The ways, best first:
 *   1. direct, when the program is of the host's CPU;
 *   2. direct, when the host's kernel may know its CPU, which trying tells;
 *   3. the manifest's emulator for its CPU, another one than QEMU first (translator.c), which the kernel starts where it does so for the programs
 *      that the app starts (exec-way.c);
 *   4. direct, when there is no emulator but the system's binfmt_misc has a registration that fits.
 * PREFER_EMULATED puts the emulator first. Without an emulator the kernel still gets its try. */
#include "start.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "binfmt.h"
#include "exec-filter.h"
#include "exec-way.h"
#include "fatelf.h"
#include "memory.h"
#include "own-loader.h"
#include "settings.h"
#include "target.h"
#include "translator.h"

extern char **environ;

/* Where execvp of the C libraries looks when there is no PATH. */
static const char default_path[] = "/bin:/usr/bin";

static const char *describe(const struct target *target) {
  const char *name = cpu_name(target->elf.cpu);
  if (name) return name;
  return concatenate(decimal(target->elf.cpu.machine),
                     target->elf.cpu.class == CLASS_32 ? ", 32-bit" : ", 64-bit",
                     target->elf.cpu.data == DATA_LSB ? ", little-endian" : ", big-endian");
}

static int exec_direct(const struct target *target, const struct manifest *manifest,
                       const char *why) {
  struct guest_environment guest = {.complete = environ};
  if (target->kind == TARGET_ELF) {
    find_guest_environment(&manifest->surroundings, manifest->folder, &target->elf, NULL, &guest);
  }
  struct own_loader own;
  bool runs_here = target->kind == TARGET_ELF &&
                   (is_host_cpu(target->elf.cpu) || is_compatible_cpu(target->elf.cpu));
  if (runs_here && find_own_loader(manifest, target, guest.complete, &own)) {
    debug(target->file, ": started through its own loader, ", own.file, ": ", why, NULL);
    exec_unsupervised(own.file, own.argv, guest.complete);
  } else {
    const char *file = target->is_moved ? target->path : target->file;
    debug(file, ": started directly: ", why, NULL);
    exec_unsupervised(file, target->is_moved ? target->argv : target->file_argv, guest.complete);
  }
  int error = errno;
  debug(target->file, ": the kernel answers ", error_name(error), NULL);
  return error;
}

/* A path that the emulator cannot take for one of its options. */
static const char *not_an_option(const char *path) {
  return *path == '-' ? concatenate("./", path, "") : path;
}

static int exec_emulator(const struct target *target, const struct emulator *emulator,
                         const struct manifest *manifest, struct failure *failure) {
  const char *file = emulator_path(manifest, emulator);
  size_t count = 0;
  while (target->argv[count]) count++;
  struct guest_environment guest;
  find_guest_environment(&manifest->surroundings, manifest->folder, &target->elf, NULL, &guest);
  char **argv = allocate((emulator->arg_count + guest.option_count + count + 5) * sizeof *argv);
  size_t used = 0;
  argv[used++] = (char *)file;
  for (unsigned i = 0; i < emulator->arg_count; i++) argv[used++] = (char *)emulator->args[i];
  for (unsigned i = 0; i < guest.option_count; i++) argv[used++] = guest.options[i];
  argv[used++] = "-0";
  argv[used++] = target->argv[0];
  argv[used++] = (char *)not_an_option(target->path);
  for (size_t i = 1; i < count; i++) argv[used++] = target->argv[i];
  argv[used] = NULL;

  debug(target->path, ": started with the emulator ", file, NULL);
  exec_unsupervised(file, argv, guest.environment);
  int error = errno;
  if (error == E2BIG) {
    return fail(failure, error, STATUS_CANNOT_EXECUTE, target->file,
                ": its arguments and environment are too long (E2BIG), shorten them", NULL);
  }
  return fail(failure, error, STATUS_OWN_FAULT, file, ": the emulator for ", emulator->name,
              " cannot be executed (", error_name(error), "); ",
              error == ENOEXEC || error == EINVAL
                  ? concatenate("it must be a program of this host's CPU, ", host_name, "")
              : error == ENOENT ? "build this package again with it"
                                : "make it readable and executable for this user",
              NULL);
}

static int fail_direct(const struct target *target, int error, struct failure *failure) {
  const char *file = target->file;
  switch (error) {
    case ENOENT:
      return fail(failure, error, STATUS_NOT_FOUND, file,
                  ": its loader (the ELF interpreter it names) was not found, add the libraries "
                  "it needs or use a static build",
                  NULL);
    case E2BIG:
      return fail(failure, error, STATUS_CANNOT_EXECUTE, file,
                  ": its arguments and environment are too long (E2BIG), shorten them", NULL);
    case ENOEXEC:
      return fail(failure, error, STATUS_CANNOT_EXECUTE, target->path,
                  target->kind == TARGET_HIDDEN
                      ? ": is not of this host's CPU and cannot be read, add read permission"
                      : ": is neither a program nor a script, give a program (ELF) or start the "
                        "script with #! and its interpreter",
                  NULL);
    default:
      return fail(failure, error, STATUS_CANNOT_EXECUTE, file, ": cannot be executed (",
                  error_name(error), "), see what `man execve` says of this error", NULL);
  }
}

static int fail_without_emulator(const struct target *target, const struct manifest *manifest,
                                 struct failure *failure) {
  const char *cpu = describe(target);
  if (!manifest->file) {
    return fail(failure, ENOEXEC, STATUS_CANNOT_EXECUTE, target->path, ": is for the CPU ", cpu,
                ", this host is ", host_name,
                ", and the launcher found no manifest beside itself; name one with --manifest",
                NULL);
  }
  return fail(failure, ENOEXEC, STATUS_CANNOT_EXECUTE, target->path, ": is for the CPU ", cpu,
              ", this host is ", host_name, ", and ", manifest->file,
              " has no emulator for that; build this package again with one", NULL);
}

/* Once for this process: the search in PATH may come here with several files. */
static enum exec_way way_of_children(const struct start *start) {
  static bool prepared;
  static enum exec_way way;
  if (prepared) return way;
  prepared = true;
  way = start->is_interpreted || start->manifest->emulator_count == 0
            ? EXEC_NONE
            : prepare_children(start->manifest, start->settings->way);
  return way;
}

/* Tries to become this file; returns an errno when that failed. */
static int start_file(const struct start *start, const char *file, struct failure *failure) {
  struct target target;
  int error = find_target(start->manifest, file, start->argv, &target, failure);
  if (error != 0) return error;

  if (target.kind == TARGET_UNKNOWN && is_fatelf(target.head, HEAD_SIZE)) {
    struct start part = *start;
    error = prepare_fatelf(&target, start->settings, &part, failure);
    return error == 0 ? start_file(&part, part.program, failure) : error;
  }
  const struct emulator *emulator =
      target.kind == TARGET_ELF ? find_emulator(start->manifest, &target.elf) : NULL;
  bool is_foreign = emulator && !is_host_cpu(target.elf.cpu) && !is_compatible_cpu(target.elf.cpu);
  /* First: what children have to be started with, the trial of a translator must not inherit. */
  bool translated = is_foreign &&
                    translator_serves(start->manifest, emulator, &target, start->is_translated);
  enum exec_way way = way_of_children(start);
  if (target.kind != TARGET_ELF) {
    error = exec_direct(&target, start->manifest, "its CPU cannot be told");
    return fail_direct(&target, error, failure);
  }
  debug(target.path, ": is for ", describe(&target), ", this host is ", host_name, NULL);

  if (translated) exec_translator(start->manifest, &target);
  if (start->preference == PREFER_EMULATED) {
    if (emulator) return exec_emulator(&target, emulator, start->manifest, failure);
    debug("UPORT_PREFER=emulated: there is no emulator for it", NULL);
  }
  if (is_host_cpu(target.elf.cpu)) {
    error = exec_direct(&target, start->manifest, "it is of this host's CPU");
    /* Such as a page size that the program was not linked for. */
    bool refused = error == ENOEXEC || error == EINVAL;
    if (!refused || !emulator) return fail_direct(&target, error, failure);
  } else if (is_compatible_cpu(target.elf.cpu)) {
    error = exec_direct(&target, start->manifest, "this host's kernel may run it");
    bool refused = error == ENOEXEC || error == ENOENT;
    if (!refused || (error == ENOENT && !emulator)) return fail_direct(&target, error, failure);
  } else if (emulator && (way == EXEC_BINFMT || way == EXEC_USERNS)) {
    exec_direct(&target, start->manifest, "as programs that it starts itself are");
  } else if (!emulator && binfmt_fits(&target)) {
    exec_direct(&target, start->manifest, "binfmt_misc starts it");
  } else if (!emulator) {
    error = exec_direct(&target, start->manifest, "there is no emulator for it, the kernel may know one");
    if (error != ENOEXEC) return fail_direct(&target, error, failure);
  }
  if (emulator) return exec_emulator(&target, emulator, start->manifest, failure);
  return fail_without_emulator(&target, start->manifest, failure);
}

static bool goes_on(int error) {
  return error == ENOENT || error == ENOTDIR || error == ESTALE || error == ENODEV ||
         error == ETIMEDOUT || error == EACCES;
}

void start_app(const struct start *start, struct failure *failure) {
  const char *program = start->program;
  if (*program == '\0' || strchr(program, '/')) {
    start_file(start, program, failure);
    return;
  }
  /* As execvp: each folder of PATH in turn, an empty one is the working directory; a file that may
   * not be executed is remembered, the search goes on. */
  const char *path = getenv("PATH");
  if (!path) path = default_path;
  static struct failure denied;
  for (const char *folder = path;; folder++) {
    size_t length = strcspn(folder, ":");
    const char *file = length == 0
                           ? program
                           : concatenate(copy_bytes(folder, length), "/", program);
    int error = start_file(start, file, failure);
    if (failure->status == STATUS_OWN_FAULT || !goes_on(error)) return;
    debug(file, ": ", error_name(error), ", the search in PATH goes on", NULL);
    if (error == EACCES && denied.error == 0) denied = *failure;
    folder += length;
    if (*folder == '\0') break;
  }
  if (denied.error != 0) {
    *failure = denied;
    return;
  }
  fail(failure, ENOENT, STATUS_NOT_FOUND, program, ": was not found in PATH (", path,
       "), give its path or correct PATH", NULL);
}
