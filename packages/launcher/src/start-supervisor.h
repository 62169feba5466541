/* Starting the supervisor beside this process. */
#ifndef UPORT_START_SUPERVISOR_H
#define UPORT_START_SUPERVISOR_H

#include "manifest.h"

/* Returns NULL when every exec but those by exec_unsupervised is supervised from now on, in this process
 * and its children, else why not: this process is as it was then, but for no_new_privs. */
const char *start_supervisor(const struct manifest *manifest);

/* A process that tells of programs that the app could not start (failure-watch.h). NULL when there is
 * one from now on, else why not; `why` becomes part of its message. */
const char *start_failure_watch(const struct manifest *manifest, const char *why);

#endif
