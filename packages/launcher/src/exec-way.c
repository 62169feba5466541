/* The ladder, best first: a registration of the system that serves every guest; a private one, which
 * costs nothing at run time; the supervisor; plain emulation. */
#include "exec-way.h"

#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "binfmt.h"
#include "memory.h"
#include "message.h"
#include "start-supervisor.h"
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

/* One step of the ladder; `reason` tells why it was not taken. */
static bool take(unsigned way, const struct manifest *manifest, const char *reason) {
  if (!reason) reason = ways[way].take(manifest);
  debug("children: ", reason ? "not " : "", ways[way].name, reason ? ": " : " is the way", reason, NULL);
  return !reason;
}

enum exec_way prepare_children(const struct manifest *manifest, enum exec_way wanted) {
  if (wanted != EXEC_AUTO && wanted != EXEC_NONE) {
    const char *reason = ways[wanted].take(manifest);
    if (!reason) return wanted;
    die(STATUS_OWN_FAULT, "UPORT_EXEC=", ways[wanted].name, ": cannot be had here: ", reason,
        "; leave UPORT_EXEC out to take what can be had", NULL);
  }
  /* The supervisor alone can keep them from programs of the host. */
  bool has_own = has_guest_settings(&manifest->surroundings);
  if (wanted == EXEC_AUTO && has_own && take(EXEC_PTRACE, manifest, NULL)) return EXEC_PTRACE;
  for (unsigned way = EXEC_BINFMT; wanted == EXEC_AUTO && way < EXEC_NONE; way++) {
    if (has_own && way == EXEC_PTRACE) continue;
    const char *reason = ways[way].passed_over ? ways[way].passed_over() : NULL;
    if (take(way, manifest, reason)) return (enum exec_way)way;
  }
  debug("children: plain emulation: programs of other CPUs cannot be started by the app", NULL);
  return EXEC_NONE;
}
