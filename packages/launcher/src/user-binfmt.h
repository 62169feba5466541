/* A binfmt_misc of this process and its children alone, in a user namespace (Linux 6.7). */
#ifndef UPORT_USER_BINFMT_H
#define UPORT_USER_BINFMT_H

#include "manifest.h"

/* What this process would lose in a user namespace, or NULL. */
const char *loses_in_user_namespace(void);

/* Registers every emulator. Returns NULL, or why it cannot be: this process is as it was then. */
const char *register_privately(const struct manifest *manifest);

#endif
