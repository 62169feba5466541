/* What the UPORT_ variables of the environment ask for. None of them reaches the app. */
#include "settings.h"

#include <stdlib.h>
#include <string.h>

extern char **environ;

static const char prefix[] = "UPORT_";

void take_settings(struct settings *settings) {
  const char *wanted = getenv("UPORT_DEBUG");
  debug_wanted = wanted && *wanted && strcmp(wanted, "0") != 0;

  const char *preference = getenv("UPORT_PREFER");
  settings->preference = PREFER_NATIVE;
  if (preference && strcmp(preference, "emulated") == 0) {
    settings->preference = PREFER_EMULATED;
  } else if (preference && *preference && strcmp(preference, "native") != 0) {
    die(STATUS_OWN_FAULT, "UPORT_PREFER=", preference, ": is not known, use native or emulated",
        NULL);
  }

  char **to = environ;
  for (char **from = environ; *from; from++) {
    if (strncmp(*from, prefix, sizeof prefix - 1) != 0) *to++ = *from;
  }
  *to = NULL;
}
