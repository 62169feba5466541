/* Universal files: finding, unpacking and starting the app that a file carries. */
#ifndef UPORT_UNIVERSAL_H
#define UPORT_UNIVERSAL_H

#include "payload.h"
#include "settings.h"
#include "start.h"

/* The payload at the end of the launcher's own file; false when there is none. */
bool find_own_payload(struct payload *payload);

/* `launch --unpack FILE ARGV0 ARG...`: the launcher was copied out of FILE to a temporary file, which
 * goes away. `launch --unpacked FILE ARGV0 ARG...`: it lies in an unpacked folder. Returns what to
 * give to prepare_app; the payload is read when it is needed. */
void use_temporary_launcher(void);

struct universal {
  const char *file;
  const struct payload *payload; /* NULL: not read yet */
  bool lies_unpacked;            /* the launcher lies in an unpacked folder */
  char **argv;                   /* of the app */
};

/* Makes the app ready to start, or does what UPORT_INFO or UPORT_EXTRACT asks for and ends. */
void prepare_app(const struct universal *universal, const struct settings *settings,
                 struct manifest *manifest, struct start *start);

#endif
