/* The capabilities of this process. */
#include "capabilities.h"

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

struct capability_set {
  uint32_t effective, permitted, inheritable;
};

/* No capabilities where it cannot be told. */
static void read_sets(struct capability_set sets[2]) {
  struct {
    uint32_t version;
    int pid;
  } header = {0x20080522 /* _LINUX_CAPABILITY_VERSION_3 */, 0};
  sets[0] = sets[1] = (struct capability_set){0, 0, 0};
  syscall(SYS_capget, &header, sets);
}

bool has_capability(unsigned number) {
  struct capability_set sets[2];
  read_sets(sets);
  return (sets[number / 32].effective & 1U << number % 32) != 0;
}

bool has_any_capability(void) {
  struct capability_set sets[2];
  read_sets(sets);
  return (sets[0].effective | sets[0].permitted | sets[1].effective | sets[1].permitted) != 0;
}
