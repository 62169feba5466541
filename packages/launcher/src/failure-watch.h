/* Plain emulation: a process that tells once for each CPU that the app could not start a program of it.
 * The kernel asks it before each exec (SECCOMP_RET_USER_NOTIF), and it lets all of them go on. */
#ifndef UPORT_FAILURE_WATCH_H
#define UPORT_FAILURE_WATCH_H

#include <sys/types.h>

#include "manifest.h"

/* In the launcher, before that process is there. `why` becomes part of the message. */
void prepare_failure_watch(const struct manifest *manifest, const char *why);

/* The rest of that process's life: it ends with the last process that has the filter. */
__attribute__((noreturn)) void watch_failures(int listener, pid_t app);

#endif
