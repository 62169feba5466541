/* What the launcher tells people: errors always, decisions when UPORT_DEBUG=1. Both go to standard
 * error, each with one write, so that lines of several processes do not mix. */
#ifndef UPORT_MESSAGE_H
#define UPORT_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit statuses, as shells and container engines use them. */
enum {
  STATUS_OWN_FAULT = 125,     /* uport itself: bad manifest, missing emulator */
  STATUS_CANNOT_EXECUTE = 126, /* the program is there but cannot be started */
  STATUS_NOT_FOUND = 127,
};

/* Why an app could not be started. `error` is the errno that the kernel gave or would give. */
struct failure {
  int error;
  int status;
  char text[3 * 4096];
};

extern bool debug_wanted;

/* Called once before `die` ends the process, unless NULL: removes what is unfinished. */
extern void (*before_death)(void);

/* The parts, which end with NULL, joined; control bytes in them are shown as \xNN. */
__attribute__((sentinel)) void debug(const char *part, ...);
__attribute__((sentinel, noreturn)) void die(int status, const char *part, ...);

/* A line of standard output. */
__attribute__((sentinel)) void say(const char *part, ...);

/* The same on an open descriptor; a short line, so that a pipe takes it whole. */
__attribute__((sentinel)) void tell(int descriptor, const char *part, ...);

/* Fills in `failure` and returns `error`, which must not be 0. */
__attribute__((sentinel)) int fail(struct failure *failure, int error, int status, const char *part,
                                   ...);
__attribute__((noreturn)) void die_of(const struct failure *failure);

/* The decimal digits of a number, in one of a few buffers that are used in turn. */
const char *decimal(uint64_t number);

#endif
