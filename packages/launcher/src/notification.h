/* What the kernel asks a listener, and what it is answered: from Linux's seccomp.h, which the C library
 * does not bring. */
#ifndef UPORT_NOTIFICATION_H
#define UPORT_NOTIFICATION_H

#include <stdint.h>
#include <sys/ioctl.h>

struct notification {
  uint64_t id;
  uint32_t thread;
  uint32_t flags;
  uint32_t number;
  uint32_t arch;
  uint64_t instruction;
  uint64_t args[6];
};

struct answer {
  uint64_t id;
  int64_t value;
  int32_t error;
  uint32_t flags;
};

enum { ANSWER_GO_ON = 1 /* SECCOMP_USER_NOTIF_FLAG_CONTINUE (Linux 5.5) */ };

#define NOTIFICATION_RECEIVE _IOWR('!', 0, struct notification)
#define NOTIFICATION_SEND _IOWR('!', 1, struct answer)
#define NOTIFICATION_IS_VALID _IOW('!', 2, uint64_t)

#endif
