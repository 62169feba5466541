/* What a process asks for with execve or execveat. */
#ifndef UPORT_EXEC_CALL_H
#define UPORT_EXEC_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "notification.h"

struct exec_call {
  bool is_execveat;
  uint8_t word; /* bytes of a pointer */
  uint64_t args[5];
};

/* False when a listener is asked about another call. */
bool read_notified(const struct notification *asked, struct exec_call *call);

/* Where the path lies in the process's memory, and where the environment does. */
uint64_t path_of_call(const struct exec_call *call);
uint64_t environment_of_call(const struct exec_call *call);

/* What the call names with this path, as the kernel gives it to the interpreter of a script; NULL when
 * the kernel has an error of its own for it. */
const char *name_for_script(const struct exec_call *call, const char *path);

/* Whether execveat must find no symbolic link. */
bool forbids_link(const struct exec_call *call, const char *path);

#endif
