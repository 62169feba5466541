/* Universal files. A warm start reads the manifest in the cache, looks at the files it names and goes
 * on to start.c; it does not touch the payload. */
#include "universal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache.h"
#include "enter.h"
#include "info.h"
#include "memory.h"
#include "message.h"
#include "self.h"
#include "unpack.h"

static const char *given_path(void) {
  const char *given = (const char *)getauxval(AT_EXECFN);
  return given ? given : "/proc/self/exe";
}

bool find_own_payload(struct payload *payload) {
  int descriptor = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) descriptor = open(given_path(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (descriptor < 0) return false;
  if (find_payload(given_path(), descriptor, payload)) return true;
  close(descriptor);
  return false;
}

void use_temporary_launcher(void) {
  const char *path = given_path();
  const char *slash = strrchr(path, '/');
  if (strncmp(slash ? slash + 1 : path, "start.", 6) == 0) unlink(path);
}

/* The payload of a universal file, read now if it was not before. */
static const struct payload *payload_of(const struct universal *universal) {
  static struct payload payload;
  if (universal->payload) return universal->payload;
  if (payload.file) return &payload;
  const char *file = universal->file;
  int descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (descriptor < 0) {
    die(STATUS_OWN_FAULT, file, ": cannot be opened (", error_name(errno),
        "), it must be readable to be unpacked", NULL);
  }
  if (!find_payload(file, descriptor, &payload)) {
    die(STATUS_OWN_FAULT, file, ": has no payload at its end, get the file again", NULL);
  }
  return &payload;
}

static const char *folder_name(const struct payload *payload) {
  return concatenate(payload->id, "-", host_name);
}

/* Whether an unpacked folder, whose path ends with a slash, can be used as it is. */
static bool is_ready(int folder, const char *path, struct manifest *manifest, const char *argv0) {
  return read_folder_manifest(folder, path, manifest) && is_as_unpacked(folder, manifest, argv0);
}

/* Looks into an opened place. */
static bool is_ready_in(int place_folder, const struct place *place, const char *name,
                        struct manifest *manifest, const char *argv0) {
  int folder = openat(place_folder, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (folder < 0) return false;
  struct stat status;
  const char *path = concatenate(concatenate(place->path, "/", name), "/", "");
  bool ready = fstat(folder, &status) == 0 && status.st_uid == geteuid() &&
               is_ready(folder, path, manifest, argv0);
  close(folder);
  return ready;
}

static bool find_ready(struct place *places, unsigned count, const char *name,
                       struct manifest *manifest, const char *argv0) {
  for (unsigned i = 0; i < count; i++) {
    int folder = open_place(&places[i], false);
    if (folder < 0) continue;
    bool ready = is_ready_in(folder, &places[i], name, manifest, argv0);
    close(folder);
    if (ready) return true;
  }
  return false;
}

/* Unpacks into a place, unless another process has done it by now. */
static bool make_ready(struct place *place, const struct payload *payload, const char *name,
                       struct manifest *manifest, const char *argv0) {
  int folder = open_place(place, true);
  if (folder < 0) return false;
  int lock = lock_name(place, folder, name);
  bool ready = false;
  if (lock >= 0) {
    ready = is_ready_in(folder, place, name, manifest, argv0);
    if (!ready) {
      debug(place->path, ": unpacking into ", name, NULL);
      remove_leftovers(folder, lock, name);
      if (unpack(payload, place, folder, concatenate(name, ".tmp", ""), name)) {
        ready = is_ready_in(folder, place, name, manifest, argv0);
        if (!ready) place->reason = "does not keep files as they were written";
      }
    }
    close(lock);
  }
  close(folder);
  return ready;
}

__attribute__((noreturn)) static void die_of_places(const char *file, const struct place *places,
                                                    unsigned count) {
  const char *tried = "";
  for (unsigned i = 0; i < count; i++) {
    const char *reason = concatenate(places[i].path, " ", places[i].reason);
    tried = concatenate(tried, i == 0 ? "" : "; ", reason);
  }
  die(STATUS_OWN_FAULT, file, ": there is no place to unpack it to: ", tried,
      "; name one with UPORT_CACHE_DIR that this user owns, can write to and can run programs from",
      NULL);
}

static void extract(const struct payload *payload, const char *target) {
  struct place place = {.path = target};
  char *path = copy_bytes(target, strlen(target));
  for (size_t size = strlen(path); size > 1 && path[size - 1] == '/'; size--) path[size - 1] = '\0';
  char *slash = strrchr(path, '/');
  const char *name = slash ? slash + 1 : path;
  const char *parent = !slash ? "." : slash == path ? "/" : copy_bytes(path, (size_t)(slash - path));
  int folder = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) {
    die(STATUS_OWN_FAULT, parent, ": cannot be opened (", error_name(errno),
        "), name a folder to be made in one that is there", NULL);
  }
  if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
      (unlinkat(folder, name, AT_REMOVEDIR) != 0 && errno != ENOENT)) {
    die(STATUS_OWN_FAULT, target, ": is there already, name a new folder with UPORT_EXTRACT", NULL);
  }
  const char *temporary =
      concatenate(concatenate(".", name, "."), decimal((uint64_t)getpid()), ".tmp");
  if (!unpack(payload, &place, folder, temporary, name)) {
    die(STATUS_OWN_FAULT, target, ": ", place.reason, ", name another folder with UPORT_EXTRACT",
        NULL);
  }
  if (fchmodat(folder, name, 0755, 0) != 0) debug(target, ": stays private", NULL);
  _exit(0);
}

/* The folder that the launcher lies in, if it is an unpacked one that is as it was. */
static bool is_own_folder_ready(struct manifest *manifest, const char *argv0) {
  const char *path = beside_self("");
  int folder = path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
  if (folder < 0) return false;
  bool ready = is_ready(folder, path, manifest, argv0);
  close(folder);
  return ready;
}

/* The app's program and the launcher's folder have other names inside. */
static void enter_root_of(struct manifest *manifest, const struct program *program,
                          struct start *start) {
  static const char prefix[] = "root";
  if (strncmp(program->path, prefix, sizeof prefix - 1) != 0) return;
  enter_app_root(manifest->folder);
  manifest->folder = ENTERED_FOLDER;
  manifest->file = concatenate(ENTERED_FOLDER, "manifest", "");
  start->program = program->path + sizeof prefix - 1;
}

void prepare_app(const struct universal *universal, const struct settings *settings,
                 struct manifest *manifest, struct start *start) {
  struct place places[PLACES_MAX + 1];
  const char *argv0 = universal->argv[0];
  bool special = settings->info || settings->extract;
  bool ready = universal->lies_unpacked && !special && is_own_folder_ready(manifest, argv0);
  if (!ready) {
    const struct payload *payload = payload_of(universal);
    const char *name = folder_name(payload);
    unsigned count = list_places(settings->cache, places);
    if (settings->extract) extract(payload, settings->extract);
    ready = find_ready(places, count, name, manifest, argv0);
    if (settings->info) {
      print_info(payload, ready ? manifest->folder : NULL, argv0);
      _exit(0);
    }
    for (unsigned i = 0; i < count && !ready; i++) {
      ready = make_ready(&places[i], payload, name, manifest, argv0);
    }
    if (!ready) {
      places[count] = (struct place){.path = "memory"};
      ready = unpack_to_memory(payload, &places[count++], manifest);
    }
    if (!ready) die_of_places(payload->file, places, count);
  }
  const struct program *program = find_program(manifest, argv0);
  debug("the program is ", manifest->folder, program->path, NULL);
  start->program = concatenate(manifest->folder, program->path, "");
  if (manifest->surroundings.whole_root) enter_root_of(manifest, program, start);
  start->argv = join_arguments(universal->argv, program->args, program->arg_count,
                               program->defaults, program->default_count);
  enter_surroundings(&manifest->surroundings, manifest->folder);
  start->manifest = manifest;
}
