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

/* One step of the ladder: NULL when it is taken, else why not. */
static const char *take(unsigned way, const struct manifest *manifest, const char *reason) {
  if (!reason) reason = ways[way].take(manifest);
  debug("children: ", reason ? "not " : "", ways[way].name, reason ? ": " : " is the way", reason, NULL);
  return reason;
}

static void watch_failures_of(const struct manifest *manifest, const char *why) {
  const char *reason = start_failure_watch(manifest, why);
  debug("children: plain emulation: programs of other CPUs cannot be started by the app",
        reason ? ", and nobody tells when that fails: " : "", reason, NULL);
}

enum exec_way prepare_children(const struct manifest *manifest, enum exec_way wanted) {
  if (wanted != EXEC_AUTO && wanted != EXEC_NONE) {
    const char *reason = ways[wanted].take(manifest);
    if (!reason) return wanted;
    die(STATUS_OWN_FAULT, "UPORT_EXEC=", ways[wanted].name, ": cannot be had here: ", reason,
        "; leave UPORT_EXEC out to take what can be had", NULL);
  }
  if (wanted == EXEC_NONE) {
    watch_failures_of(manifest, "UPORT_EXEC=none is set; leave that out");
    return EXEC_NONE;
  }
  /* The supervisor alone can keep them from programs of the host. */
  const char *reasons[EXEC_NONE] = {NULL};
  bool has_own = has_guest_settings(&manifest->surroundings);
  if (has_own && !(reasons[EXEC_PTRACE] = take(EXEC_PTRACE, manifest, NULL))) return EXEC_PTRACE;
  const char *all = "";
  for (unsigned way = EXEC_BINFMT; way < EXEC_NONE; way++) {
    if (!reasons[way]) {
      reasons[way] = take(way, manifest, ways[way].passed_over ? ways[way].passed_over() : NULL);
    }
    if (!reasons[way]) return (enum exec_way)way;
    all = concatenate(all, *all ? "; " : "", concatenate(ways[way].name, ": ", reasons[way]));
  }
  watch_failures_of(manifest, concatenate("this machine allows no way to (", all,
                                          "); see what `uport doctor` says of it"));
  return EXEC_NONE;
}
