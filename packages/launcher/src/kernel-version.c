/* The version of the running kernel. */
#include "kernel-version.h"

#include <sys/utsname.h>

static struct utsname system_name;

const char *kernel_release(void) {
  if (!*system_name.release && uname(&system_name) != 0) return "";
  return system_name.release;
}

static unsigned long read_number(const char **text) {
  unsigned long value = 0;
  for (; **text >= '0' && **text <= '9'; (*text)++) value = value * 10 + (unsigned long)(**text - '0');
  return value;
}

bool kernel_is_at_least(unsigned long major, unsigned long minor) {
  const char *release = kernel_release();
  unsigned long its_major = read_number(&release);
  if (*release == '.') release++;
  return its_major > major || (its_major == major && read_number(&release) >= minor);
}
