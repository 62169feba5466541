/* What the supervisor knows of each thread that it traces. */
#ifndef UPORT_TRACEES_H
#define UPORT_TRACEES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct rewrite;

struct tracee {
  pid_t thread;            /* 0: this place is free */
  bool known;              /* its parent's stop was seen */
  bool waiting;            /* stopped until then */
  int held;                /* a descriptor that the process opens its program by, or -1 */
  enum { FREE, INTERRUPTED, RESTARTING, CALLED } stage; /* of a listener's rewrite */
  struct rewrite *rewrite; /* of the exec that it is in */
  /* It is opened for a look, and closed again when its exec fails: what it was doing, or NULL. */
  struct rewrite *opened;
  enum { OPENING, OPEN, CLOSING, CLOSED } step;
};

/* NULL when it is not there. */
struct tracee *find_tracee(pid_t thread);
/* The one that is there, or a new one; NULL when there is no memory. Others may move. */
struct tracee *add_tracee(pid_t thread);
void remove_tracee(pid_t thread);
void each_tracee(void (*visit)(struct tracee *tracee));

#endif
