/* Where the launcher itself lies. /proc knows best: the path given to execve may be a script's or,
 * under binfmt_misc, the app's. Where /proc is not mounted that path has to do. */
#include "self.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "memory.h"
#include "message.h"

static const char *beside(const char *file, const char *name) {
  return concatenate(copy_bytes(file, (size_t)(strrchr(file, '/') - file) + 1), name, "");
}

bool is_interpreter(void) {
  enum { PRESERVE_ARGV0 = 1 /* AT_FLAGS_PRESERVE_ARGV0 */ };
  return (getauxval(AT_FLAGS) & PRESERVE_ARGV0) != 0;
}

const char *beside_self(const char *name) {
  static char path[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length > 0 && path[0] == '/') {
    path[length] = '\0';
    /* Not for a memfd or a file deleted since. */
    if (access(path, F_OK) == 0) return beside(path, name);
  }
  const char *given = is_interpreter() ? NULL : (const char *)getauxval(AT_EXECFN);
  if (given && realpath(given, path)) return beside(path, name);
  debug("the launcher's own folder cannot be told", NULL);
  return NULL;
}
