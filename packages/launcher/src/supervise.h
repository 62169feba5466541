/* The supervisor: a process that gives each exec of a guest's program to its emulator, in this process
 * and all that it starts. It works in one of three ways:
 *
 *   listening  the kernel asks it before each exec (SECCOMP_RET_USER_NOTIF); it attaches to a process
 *              for the time of one exec only
 *   following  the kernel asks it too, and it traces processes all the time, so that they end with it;
 *              threads are traced once they exec
 *   tracing    it traces all processes and threads all the time; that works where it may attach to its
 *              descendants at most */
#ifndef UPORT_SUPERVISE_H
#define UPORT_SUPERVISE_H

#include <stdbool.h>
#include <sys/types.h>

#include "manifest.h"

/* Before the supervisor has memory of its own. */
void prepare_supervision(const struct manifest *manifest);

/* What has to stay open for emulator `number`, or -1. */
int descriptor_of_supervisor(unsigned number);

/* Begins to trace a process; 0 or an errno. */
int trace(pid_t app);

/* Serves what comes to it, signals above all, until it stops after its exec: true. False when it has ended, or was let
 * go: it asks for that with SIGURG, which does nothing else, once `*let_go` is not 0. Uses no memory but
 * the stack. */
bool follow_start(pid_t app, const int *let_go);

/* The rest of the supervisor's life. Tracing and following, the app is at that stop. */
__attribute__((noreturn)) void supervise_traced(pid_t app);
__attribute__((noreturn)) void supervise_following(int listener, pid_t app);
__attribute__((noreturn)) void supervise_listening(int listener, pid_t app);

#endif
