/* The first line of a script, read as Linux reads it. */
#ifndef UPORT_SHEBANG_H
#define UPORT_SHEBANG_H

#include <stdbool.h>

#include "cpu.h"

struct shebang {
  char *interpreter;
  char *argument; /* NULL: none */
};

/* False when the kernel would not take the file for a script (ENOEXEC). `head` has zeros after the
 * end of a short file; the strings are new. */
bool read_shebang(const unsigned char head[HEAD_SIZE], struct shebang *shebang);

#endif
