/* The launcher's manifest. */
#include "manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"
#include "message.h"

static const char first_line[] = "uport-manifest 1";
static const char advice[] =
    "; this package is damaged or newer than its launcher, build it again";

/* One more than can be in a good file, so that a larger one is noticed; one for fields.h. */
static char bytes[MANIFEST_SIZE_MAX + 2];

void read_emulator_cpu(struct fields *fields, struct emulator *emulator) {
  emulator->name = name_field(fields);
  emulator->cpu.machine = (uint16_t)number_field(fields, 0xffff);
  emulator->cpu.class = choice_field(fields, "32", "64", "class that is neither 32 nor 64");
  emulator->cpu.data = choice_field(fields, "lsb", "msb", "byte order that is neither lsb nor msb");
  emulator->flags_mask = (uint32_t)number_field(fields, 0xffffffff);
  emulator->flags_value = (uint32_t)number_field(fields, 0xffffffff);
  if (emulator->flags_value & ~emulator->flags_mask) broken(fields, "flags outside their mask");
}

void read_emulator_args(struct fields *fields, struct emulator *emulator) {
  emulator->arg_count = 0;
  for (char *arg; (arg = next_field(fields)) != NULL;) {
    if (emulator->arg_count == EMULATOR_ARGS_MAX) broken(fields, "more than 32 arguments");
    emulator->args[emulator->arg_count++] = decode_field(fields, arg);
  }
}

static const char *path_field(struct fields *fields) {
  char *path = decode_field(fields, need_field(fields));
  if (*path == '\0') broken(fields, "empty path");
  return path;
}

static void read_emulator(struct fields *fields, struct manifest *manifest) {
  if (manifest->emulator_count == EMULATORS_MAX) broken(fields, "more than 64 emulators");
  struct emulator *emulator = &manifest->emulators[manifest->emulator_count++];
  read_emulator_cpu(fields, emulator);
  emulator->path = path_field(fields);
  read_emulator_args(fields, emulator);
}

void read_translator(struct fields *fields, struct translator *translator) {
  translator->guest = name_field(fields);
  translator->name = name_field(fields);
  if (strcmp(translator->name, "box64") != 0) broken(fields, "emulator that is not known");
  translator->loader = file_name_field(fields);
  need_end(fields);
}

static void read_manifest_translator(struct fields *fields, struct manifest *manifest) {
  if (manifest->has_translator) broken(fields, "keyword that is unknown or out of order");
  manifest->has_translator = true;
  read_translator(fields, &manifest->translator);
  for (unsigned i = 0; i < manifest->emulator_count; i++) {
    if (strcmp(manifest->emulators[i].name, manifest->translator.guest) == 0) return;
  }
  broken(fields, "translator for programs that have no emulator");
}

void read_program_args(struct fields *fields, const char ***args, unsigned *count) {
  for (char *arg; (arg = next_field(fields)) != NULL;) {
    if (*count == PROGRAM_ARGS_MAX) broken(fields, "more than 32 arguments");
    *args = grow(*args, *count, sizeof **args);
    (*args)[(*count)++] = decode_field(fields, arg);
  }
}

static void read_program(struct fields *fields, struct manifest *manifest) {
  if (manifest->program_count == PROGRAMS_MAX) broken(fields, "more than 512 programs");
  struct program *program = &manifest->programs[manifest->program_count++];
  *program = (struct program){.name = decode_field(fields, need_field(fields))};
  program->path = path_field(fields);
  read_program_args(fields, &program->args, &program->arg_count);
}

static void read_defaults(struct fields *fields, struct manifest *manifest) {
  struct program *program = &manifest->programs[manifest->program_count - 1];
  if (program->default_count > 0) broken(fields, "keyword that is unknown or out of order");
  read_program_args(fields, &program->defaults, &program->default_count);
  if (program->default_count == 0) broken(fields, "too few fields");
}

static void read_unpacked(struct fields *fields, struct manifest *manifest) {
  if (manifest->unpacked_count == UNPACKED_MAX) broken(fields, "more than 1024 unpacked files");
  struct unpacked *unpacked = &manifest->unpacked[manifest->unpacked_count++];
  unpacked->path = path_field(fields);
  unpacked->size = number_field(fields, NUMBER_MAX);
  need_end(fields);
}

/* The folder part of a path, with its slash. */
static const char *folder_of(const char *file) {
  const char *slash = strrchr(file, '/');
  return slash ? copy_bytes(file, (size_t)(slash - file) + 1) : "";
}

static void read_text(struct fields *fields, struct manifest *manifest) {
  if (fields->stop - fields->next > MANIFEST_SIZE_MAX) {
    fields->line = 1;
    broken(fields, "more than 65536 bytes in all");
  }
  need_first_line(fields, first_line);
  while (next_line(fields)) {
    const char *keyword = need_field(fields);
    const struct surroundings *surroundings = &manifest->surroundings;
    bool surrounded = surroundings->has_guest || surroundings->setting_count > 0 ||
                      surroundings->workdir != NULL || surroundings->whole_root;
    bool before_programs = manifest->program_count == 0 && manifest->unpacked_count == 0;
    if (strcmp(keyword, "emulator") == 0 && before_programs && !surrounded &&
        !manifest->has_translator) {
      read_emulator(fields, manifest);
    } else if (strcmp(keyword, "translator") == 0 && before_programs && !surrounded) {
      read_manifest_translator(fields, manifest);
    } else if (before_programs &&
               read_surroundings(fields, keyword, false, &manifest->surroundings)) {
      continue;
    } else if (strcmp(keyword, "program") == 0 && manifest->unpacked_count == 0) {
      read_program(fields, manifest);
    } else if (strcmp(keyword, "defaults") == 0 && manifest->program_count > 0 &&
               manifest->unpacked_count == 0) {
      read_defaults(fields, manifest);
    } else if (strcmp(keyword, "unpacked") == 0) {
      read_unpacked(fields, manifest);
    } else {
      broken(fields, "keyword that is unknown or out of order");
    }
  }
}

/* All of an opened file, as far as the buffer goes, or -1. */
static ssize_t read_all(int descriptor) {
  size_t size = 0;
  ssize_t got = 1;
  while (got > 0 && size <= MANIFEST_SIZE_MAX) {
    got = read(descriptor, bytes + size, MANIFEST_SIZE_MAX + 1 - size);
    if (got > 0) size += (size_t)got;
  }
  return got < 0 ? -1 : (ssize_t)size;
}

static void clear(struct manifest *manifest) {
  manifest->file = NULL;
  manifest->emulator_count = 0;
  manifest->has_translator = false;
  manifest->surroundings.has_guest = false;
  manifest->surroundings.setting_count = 0;
  manifest->surroundings.workdir = NULL;
  manifest->surroundings.whole_root = false;
  manifest->program_count = 0;
  manifest->unpacked_count = 0;
}

/* At the start of an emulator's argument: the manifest's folder. */
static const char folder_mark[] = "$FOLDER/";

static void finish(struct manifest *manifest, const char *file) {
  manifest->file = file;
  manifest->folder = folder_of(file);
  for (unsigned i = 0; i < manifest->emulator_count; i++) {
    struct emulator *one = &manifest->emulators[i];
    for (unsigned arg = 0; arg < one->arg_count; arg++) {
      size_t mark = strlen(folder_mark);
      if (strncmp(one->args[arg], folder_mark, mark) != 0) continue;
      one->args[arg] = concatenate(manifest->folder, one->args[arg] + mark, "");
    }
  }
  debug("manifest ", file, " has ", decimal(manifest->emulator_count), " emulators", NULL);
}

void read_manifest(const char *file, bool required, struct manifest *manifest) {
  clear(manifest);
  int descriptor = file ? open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
  if (descriptor < 0) {
    if (!file || (!required && errno == ENOENT)) {
      debug("no manifest", file ? " at " : "", file, NULL);
      return;
    }
    die(STATUS_OWN_FAULT, file, ": cannot be opened (", error_name(errno),
        "), give a manifest that can be read", NULL);
  }
  ssize_t size = read_all(descriptor);
  if (size < 0) {
    die(STATUS_OWN_FAULT, file, ": cannot be read (", error_name(errno),
        "), give a manifest that can be read", NULL);
  }
  close(descriptor);
  struct fields fields;
  start_fields(&fields, file, advice, bytes, (size_t)size);
  read_text(&fields, manifest);
  finish(manifest, file);
}

bool read_folder_manifest(int folder, const char *path, struct manifest *manifest) {
  clear(manifest);
  int descriptor = openat(folder, "manifest", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (descriptor < 0) return false;
  ssize_t size = read_all(descriptor);
  close(descriptor);
  if (size < 0) return false;
  const char *file = concatenate(path, "manifest", "");
  struct fields fields;
  start_fields(&fields, file, advice, bytes, (size_t)size);
  jmp_buf damaged;
  fields.broken = &damaged;
  if (setjmp(damaged) != 0) {
    clear(manifest);
    return false;
  }
  read_text(&fields, manifest);
  finish(manifest, file);
  return true;
}

const struct emulator *find_emulator(const struct manifest *manifest, const struct elf *elf) {
  for (unsigned i = 0; i < manifest->emulator_count; i++) {
    const struct emulator *one = &manifest->emulators[i];
    if (one->cpu.machine == elf->cpu.machine && one->cpu.class == elf->cpu.class &&
        one->cpu.data == elf->cpu.data && (elf->flags & one->flags_mask) == one->flags_value) {
      return one;
    }
  }
  return NULL;
}

const char *emulator_path(const struct manifest *manifest, const struct emulator *emulator) {
  static char folder[PATH_MAX];
  const char *path = *emulator->path == '/' ? emulator->path
                                            : concatenate(manifest->folder, emulator->path, "");
  if (*path == '/' || !getcwd(folder, sizeof folder)) return path;
  return concatenate(folder, "/", path);
}

const struct program *find_program(const struct manifest *manifest, const char *argv0) {
  const char *slash = strrchr(argv0, '/');
  const char *name = slash ? slash + 1 : argv0;
  for (unsigned i = 0; i < manifest->program_count; i++) {
    if (strcmp(manifest->programs[i].name, name) == 0) return &manifest->programs[i];
  }
  return manifest->program_count > 0 ? &manifest->programs[0] : NULL;
}

static char *start_line(char *to, const char *end, const char *keyword) {
  size_t size = strlen(keyword);
  if (!to || (size_t)(end - to) < size) return NULL;
  memcpy(to, keyword, size);
  return to + size;
}

static char *end_line(char *to, const char *end) {
  if (!to || to == end) return NULL;
  *to++ = '\n';
  return to;
}

const char *encode_manifest(const struct manifest *manifest, size_t *size) {
  static char text[MANIFEST_SIZE_MAX];
  const char *end = text + sizeof text;
  char *to = end_line(start_line(text, end, first_line), end);
  for (unsigned i = 0; i < manifest->emulator_count; i++) {
    const struct emulator *one = &manifest->emulators[i];
    to = put_text(start_line(to, end, "emulator"), end, one->name);
    to = put_text(to, end, decimal(one->cpu.machine));
    to = put_text(to, end, one->cpu.class == CLASS_32 ? "32" : "64");
    to = put_text(to, end, one->cpu.data == DATA_LSB ? "lsb" : "msb");
    to = put_text(to, end, decimal(one->flags_mask));
    to = put_text(to, end, decimal(one->flags_value));
    to = put_encoded(to, end, one->path);
    for (unsigned arg = 0; arg < one->arg_count; arg++) to = put_encoded(to, end, one->args[arg]);
    to = end_line(to, end);
  }
  if (manifest->has_translator) {
    to = put_text(start_line(to, end, "translator"), end, manifest->translator.guest);
    to = put_text(to, end, manifest->translator.name);
    to = end_line(put_encoded(to, end, manifest->translator.loader), end);
  }
  to = put_surroundings(to, end, &manifest->surroundings);
  for (unsigned i = 0; i < manifest->program_count; i++) {
    const struct program *one = &manifest->programs[i];
    to = put_encoded(start_line(to, end, "program"), end, one->name);
    to = put_encoded(to, end, one->path);
    for (unsigned arg = 0; arg < one->arg_count; arg++) to = put_encoded(to, end, one->args[arg]);
    to = end_line(to, end);
    if (one->default_count == 0) continue;
    to = start_line(to, end, "defaults");
    for (unsigned arg = 0; arg < one->default_count; arg++) {
      to = put_encoded(to, end, one->defaults[arg]);
    }
    to = end_line(to, end);
  }
  for (unsigned i = 0; i < manifest->unpacked_count; i++) {
    const struct unpacked *one = &manifest->unpacked[i];
    to = put_encoded(start_line(to, end, "unpacked"), end, one->path);
    to = end_line(put_text(to, end, decimal(one->size)), end);
  }
  *size = to ? (size_t)(to - text) : 0;
  return to ? text : NULL;
}

void print_manifest(const struct manifest *manifest) {
  size_t size;
  const char *text = encode_manifest(manifest, &size);
  if (!text) die(STATUS_OWN_FAULT, manifest->file, ": is too large to print", NULL);
  for (ssize_t written; size > 0; text += written, size -= (size_t)written) {
    written = write(STDOUT_FILENO, text, size);
    if (written <= 0) die(STATUS_OWN_FAULT, "standard output: cannot be written", NULL);
  }
}
