/* How the programs that the app starts are to run: which of the ways this host allows. */
#ifndef UPORT_EXEC_WAY_H
#define UPORT_EXEC_WAY_H

#include <stdbool.h>

#include "manifest.h"

enum exec_way {
  EXEC_AUTO,
  EXEC_BINFMT, /* the system's binfmt_misc */
  EXEC_USERNS, /* a binfmt_misc of its own in a user namespace */
  EXEC_PTRACE, /* a supervisor */
  EXEC_NONE,   /* what the app starts must be of the host's CPU; what is not, is told of where that can be had */
};

/* A value of UPORT_EXEC; false when it is none. */
bool read_exec_way(const char *text, enum exec_way *way);

/* Prepares this process, which is to become the app, so that all guests of the manifest can be
 * started in it and below it. Returns the way taken. Ends the process with a message when `wanted`
 * names one that cannot be had. */
enum exec_way prepare_children(const struct manifest *manifest, enum exec_way wanted);

#endif
