/* What the UPORT_ variables of the environment ask for. None of them reaches the app. */
#include "settings.h"

#include <stdlib.h>
#include <string.h>

extern char **environ;

static const char prefix[] = "UPORT_";

static const char *value_of(const char *name) {
  const char *value = getenv(name);
  return value && *value ? value : NULL;
}

static bool is_wanted(const char *name) {
  const char *value = value_of(name);
  return value && strcmp(value, "0") != 0;
}

void take_settings(struct settings *settings) {
  debug_wanted = is_wanted("UPORT_DEBUG");
  settings->info = is_wanted("UPORT_INFO");
  settings->cache = value_of("UPORT_CACHE_DIR");
  settings->extract = value_of("UPORT_EXTRACT");

  const char *preference = value_of("UPORT_PREFER");
  settings->preference = PREFER_NATIVE;
  if (preference && strcmp(preference, "emulated") == 0) {
    settings->preference = PREFER_EMULATED;
  } else if (preference && strcmp(preference, "qemu") == 0) {
    settings->preference = PREFER_QEMU;
  } else if (preference && strcmp(preference, "native") != 0) {
    die(STATUS_OWN_FAULT, "UPORT_PREFER=", preference,
        ": is not known, use native, emulated or qemu", NULL);
  }

  const char *way = value_of("UPORT_EXEC");
  if (way && !read_exec_way(way, &settings->way)) {
    die(STATUS_OWN_FAULT, "UPORT_EXEC=", way,
        ": is not known, use auto, binfmt, userns, ptrace or none", NULL);
  }

  char **to = environ;
  for (char **from = environ; *from; from++) {
    if (strncmp(*from, prefix, sizeof prefix - 1) != 0) *to++ = *from;
  }
  *to = NULL;
}
