/* What the UPORT_ variables of the environment ask for. */
#ifndef UPORT_SETTINGS_H
#define UPORT_SETTINGS_H

#include <stdbool.h>

#include "exec-way.h"
#include "start.h"

struct settings {
  enum preference preference;
  const char *cache;   /* UPORT_CACHE_DIR, or NULL */
  const char *extract; /* UPORT_EXTRACT, or NULL */
  bool info;           /* UPORT_INFO */
  enum exec_way way;   /* UPORT_EXEC */
};

/* Reads the variables and takes everything that starts with UPORT_ out of the environment. */
void take_settings(struct settings *settings);

#endif
