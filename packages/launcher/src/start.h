/* Starting the app: which way, and the exec itself. */
#ifndef UPORT_START_H
#define UPORT_START_H

#include "manifest.h"
#include "message.h"

struct settings;

enum preference { PREFER_NATIVE, PREFER_EMULATED, PREFER_QEMU };

struct start {
  const char *program; /* as given: a name to look for in PATH, or a path */
  char **argv;         /* argv[0] is what the app is to see as its name */
  enum preference preference;
  const struct manifest *manifest;
  const struct settings *settings;
  bool is_interpreted; /* something that runs already started the launcher for this program */
  bool is_translated;  /* that was the manifest's translator */
};

/* Becomes the app; returns only when that failed. */
void start_app(const struct start *start, struct failure *failure);

#endif
