/* What the UPORT_ variables of the environment ask for. */
#ifndef UPORT_SETTINGS_H
#define UPORT_SETTINGS_H

#include "start.h"

struct settings {
  enum preference preference;
};

/* Reads the variables and takes everything that starts with UPORT_ out of the environment. */
void take_settings(struct settings *settings);

#endif
