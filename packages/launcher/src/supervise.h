/* The supervisor: a process that traces this one and all that it starts, and gives each exec of a
 * guest's program to its emulator. */
#ifndef UPORT_SUPERVISE_H
#define UPORT_SUPERVISE_H

#include "manifest.h"

/* Returns NULL when every exec of this process and its children is supervised from now on, else why
 * it is not: this process is as it was then, but for no_new_privs. */
const char *start_supervisor(const struct manifest *manifest);

#endif
