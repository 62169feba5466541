/* Closing many descriptors at once: with close_range (Linux 5.9), else one by one. */
#include "descriptors.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static void close_between(unsigned first, unsigned last) {
  if (first > last || syscall(SYS_close_range, first, last, 0) == 0) return;
  struct rlimit limit;
  bool known = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 65536;
  unsigned stop = known ? (unsigned)limit.rlim_cur : 65536;
  for (unsigned descriptor = first; descriptor <= last && descriptor < stop; descriptor++) {
    close((int)descriptor);
  }
}

void close_all(int first, const int *kept) {
  unsigned from = (unsigned)first;
  for (;;) {
    unsigned next = ~0U;
    for (const int *one = kept; one && *one >= 0; one++) {
      if ((unsigned)*one >= from && (unsigned)*one < next) next = (unsigned)*one;
    }
    if (next == ~0U) break;
    if (next > 0) close_between(from, next - 1);
    from = next + 1;
  }
  close_between(from, ~0U);
}
