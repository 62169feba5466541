/* FatELF files: programs for several CPUs in one. docs/formats/fatelf.md describes them. */
#ifndef UPORT_FATELF_H
#define UPORT_FATELF_H

#include "settings.h"
#include "start.h"
#include "target.h"

/* Whether a file's first bytes are those of a FatELF file. */
bool is_fatelf(const unsigned char head[HEAD_SIZE], size_t length);

/* Makes the program in a FatELF file that this host can run ready to start: fills in the program,
 * the arguments and, for a file with a payload, the manifest of `start`. Returns 0 or an errno. */
int prepare_fatelf(const struct target *target, const struct settings *settings,
                   struct start *start, struct failure *failure);

#endif
