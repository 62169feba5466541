/* FatELF files: one with a payload is a universal file and starts as such. In any other the program
 * for this host is looked for: of its own CPU, of one that its kernel may run, of one that there is
 * an emulator for. */
#include "fatelf.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "binfmt.h"
#include "memory.h"
#include "part.h"
#include "payload.h"
#include "universal.h"

enum {
  HEADER_SIZE = 8,
  RECORD_SIZE = 24,
  RECORDS_MAX = 255,
  ALIGNMENT = 4096,
  VERSION = 1,
  OSABI_AT = 7, /* in an ELF header; its version follows */
};

static const unsigned char magic[4] = {0xfa, 0x70, 0x0e, 0x1f};

struct record {
  uint64_t offset;
  uint64_t size;
  bool sound; /* the ELF header there is the one that the record tells of */
  struct elf elf;
  unsigned char head[HEAD_SIZE];
};

static struct {
  struct payload source; /* the whole file */
  uint64_t file_size;
  uint64_t end; /* of the last program */
  struct record records[RECORDS_MAX];
  unsigned count;
} fatelf;

bool is_fatelf(const unsigned char head[HEAD_SIZE], size_t length) {
  return length >= HEADER_SIZE && memcmp(head, magic, sizeof magic) == 0;
}

static int damaged_file(struct failure *failure, const char *what) {
  return fail(failure, ENOEXEC, STATUS_CANNOT_EXECUTE, fatelf.source.file, ": is a damaged FatELF file: ",
              what, "; `uport fatelf validate` tells more, get the file again", NULL);
}

static void read_record(const unsigned char *bytes, struct record *record) {
  struct cpu cpu = {.machine = (uint16_t)little_endian(bytes, 2), .class = bytes[4],
                    .data = bytes[5]};
  size_t size = record->size < HEAD_SIZE ? (size_t)record->size : HEAD_SIZE;
  memset(record->head, 0, HEAD_SIZE);
  size_t got = read_at(&fatelf.source, record->offset, record->head, size);
  record->sound = read_elf(record->head, got, &record->elf) &&
                  record->elf.cpu.machine == cpu.machine && record->elf.cpu.class == cpu.class &&
                  record->elf.cpu.data == cpu.data && record->head[OSABI_AT] == bytes[2] &&
                  record->head[OSABI_AT + 1] == bytes[3];
  record->elf.cpu = cpu;
}

/* Reads the table and looks at each program's header. */
static int read_table(struct failure *failure) {
  unsigned char bytes[HEADER_SIZE + RECORDS_MAX * RECORD_SIZE];
  if (read_at(&fatelf.source, 0, bytes, HEADER_SIZE) != HEADER_SIZE) {
    return damaged_file(failure, "it is cut off");
  }
  if (little_endian(bytes + 4, 2) != VERSION) {
    return fail(failure, ENOEXEC, STATUS_CANNOT_EXECUTE, fatelf.source.file,
                ": is a FatELF file of version ", decimal(little_endian(bytes + 4, 2)),
                ", only version 1 is known; make it again", NULL);
  }
  fatelf.count = bytes[6];
  size_t table_size = HEADER_SIZE + fatelf.count * RECORD_SIZE;
  if (fatelf.count == 0) return damaged_file(failure, "it holds no program");
  if (bytes[7] != 0 || read_at(&fatelf.source, 0, bytes, table_size) != table_size) {
    return damaged_file(failure, "its table is wrong or cut off");
  }
  fatelf.end = table_size;
  for (unsigned i = 0; i < fatelf.count; i++) {
    const unsigned char *at = bytes + HEADER_SIZE + i * RECORD_SIZE;
    struct record *record = &fatelf.records[i];
    record->offset = little_endian(at + 8, 8);
    record->size = little_endian(at + 16, 8);
    if (record->offset % ALIGNMENT != 0 || record->offset < table_size ||
        record->offset > fatelf.file_size || record->size > fatelf.file_size - record->offset) {
      return damaged_file(failure, "a program in it lies outside of it or in a wrong place");
    }
    if (record->offset + record->size > fatelf.end) fatelf.end = record->offset + record->size;
    read_record(at, record);
  }
  return 0;
}

static bool has_emulator(const struct record *record, const struct start *start) {
  return find_emulator(start->manifest, &record->elf) != NULL;
}

static bool is_of_host(const struct record *record, const struct start *start) {
  (void)start;
  return is_host_cpu(record->elf.cpu);
}

static bool is_compatible(const struct record *record, const struct start *start) {
  (void)start;
  return is_compatible_cpu(record->elf.cpu);
}

static bool is_registered(const struct record *record, const struct start *start) {
  static struct target target;
  target = (struct target){.file = fatelf.source.file, .file_argv = start->argv, .kind = TARGET_ELF,
                           .path = fatelf.source.file, .argv = start->argv, .elf = record->elf};
  memcpy(target.head, record->head, HEAD_SIZE);
  return binfmt_fits(&target);
}

typedef bool criterion(const struct record *record, const struct start *start);

static const struct record *choose(const struct start *start) {
  static criterion *const native_first[] = {is_of_host, is_compatible, has_emulator,
                                            is_registered};
  static criterion *const emulated_first[] = {has_emulator, is_of_host, is_compatible,
                                              is_registered};
  criterion *const *order =
      start->preference == PREFER_EMULATED ? emulated_first : native_first;
  for (unsigned way = 0; way < sizeof native_first / sizeof *native_first; way++) {
    for (unsigned i = 0; i < fatelf.count; i++) {
      if (order[way](&fatelf.records[i], start)) return &fatelf.records[i];
    }
  }
  return NULL;
}

static const char *name_of(const struct record *record) {
  const char *name = cpu_name(record->elf.cpu);
  return name ? name : concatenate("machine ", decimal(record->elf.cpu.machine), "");
}

static int fail_without_part(struct failure *failure) {
  const char *names = "";
  for (unsigned i = 0; i < fatelf.count; i++) {
    names = concatenate(names, i == 0 ? "" : ", ", name_of(&fatelf.records[i]));
  }
  return fail(failure, ENOEXEC, STATUS_CANNOT_EXECUTE, fatelf.source.file, ": has programs for ", names,
              ", this host is ", host_name,
              ", and there is no emulator for them; register one with `uport binfmt`", NULL);
}

static int prepare_part(const struct settings *settings, struct start *start,
                        struct failure *failure) {
  int error = read_table(failure);
  if (error != 0) return error;
  const struct record *record = choose(start);
  if (!record) return fail_without_part(failure);
  const char *name = name_of(record);
  if (!record->sound) {
    return damaged_file(failure, concatenate("its program for ", name,
                                             " is not the one that its table tells of"));
  }
  debug(fatelf.source.file, ": its program for ", name, " is taken", NULL);
  struct part part = {.file = fatelf.source.file, .descriptor = fatelf.source.descriptor,
                      .offset = record->offset, .size = record->size, .tail = fatelf.end,
                      .file_size = fatelf.file_size};
  bool opened_by_name = start->preference == PREFER_EMULATED || !is_host_cpu(record->elf.cpu);
  start->program = extract_part(&part, settings->cache, opened_by_name, failure);
  return start->program ? 0 : failure->error;
}

int prepare_fatelf(const struct target *target, const struct settings *settings,
                   struct start *start, struct failure *failure) {
  static struct payload payload;
  static struct manifest manifest;
  fatelf.source.file = target->path;
  fatelf.source.descriptor = open(fatelf.source.file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  off_t size = fatelf.source.descriptor < 0 ? -1 : lseek(fatelf.source.descriptor, 0, SEEK_END);
  if (size < 0) {
    return fail(failure, errno, STATUS_CANNOT_EXECUTE, fatelf.source.file, ": cannot be read (",
                error_name(errno), "), make it readable for this user", NULL);
  }
  fatelf.file_size = (uint64_t)size;
  start->argv = target->argv;
  int error = 0;
  if (find_payload(fatelf.source.file, fatelf.source.descriptor, &payload)) {
    struct universal universal = {.file = fatelf.source.file, .payload = &payload, .argv = start->argv};
    debug(fatelf.source.file, ": is a universal file", NULL);
    prepare_app(&universal, settings, &manifest, start);
  } else {
    error = prepare_part(settings, start, failure);
  }
  close(fatelf.source.descriptor);
  return error;
}
