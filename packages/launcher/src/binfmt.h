/* What the system's binfmt_misc would do with a program. */
#ifndef UPORT_BINFMT_H
#define UPORT_BINFMT_H

#include <stdbool.h>

#include "target.h"

/* Whether a registration takes this program, can start it, and lets it see its own argv[0]. */
bool binfmt_fits(const struct target *target);

#endif
