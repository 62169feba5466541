/* Shims. The launcher finds itself in the table by its own path: under another name than `launch`
 * it has taken somebody's place. argv[0] says nothing of that, it is the app's. */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "fields.h"
#include "memory.h"
#include "message.h"

enum { TABLE_SIZE_MAX = 1 << 20 };

const char shim_manifest[] = "/.uport/manifest";
static const char table_file[] = "/.uport/shims";
static const char first_line[] = "uport-shims 1";
static const char advice[] = "; this image is damaged or newer than its launcher, build it again";

/* All of a file; one byte more belongs to it. NULL when it is not there. */
static char *read_table(size_t *size) {
  int descriptor = open(table_file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (descriptor < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return NULL;
    die(STATUS_OWN_FAULT, table_file, ": cannot be opened (", error_name(errno),
        "), make it readable for this user", NULL);
  }
  size_t capacity = 4096;
  char *bytes = allocate(capacity + 1);
  *size = 0;
  for (;;) {
    ssize_t got = read(descriptor, bytes + *size, capacity - *size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      die(STATUS_OWN_FAULT, table_file, ": cannot be read (", error_name(errno), ")", NULL);
    }
    if (got == 0) break;
    *size += (size_t)got;
    if (*size < capacity) continue;
    if (capacity >= TABLE_SIZE_MAX) {
      die(STATUS_OWN_FAULT, table_file, ": has more than 1 MiB", advice, NULL);
    }
    char *larger = allocate(2 * capacity + 1);
    memcpy(larger, bytes, capacity);
    bytes = larger;
    capacity *= 2;
  }
  close(descriptor);
  return bytes;
}

static const char *search(const char *path) {
  size_t size;
  char *bytes = read_table(&size);
  if (!bytes) return NULL;
  struct fields fields;
  start_fields(&fields, table_file, advice, bytes, size);
  need_first_line(&fields, first_line);
  const char *found = NULL;
  while (next_line(&fields)) {
    if (strcmp(need_field(&fields), "shim") != 0) broken(&fields, "keyword that is unknown");
    const char *place = decode_field(&fields, need_field(&fields));
    const char *original = decode_field(&fields, need_field(&fields));
    need_end(&fields);
    if (*place != '/' || *original != '/') broken(&fields, "path that is not absolute");
    if (strcmp(place, path) == 0) found = original;
  }
  return found;
}

static bool is_own_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return strcmp(slash ? slash + 1 : path, "launch") == 0;
}

const char *find_shimmed(char **argv) {
  static char path[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length > 0 && path[0] == '/') {
    path[length] = '\0';
  } else {
    /* Without /proc: as it was started. A script's interpreter finds its own path in argv[0], and
     * AT_EXECFN names the script. */
    const char *given = (const char *)getauxval(AT_EXECFN);
    bool known = given && realpath(given, path) != NULL;
    if (!known || is_own_name(path)) return NULL;
    const char *found = search(path);
    if (found) return found;
    if (!argv[0] || !strchr(argv[0], '/') || !realpath(argv[0], path)) return NULL;
  }
  if (is_own_name(path)) return NULL;
  const char *original = search(path);
  if (original) debug("called as ", path, ", which is ", original, NULL);
  return original;
}
