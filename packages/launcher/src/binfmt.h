/* What the system's binfmt_misc would do with a program. */
#ifndef UPORT_BINFMT_H
#define UPORT_BINFMT_H

#include <stdbool.h>

#include "manifest.h"
#include "target.h"

/* Whether a registration takes this program, can start it, and lets it see its own argv[0]. */
bool binfmt_fits(const struct target *target);

/* NULL when that is so for programs of every guest of the manifest, else why not. */
const char *binfmt_serves(const struct manifest *manifest);

#endif
