/* Where the launcher itself lies. */
#ifndef UPORT_SELF_H
#define UPORT_SELF_H

#include <stdbool.h>

/* Whether binfmt_misc started the launcher for another file, with the flag P; Linux >= 5.12 says so. */
bool is_interpreter(void);

/* The path of `name` in the launcher's own folder, or NULL when that folder cannot be told. */
const char *beside_self(const char *name);

#endif
