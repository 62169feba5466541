/* The launcher's manifest. One value has one spelling: anything else is refused, so that this
 * reader and the one in TypeScript cannot disagree. */
#include "manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"
#include "message.h"

static const char first_line[] = "uport-manifest 1";

struct reader {
  const char *file;
  char *at;        /* the next byte */
  char *end;       /* the newline that ends this line */
  unsigned line;   /* counted from 1 */
};

__attribute__((noreturn)) static void broken(const struct reader *reader, const char *what) {
  die(STATUS_OWN_FAULT, reader->file, ": line ", decimal(reader->line), ": ", what,
      "; this package is damaged or newer than its launcher, build it again", NULL);
}

/* The next field of the line, ended with NUL in place; NULL at the end of the line. */
static char *next_field(struct reader *reader) {
  if (reader->at > reader->end) return NULL;
  char *field = reader->at;
  char *space = memchr(field, ' ', (size_t)(reader->end - field));
  char *stop = space ? space : reader->end;
  if (stop == field) broken(reader, "empty field");
  for (char *byte = field; byte < stop; byte++) {
    if (*byte < 0x21 || *byte > 0x7e) broken(reader, "byte that is not percent-encoded");
  }
  *stop = '\0';
  reader->at = stop + 1;
  return field;
}

static char *need_field(struct reader *reader, const char *what) {
  char *field = next_field(reader);
  if (!field) broken(reader, what);
  return field;
}

static uint32_t number_field(struct reader *reader, uint32_t max) {
  const char *field = need_field(reader, "too few fields");
  uint64_t value = 0;
  if (field[0] == '0' && field[1] != '\0') broken(reader, "number with a leading zero");
  for (const char *digit = field; *digit; digit++) {
    if (*digit < '0' || *digit > '9') broken(reader, "field that must be a decimal number");
    value = value * 10 + (uint64_t)(*digit - '0');
    if (value > max) broken(reader, "number out of range");
  }
  return (uint32_t)value;
}

static uint8_t choice_field(struct reader *reader, const char *one, const char *two,
                            const char *what) {
  const char *field = need_field(reader, "too few fields");
  if (strcmp(field, one) == 0) return 1;
  if (strcmp(field, two) == 0) return 2;
  broken(reader, what);
}

static int hex_digit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

static bool stands_for_itself(unsigned char byte) {
  return byte >= 0x21 && byte <= 0x7e && byte != '%';
}

/* Undoes the percent-encoding, in place. A field that is only `%` is the empty string. */
static void decode(const struct reader *reader, char *field) {
  if (strcmp(field, "%") == 0) {
    *field = '\0';
    return;
  }
  char *to = field;
  for (const char *from = field; *from; to++) {
    if (*from != '%') {
      *to = *from++;
      continue;
    }
    int high = hex_digit(from[1]);
    int low = high < 0 ? -1 : hex_digit(from[2]);
    if (low < 0) broken(reader, "% without two upper-case hex digits");
    unsigned char byte = (unsigned char)(high << 4 | low);
    if (byte == 0) broken(reader, "NUL byte");
    if (stands_for_itself(byte)) broken(reader, "percent-encoded byte that needs no encoding");
    *to = (char)byte;
    from += 3;
  }
  *to = '\0';
  if (to - field > VALUE_SIZE_MAX) broken(reader, "value of more than 4095 bytes");
}

static const char *name_field(struct reader *reader) {
  const char *field = need_field(reader, "too few fields");
  for (const char *byte = field; *byte; byte++) {
    bool letter = (*byte | 0x20) >= 'a' && (*byte | 0x20) <= 'z';
    bool digit = *byte >= '0' && *byte <= '9';
    if (!letter && !digit && *byte != '_' && *byte != '-') broken(reader, "name with other bytes than A-Z a-z 0-9 _ -");
    if (byte - field >= NAME_SIZE_MAX) broken(reader, "name of more than 32 bytes");
  }
  return field;
}

static void read_emulator(struct reader *reader, struct manifest *manifest) {
  if (manifest->emulator_count == EMULATORS_MAX) broken(reader, "more than 64 emulators");
  struct emulator *emulator = &manifest->emulators[manifest->emulator_count++];
  emulator->name = name_field(reader);
  emulator->cpu.machine = (uint16_t)number_field(reader, 0xffff);
  emulator->cpu.class = choice_field(reader, "32", "64", "class that is neither 32 nor 64");
  emulator->cpu.data = choice_field(reader, "lsb", "msb", "byte order that is neither lsb nor msb");
  emulator->flags_mask = number_field(reader, 0xffffffff);
  emulator->flags_value = number_field(reader, 0xffffffff);
  if (emulator->flags_value & ~emulator->flags_mask) broken(reader, "flags outside their mask");
  char *path = need_field(reader, "too few fields");
  decode(reader, path);
  if (*path == '\0') broken(reader, "empty path");
  emulator->path = path;
  emulator->arg_count = 0;
  for (char *arg; (arg = next_field(reader)) != NULL;) {
    if (emulator->arg_count == EMULATOR_ARGS_MAX) broken(reader, "more than 32 arguments");
    decode(reader, arg);
    emulator->args[emulator->arg_count++] = arg;
  }
}

/* The folder part of a path, with its slash. */
static const char *folder_of(const char *file) {
  const char *slash = strrchr(file, '/');
  return slash ? copy_bytes(file, (size_t)(slash - file) + 1) : "";
}

void read_manifest(const char *file, bool required, struct manifest *manifest) {
  static char bytes[MANIFEST_SIZE_MAX + 1];
  manifest->file = NULL;
  manifest->emulator_count = 0;
  int descriptor = file ? open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
  if (descriptor < 0) {
    if (!file || (!required && errno == ENOENT)) {
      debug("no manifest", file ? " at " : "", file, NULL);
      return;
    }
    die(STATUS_OWN_FAULT, file, ": cannot be opened (", error_name(errno),
        "), give a manifest that can be read", NULL);
  }
  size_t size = 0;
  for (ssize_t got; size < sizeof bytes; size += (size_t)got) {
    got = read(descriptor, bytes + size, sizeof bytes - size);
    if (got < 0) {
      die(STATUS_OWN_FAULT, file, ": cannot be read (", error_name(errno),
          "), give a manifest that can be read", NULL);
    }
    if (got == 0) break;
  }
  close(descriptor);

  struct reader reader = {.file = file, .at = bytes, .line = 1};
  if (size > MANIFEST_SIZE_MAX) broken(&reader, "more than 65536 bytes in all");
  for (char *line = bytes, *stop = bytes + size; line < stop || reader.line == 1; reader.line++) {
    reader.at = line;
    reader.end = memchr(line, '\n', (size_t)(stop - line));
    if (!reader.end) broken(&reader, "no newline at its end");
    line = reader.end + 1;
    if (reader.line == 1) {
      *reader.end = '\0';
      if (strlen(reader.at) != (size_t)(reader.end - reader.at) ||
          strcmp(reader.at, first_line) != 0) {
        broken(&reader, "not `uport-manifest 1`");
      }
      continue;
    }
    const char *keyword = need_field(&reader, "no keyword");
    if (strcmp(keyword, "emulator") != 0) broken(&reader, "unknown keyword");
    read_emulator(&reader, manifest);
  }
  manifest->file = file;
  manifest->folder = folder_of(file);
  debug("manifest ", file, " has ", decimal(manifest->emulator_count), " emulators", NULL);
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

static void print(const char *text, size_t size) {
  while (size > 0) {
    ssize_t written = write(STDOUT_FILENO, text, size);
    if (written <= 0) die(STATUS_OWN_FAULT, "standard output: cannot be written", NULL);
    text += written;
    size -= (size_t)written;
  }
}

static char *put_text(char *to, const char *text) {
  *to++ = ' ';
  size_t size = strlen(text);
  memcpy(to, text, size);
  return to + size;
}

static char *put_encoded(char *to, const char *value) {
  static const char hex[] = "0123456789ABCDEF";
  *to++ = ' ';
  if (*value == '\0') *to++ = '%';
  for (; *value; value++) {
    unsigned char byte = (unsigned char)*value;
    if (stands_for_itself(byte)) {
      *to++ = *value;
    } else {
      *to++ = '%';
      *to++ = hex[byte >> 4];
      *to++ = hex[byte & 15];
    }
  }
  return to;
}

void print_manifest(const struct manifest *manifest) {
  /* Each line is one of the file that was read, so it is no longer than that file. */
  static char line[MANIFEST_SIZE_MAX + 64];
  print(first_line, sizeof first_line - 1);
  print("\n", 1);
  for (unsigned i = 0; i < manifest->emulator_count; i++) {
    const struct emulator *one = &manifest->emulators[i];
    static const char keyword[] = "emulator";
    memcpy(line, keyword, sizeof keyword - 1);
    char *to = line + sizeof keyword - 1;
    to = put_text(to, one->name);
    to = put_text(to, decimal(one->cpu.machine));
    to = put_text(to, one->cpu.class == CLASS_32 ? "32" : "64");
    to = put_text(to, one->cpu.data == DATA_LSB ? "lsb" : "msb");
    to = put_text(to, decimal(one->flags_mask));
    to = put_text(to, decimal(one->flags_value));
    to = put_encoded(to, one->path);
    for (unsigned arg = 0; arg < one->arg_count; arg++) to = put_encoded(to, one->args[arg]);
    *to++ = '\n';
    print(line, (size_t)(to - line));
  }
}
