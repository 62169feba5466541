/* What the system's binfmt_misc would do with a program. The registrations are files of the form
 *   enabled|disabled / interpreter PATH / flags: POCF / offset N / magic HEX / mask HEX
 * or, for file name suffixes, `extension .SUFFIX` in place of the last three. */
#include "binfmt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "compatible.h"
#include "memory.h"
#include "own-loader.h"

static const char folder[] = "/proc/sys/fs/binfmt_misc/";

struct registration {
  bool enabled;
  const char *interpreter;
  const char *flags;
  const char *extension; /* without the dot */
  unsigned long offset;
  const char *magic; /* hex digits */
  const char *mask;
};

/* Reads a small file as text; false when that fails. */
static bool read_text(const char *name, char *text, size_t capacity) {
  int descriptor = open(concatenate(folder, name, ""), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  size_t used = 0;
  ssize_t got = 1;
  while (used < capacity - 1 && got > 0) {
    got = read(descriptor, text + used, capacity - 1 - used);
    if (got > 0) used += (size_t)got;
  }
  close(descriptor);
  text[used] = '\0';
  return got == 0;
}

static const char *after(const char *line, const char *start) {
  size_t length = strlen(start);
  return strncmp(line, start, length) == 0 ? line + length : NULL;
}

static void read_line(const char *line, struct registration *found) {
  const char *value;
  if (strcmp(line, "enabled") == 0) found->enabled = true;
  if ((value = after(line, "interpreter "))) found->interpreter = value;
  if ((value = after(line, "flags: "))) found->flags = value;
  if ((value = after(line, "extension ."))) found->extension = value;
  if ((value = after(line, "magic "))) found->magic = value;
  if ((value = after(line, "mask "))) found->mask = value;
  if ((value = after(line, "offset "))) {
    for (; *value >= '0' && *value <= '9' && found->offset < HEAD_SIZE; value++) {
      found->offset = found->offset * 10 + (unsigned long)(*value - '0');
    }
  }
}

static int hex_digit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  return -1;
}

/* The byte of two hex digits, or -1 at the end of the text. */
static int hex_byte(const char *text) {
  int high = hex_digit(text[0]);
  int low = high < 0 ? -1 : hex_digit(text[1]);
  return low < 0 ? -1 : high << 4 | low;
}

static bool matches(const struct registration *one, const struct target *target) {
  if (one->extension) {
    const char *dot = strrchr(target->path, '.');
    return dot && strcmp(dot + 1, one->extension) == 0;
  }
  if (!one->magic) return false;
  for (size_t i = 0;; i++) {
    int byte = hex_byte(one->magic + 2 * i);
    if (byte < 0) return i > 0;
    int mask = one->mask ? hex_byte(one->mask + 2 * i) : 0xff;
    if (mask < 0 || one->offset + i >= HEAD_SIZE) return false;
    if ((target->head[one->offset + i] ^ byte) & mask) return false;
  }
}

static bool serves(const char *name, const struct registration *one, const struct target *target) {
  bool opened_early = strchr(one->flags, 'F') != NULL;
  if (!opened_early && access(one->interpreter, X_OK) != 0) {
    debug("binfmt_misc's ", name, ": its interpreter ", one->interpreter, " is not here", NULL);
    return false;
  }
  if (!strchr(one->flags, 'P') && strcmp(target->argv[0], target->path) != 0) {
    debug("binfmt_misc's ", name, ": would lose argv[0] (no flag P)", NULL);
    return false;
  }
  debug("binfmt_misc's ", name, ": fits", NULL);
  return true;
}

bool binfmt_fits(const struct target *target) {
  char text[4096];
  if (!read_text("status", text, sizeof text)) {
    debug("binfmt_misc: cannot be looked at (", error_name(errno), ")", NULL);
    return false;
  }
  if (!after(text, "enabled")) {
    debug("binfmt_misc: disabled", NULL);
    return false;
  }
  DIR *entries = opendir(folder);
  if (!entries) return false;
  unsigned matching = 0;
  bool all_serve = true;
  /* The kernel takes the newest one that matches, which the folder does not tell: all must do. */
  for (struct dirent *entry; (entry = readdir(entries));) {
    const char *name = entry->d_name;
    if (*name == '.' || strcmp(name, "status") == 0 || strcmp(name, "register") == 0) continue;
    if (!read_text(name, text, sizeof text)) continue;
    struct registration one = {.flags = ""};
    for (char *line = text, *stop; *line; line = stop) {
      stop = line + strcspn(line, "\n");
      if (*stop) *stop++ = '\0';
      read_line(line, &one);
    }
    if (!one.enabled || !one.interpreter || !matches(&one, target)) continue;
    matching++;
    all_serve = serves(name, &one, target) && all_serve;
  }
  closedir(entries);
  if (matching == 0) debug("binfmt_misc: nothing there for ", target->path, NULL);
  return matching > 0 && all_serve;
}

const char *binfmt_serves(const struct manifest *manifest) {
  static char other_name[] = "?";
  char *argv[] = {other_name, NULL};
  const char *lacking = kernel_lacks_options(manifest);
  if (lacking) return lacking;
  for (unsigned i = 0; i < manifest->emulator_count; i++) {
    const struct emulator *emulator = &manifest->emulators[i];
    if (is_host_cpu(emulator->cpu)) continue;
    if (is_compatible_cpu(emulator->cpu) && kernel_runs_cpu(emulator->cpu)) continue;
    if (emulator->arg_count > 0) return "registrations do not give the emulator its options";
    struct target target = {.path = emulator->name, .argv = argv};
    make_elf_head(emulator->cpu, emulator->flags_value, target.head);
    if (!binfmt_fits(&target)) {
      return concatenate("no registration serves programs for ", emulator->name, "");
    }
  }
  return NULL;
}
