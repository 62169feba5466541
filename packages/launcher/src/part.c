/* Copies of parts of files lie in the cache as `<id>-part/<name>`. The id is made of what tells one
 * state of the file from another: a start with the copy at hand reads nothing of the file. */
#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h> /* renameat */
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cache.h"
#include "memory.h"
#include "payload.h"
#include "unpack.h"

enum {
  ID_BYTES = 16,
  /* Of every copy, as of unpacked files: one second into 1970. */
  COPY_TIME = 1,
  /* Seconds: two changes of a file within a tick of the clock may leave it with the same times. */
  CLOCK_GRAIN = 2,
  RENAME_EXCHANGE_FLAG = 2,
};

static uint64_t copy_size(const struct part *part) {
  return part->size + (part->file_size - part->tail);
}

static const char *last_part(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static const char *folder_name(const struct part *part, const struct stat *status) {
  const uint64_t state[] = {
      status->st_dev, status->st_ino, (uint64_t)status->st_size,
      (uint64_t)status->st_mtim.tv_sec, (uint64_t)status->st_mtim.tv_nsec,
      (uint64_t)status->st_ctim.tv_sec, (uint64_t)status->st_ctim.tv_nsec,
      part->offset, part->size, part->tail,
  };
  struct sha256 hash;
  unsigned char digest[SHA256_SIZE];
  char text[2 * ID_BYTES + 1];
  const char *name = last_part(part->file);
  sha256_start(&hash);
  sha256_add(&hash, (const unsigned char *)state, sizeof state);
  sha256_add(&hash, (const unsigned char *)name, strlen(name));
  sha256_end(&hash, digest);
  put_hex(text, digest, ID_BYTES);
  return concatenate(text, "-part", "");
}

/* Whether a copy lies there that was made of the file as it is now. */
static bool is_ready(int place_folder, const char *folder, const char *name,
                     const struct part *part, const struct stat *file) {
  struct stat status;
  int descriptor = openat(place_folder, folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (descriptor < 0) return false;
  bool ready = fstat(descriptor, &status) == 0 && status.st_uid == geteuid() &&
               fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
               S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
               (uint64_t)status.st_size == copy_size(part) &&
               status.st_mtim.tv_sec == COPY_TIME && status.st_mtim.tv_nsec == 0 &&
               status.st_ctim.tv_sec >= file->st_ctim.tv_sec + CLOCK_GRAIN;
  close(descriptor);
  return ready;
}

static bool copy_range(const struct part *part, int to, uint64_t offset, uint64_t size) {
  static unsigned char bytes[1 << 16];
  while (size > 0) {
    ssize_t got = pread(part->descriptor, bytes, size < sizeof bytes ? (size_t)size : sizeof bytes,
                        (off_t)offset);
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) errno = EIO;
    if (got <= 0) return false;
    if (!write_all(to, bytes, (size_t)got)) return false;
    offset += (uint64_t)got;
    size -= (uint64_t)got;
  }
  return true;
}

static bool copy(const struct part *part, int to) {
  return copy_range(part, to, part->offset, part->size) &&
         copy_range(part, to, part->tail, part->file_size - part->tail);
}

/* Writes the copy into a new folder. */
static bool write_copy(struct place *place, int place_folder, const char *folder, const char *name,
                       const struct part *part) {
  struct timespec times[2] = {{.tv_sec = COPY_TIME}, {.tv_sec = COPY_TIME}};
  if (mkdirat(place_folder, folder, 0700) != 0) return pass_over(place, "cannot make ", folder);
  int inside = openat(place_folder, folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  int to = inside < 0 ? -1
                      : openat(inside, name,
                               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  bool good = to >= 0 && copy(part, to) && fchmod(to, 0755) == 0 && futimens(to, times) == 0;
  int error = errno;
  if (to >= 0 && close(to) != 0 && good) {
    good = false;
    error = errno;
  }
  if (inside >= 0) close(inside);
  errno = error;
  return good ? true : pass_over(place, "cannot write ", name);
}

/* The path of a copy that is in use is there at any moment. */
static bool put_in_place(struct place *place, int place_folder, const char *temporary,
                         const char *folder) {
  if (renameat(place_folder, temporary, place_folder, folder) == 0) return true;
  if (syscall(SYS_renameat2, place_folder, temporary, place_folder, folder,
              RENAME_EXCHANGE_FLAG) == 0) {
    remove_tree(place_folder, temporary);
    return true;
  }
  if (remove_tree(place_folder, folder) &&
      renameat(place_folder, temporary, place_folder, folder) == 0) {
    return true;
  }
  return pass_over(place, "cannot make ", folder);
}

/* The copy in this place, made if it is not there. */
static bool is_copied(struct place *place, const struct part *part, const char *folder,
                      const char *name, const struct stat *status) {
  int place_folder = open_place(place, true);
  if (place_folder < 0) return false;
  bool good = is_ready(place_folder, folder, name, part, status);
  int lock = good ? -1 : lock_name(place, place_folder, folder);
  if (lock >= 0) {
    good = is_ready(place_folder, folder, name, part, status);
    if (!good) {
      const char *temporary = concatenate(folder, ".tmp", "");
      debug(place->path, ": copying ", name, " into ", folder, NULL);
      remove_leftovers(place_folder, lock, folder);
      good = write_copy(place, place_folder, temporary, name, part) &&
             put_in_place(place, place_folder, temporary, folder);
      if (!good) remove_tree(place_folder, temporary);
    }
    close(lock);
  }
  close(place_folder);
  return good;
}

static const char *copy_to_memory(const struct part *part, bool opened_by_name) {
  int descriptor;
  const char *path = make_memory_file(last_part(part->file), opened_by_name, &descriptor);
  return descriptor >= 0 && copy(part, descriptor) && access(path, X_OK) == 0 ? path : NULL;
}

const char *extract_part(const struct part *part, const char *cache, bool opened_by_name,
                         struct failure *failure) {
  struct stat status;
  struct place places[PLACES_MAX];
  unsigned count = fstat(part->descriptor, &status) == 0 ? list_places(cache, places) : 0;
  const char *folder = count == 0 ? "" : folder_name(part, &status);
  const char *name = last_part(part->file);
  for (unsigned i = 0; i < count; i++) {
    if (is_copied(&places[i], part, folder, name, &status)) {
      return concatenate(concatenate(places[i].path, "/", folder), "/", name);
    }
  }
  const char *path = copy_to_memory(part, opened_by_name);
  if (path) return path;
  const char *reason = error_name(errno);
  const char *tried = "";
  for (unsigned i = 0; i < count; i++) {
    tried = concatenate(tried, concatenate(places[i].path, " ", places[i].reason), "; ");
  }
  fail(failure, errno, STATUS_OWN_FAULT, part->file,
       ": there is no place to copy its program to: ", tried, "memory ", reason,
       "; name one with UPORT_CACHE_DIR that this user owns, can write to and can run programs from",
       NULL);
  return NULL;
}
