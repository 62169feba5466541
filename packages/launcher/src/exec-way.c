/* The ladder, best first: a registration of the system that serves every guest; a private one, which
 * costs nothing at run time; the supervisor; plain emulation. */
#include "exec-way.h"

#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "binfmt.h"
#include "memory.h"
#include "message.h"
#include "supervise.h"
#include "user-binfmt.h"

static const char *try_binfmt(const struct manifest *manifest) { return binfmt_serves(manifest); }

static const struct {
  const char *name;
  /* NULL when it is taken, else why not. */
  const char *(*take)(const struct manifest *manifest);
  /* Why it is not even tried unless it is asked for, or NULL. */
  const char *(*passed_over)(void);
} ways[] = {
    [EXEC_AUTO] = {"auto", NULL, NULL},
    [EXEC_BINFMT] = {"binfmt", try_binfmt, NULL},
    [EXEC_USERNS] = {"userns", register_privately, loses_in_user_namespace},
    [EXEC_PTRACE] = {"ptrace", start_supervisor, NULL},
    [EXEC_NONE] = {"none", NULL, NULL},
};

bool read_exec_way(const char *text, enum exec_way *way) {
  for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
    if (strcmp(text, ways[i].name) == 0) {
      *way = (enum exec_way)i;
      return true;
    }
  }
  return false;
}

enum exec_way prepare_children(const struct manifest *manifest, enum exec_way wanted) {
  for (unsigned i = EXEC_BINFMT; i < EXEC_NONE; i++) {
    if (wanted != EXEC_AUTO && wanted != i) continue;
    const char *reason = NULL;
    if (wanted == EXEC_AUTO && ways[i].passed_over) reason = ways[i].passed_over();
    if (!reason) reason = ways[i].take(manifest);
    if (!reason) {
      debug("children: ", ways[i].name, " is the way", NULL);
      return (enum exec_way)i;
    }
    if (wanted == i) {
      die(STATUS_OWN_FAULT, "UPORT_EXEC=", ways[i].name, ": cannot be had here: ", reason,
          "; leave UPORT_EXEC out to take what can be had", NULL);
    }
    debug("children: not ", ways[i].name, ": ", reason, NULL);
  }
  debug("children: plain emulation: programs of other CPUs cannot be started by the app", NULL);
  return EXEC_NONE;
}
