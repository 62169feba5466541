/* The version of the running kernel. */
#ifndef UPORT_KERNEL_VERSION_H
#define UPORT_KERNEL_VERSION_H

#include <stdbool.h>

/* What `uname -r` prints. */
const char *kernel_release(void);
bool kernel_is_at_least(unsigned long major, unsigned long minor);

#endif
