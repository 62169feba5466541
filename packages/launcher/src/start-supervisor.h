/* Starting the supervisor beside this process. */
#ifndef UPORT_START_SUPERVISOR_H
#define UPORT_START_SUPERVISOR_H

#include "manifest.h"

/* Returns NULL when every exec but those by exec_unsupervised is supervised from now on, in this process
 * and its children, else why not: this process is as it was then, but for no_new_privs. */
const char *start_supervisor(const struct manifest *manifest);

#endif
