/* A dynamic program names its loader by an absolute path (PT_INTERP), where an unpacked app has none.
 * The loader of the app is started instead, as a program, and given the folder of its libraries:
 *
 *   LOADER --argv0 ARGV0 --library-path FOLDER PROGRAM [ARG...]
 *
 * glibc and musl take the same options. The environment stays as it is, so programs of the host that
 * the app starts load their own libraries. /proc/self/exe is the loader. */
#include "own-loader.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"
#include "message.h"

enum {
  SEGMENTS_MAX = 256,
  LOADER_SIZE_MAX = 16 * 1024 * 1024,
};

static bool read_exactly(int file, void *to, size_t size, uint64_t offset) {
  return offset <= INT64_MAX && pread(file, to, size, (off_t)offset) == (ssize_t)size;
}

/* The path in PT_INTERP. The byte order is the host's: its kernel runs the program. */
static bool read_interpreter(int file, uint8_t class, char path[INTERPRETER_SIZE]) {
  union {
    Elf32_Ehdr narrow;
    Elf64_Ehdr wide;
  } header;
  bool is_wide = class == CLASS_64;
  if (!read_exactly(file, &header, is_wide ? sizeof header.wide : sizeof header.narrow, 0)) {
    return false;
  }
  uint64_t table = is_wide ? header.wide.e_phoff : header.narrow.e_phoff;
  unsigned count = is_wide ? header.wide.e_phnum : header.narrow.e_phnum;
  size_t size = is_wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
  for (unsigned i = 0; i < count && i < SEGMENTS_MAX; i++) {
    union {
      Elf32_Phdr narrow;
      Elf64_Phdr wide;
    } segment;
    if (!read_exactly(file, &segment, size, table + i * size)) return false;
    uint32_t type = is_wide ? segment.wide.p_type : segment.narrow.p_type;
    if (type != PT_INTERP) continue;
    uint64_t offset = is_wide ? segment.wide.p_offset : segment.narrow.p_offset;
    uint64_t length = is_wide ? segment.wide.p_filesz : segment.narrow.p_filesz;
    if (length < 2 || length > INTERPRETER_SIZE || !read_exactly(file, path, length, offset)) return false;
    return path[0] == '/' && path[length - 1] == '\0';
  }
  return false;
}

/* Whether a loader knows an option, which its help text tells. */
struct loader_options {
  bool argv0, inhibit_cache;
};

static struct loader_options options_of(const char *loader) {
  struct loader_options known = {false, false};
  struct stat status;
  int file = open(loader, O_RDONLY | O_CLOEXEC);
  if (file < 0) return known;
  if (fstat(file, &status) == 0 && status.st_size > 0 && status.st_size < LOADER_SIZE_MAX) {
    size_t size = (size_t)status.st_size;
    char *bytes = allocate(size);
    if (read_exactly(file, bytes, size, 0)) {
      known.argv0 = memmem(bytes, size, "argv0", 5) != NULL;
      known.inhibit_cache = memmem(bytes, size, "--inhibit-cache", 15) != NULL;
    }
  }
  close(file);
  return known;
}

/* LD_LIBRARY_PATH goes before the app's own libraries, as it does without --library-path. */
static const char *library_path(const char *folder, char **environment) {
  static const char name[] = "LD_LIBRARY_PATH=";
  for (; *environment; environment++) {
    const char *value = *environment + sizeof name - 1;
    if (strncmp(*environment, name, sizeof name - 1) == 0 && *value) {
      return concatenate(value, ":", folder);
    }
  }
  return folder;
}

/* The folder that holds the app's files by their own absolute names, or NULL. */
static const char *unpacked_root(const struct manifest *manifest) {
  bool has_one = manifest->program_count > 0 && manifest->folder && *manifest->folder == '/';
  return has_one ? concatenate(manifest->folder, "root", "") : NULL;
}

static bool is_below(const char *path, const char *folder) {
  size_t length = strlen(folder);
  return strncmp(path, folder, length) == 0 && path[length] == '/';
}

const char *own_interpreter(const struct manifest *manifest, const char *script, const char *interpreter) {
  const char *root = unpacked_root(manifest);
  if (!root || !is_below(script, root) || *interpreter != '/') return NULL;
  static char real[PATH_MAX], real_root[PATH_MAX];
  const char *path = concatenate(root, interpreter, "");
  if (access(path, X_OK) != 0) return NULL;
  /* A link may lead to a file of the host. */
  return realpath(root, real_root) && realpath(path, real) && is_below(real, real_root) ? path : NULL;
}

bool read_program_interpreter(const char *program, uint8_t class, char path[INTERPRETER_SIZE]) {
  int file = open(program, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (file < 0) return false;
  bool found = read_interpreter(file, class, path);
  close(file);
  return found;
}

const char *own_library_folder(const struct manifest *manifest, const char *program, uint8_t class) {
  static char interpreter[INTERPRETER_SIZE], real[PATH_MAX];
  const char *root = unpacked_root(manifest);
  if (!root || !read_program_interpreter(program, class, interpreter)) return NULL;
  if (!realpath(concatenate(root, interpreter, ""), real)) return NULL;
  return copy_bytes(real, (size_t)(strrchr(real, '/') - real));
}

bool names_own_loader(const struct manifest *manifest, int program, uint8_t class) {
  static char interpreter[INTERPRETER_SIZE];
  const char *root = unpacked_root(manifest);
  if (!root) return false;
  const char *name = concatenate("/proc/self/fd/", decimal((uint64_t)program), "");
  int file = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (file < 0) return false;
  bool is_dynamic = read_interpreter(file, class, interpreter);
  close(file);
  return is_dynamic && access(concatenate(root, interpreter, ""), X_OK) == 0;
}

const char *kernel_lacks_options(const struct manifest *manifest) {
  for (unsigned i = 0; i < manifest->emulator_count; i++) {
    const struct emulator *one = &manifest->emulators[i];
    if (is_compatible_cpu(one->cpu) && one->arg_count > 0) {
      return concatenate("the kernel runs programs for ", one->name, " without the app's loader");
    }
  }
  return NULL;
}

bool find_own_loader(const struct manifest *manifest, const struct target *target,
                     char **environment, struct own_loader *found) {
  static char interpreter[INTERPRETER_SIZE], real[PATH_MAX];
  const char *root = unpacked_root(manifest);
  if (!root || !is_below(target->path, root)) return false;

  int file = open(target->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (file < 0) return false;
  bool is_dynamic = read_interpreter(file, target->elf.cpu.class, interpreter);
  close(file);
  if (!is_dynamic) return false;
  const char *loader = concatenate(root, interpreter, "");
  if (access(loader, X_OK) != 0 || !realpath(loader, real)) return false;
  size_t end = (size_t)(strrchr(real, '/') - real);
  const char *folder = library_path(copy_bytes(real, end), environment);

  size_t count = 0;
  while (target->argv[count]) count++;
  struct loader_options known = options_of(real);
  char **argv = allocate((count + 8) * sizeof *argv);
  size_t used = 0;
  argv[used++] = (char *)loader;
  if (known.inhibit_cache) argv[used++] = "--inhibit-cache";
  if (known.argv0) {
    argv[used++] = "--argv0";
    argv[used++] = target->argv[0];
  }
  argv[used++] = "--library-path";
  argv[used++] = (char *)folder;
  argv[used++] = (char *)target->path;
  for (size_t i = 1; i < count; i++) argv[used++] = target->argv[i];
  argv[used] = NULL;
  *found = (struct own_loader){.file = loader, .argv = argv};
  return true;
}
