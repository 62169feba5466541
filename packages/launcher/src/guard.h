/* The guard of a listening supervisor. The two watch each other: when one is killed, the other kills
 * everything that the supervisor was there for, as the kernel does for one that traces
 * (PTRACE_O_EXITKILL). */
#ifndef UPORT_GUARD_H
#define UPORT_GUARD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Whether this process may look at the filters of others, by which a guard knows whom to kill. */
bool may_guard(void);

/* Makes the guard of this process, a child that ends soon after it: its number, or -1. */
pid_t start_guard(int listener, pid_t app);

/* The number of the notification that waits for this process's answer; 0: none does. */
void tell_guard(uint64_t notification);

/* Kills all processes that have the filter of this listener, which are `app` and younger ones, and ends. */
__attribute__((noreturn)) void end_all(int listener, pid_t app);

#endif
