/* The places that apps are unpacked to. Others must not be able to put a program there: each place
 * belongs to this user, is no symbolic link and nobody else can write to it. */
#include "cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h> /* renameat */
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "memory.h"
#include "message.h"

static void add_place(struct place *places, unsigned *count, const char *base, const char *inside) {
  if (!base || !*base) return;
  char *path = concatenate(base, inside, "");
  /* With a slash at the end, a symbolic link would be followed. */
  for (size_t size = strlen(path); size > 1 && path[size - 1] == '/'; size--) path[size - 1] = '\0';
  places[(*count)++] = (struct place){.path = path};
}

unsigned list_places(const char *chosen, struct place places[PLACES_MAX]) {
  unsigned count = 0;
  add_place(places, &count, chosen, "");
  if (count == 1) places[0].chosen = true;
  add_place(places, &count, getenv("XDG_CACHE_HOME"), "/uport");
  add_place(places, &count, getenv("HOME"), "/.cache/uport");
  add_place(places, &count, getenv("XDG_RUNTIME_DIR"), "/uport");
  const char *user = decimal(geteuid());
  add_place(places, &count, "/var/tmp/uport-", user);
  add_place(places, &count, "/tmp/uport-", user);
  add_place(places, &count, "/dev/shm/uport-", user);
  return count;
}

bool pass_over(struct place *place, const char *what, const char *path) {
  place->reason = concatenate(concatenate(what, path, ": "), error_name(errno), "");
  debug(place->path, ": passed over: ", place->reason, NULL);
  return false;
}

static int pass_over_because(struct place *place, const char *reason) {
  place->reason = reason;
  debug(place->path, ": passed over: ", reason, NULL);
  return -1;
}

/* What root makes in the home of another user would be in that user's way. */
static bool may_make_in(const char *parent, const struct place *place) {
  struct stat status;
  if (place->chosen || stat(parent, &status) != 0) return true;
  return status.st_uid == geteuid() || status.st_uid == 0 || (status.st_mode & S_ISVTX) != 0;
}

/* Makes a folder and those it lies in; `path` is changed meanwhile. */
static bool make_folders(char *path, const struct place *place) {
  char *slash = strrchr(path, '/');
  if (slash && slash != path) {
    *slash = '\0';
    bool missing = access(path, F_OK) != 0 && errno == ENOENT;
    bool can = missing ? make_folders(path, place) : may_make_in(path, place);
    if (!missing && !can) errno = EPERM;
    *slash = '/';
    if (!can) return false;
  }
  return mkdir(path, 0700) == 0 || errno == EEXIST;
}

int open_place(struct place *place, bool make) {
  enum { FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
  if (*place->path != '/') return pass_over_because(place, "is no absolute path");
  int folder = open(place->path, FLAGS);
  if (folder < 0 && errno == ENOENT && make) {
    if (!make_folders(copy_bytes(place->path, strlen(place->path)), place)) {
      pass_over(place, "cannot be made", "");
      return -1;
    }
    folder = open(place->path, FLAGS);
  }
  if (folder < 0) {
    if (errno == ELOOP || errno == ENOTDIR) {
      return pass_over_because(place, "is a symbolic link or no folder");
    }
    pass_over(place, "cannot be opened", "");
    return -1;
  }
  struct stat status;
  struct statvfs mounted;
  const char *reason = NULL;
  if (fstat(folder, &status) != 0 || fstatvfs(folder, &mounted) != 0) {
    reason = "cannot be looked at";
  } else if (status.st_uid != geteuid()) {
    reason = "belongs to another user";
  } else if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    reason = "can be written by other users";
  } else if ((mounted.f_flag & ST_NOEXEC) != 0) {
    reason = "is mounted noexec";
  }
  if (!reason) return folder;
  close(folder);
  return pass_over_because(place, reason);
}

int lock_name(struct place *place, int folder, const char *name) {
  const char *file = concatenate(name, ".lock", "");
  int lock = openat(folder, file, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (lock < 0) {
    pass_over(place, "cannot make ", file);
    return -1;
  }
  int error = flock(lock, LOCK_EX | LOCK_NB);
  if (error != 0 && errno == EWOULDBLOCK) {
    debug(place->path, ": waits for another process that unpacks the same", NULL);
    do error = flock(lock, LOCK_EX);
    while (error != 0 && errno == EINTR);
  }
  if (error == 0) return lock;
  pass_over(place, "cannot lock ", file);
  close(lock);
  return -1;
}

static DIR *list(int folder) {
  int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *entries = again < 0 ? NULL : fdopendir(again);
  if (again >= 0 && !entries) close(again);
  return entries;
}

static const char *next_name(DIR *entries) {
  for (struct dirent *entry; (entry = readdir(entries));) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) return entry->d_name;
  }
  return NULL;
}

static bool remove_one(int folder, const char *name) {
  return unlinkat(folder, name, 0) == 0 || unlinkat(folder, name, AT_REMOVEDIR) == 0;
}

/* Moves a folder up into `top` under a number. */
static bool move_up(int top, int folder, const char *name, unsigned *number) {
  if (fchmodat(folder, name, 0700, 0) != 0) return false;
  for (;;) {
    if (renameat(folder, name, top, decimal((*number)++)) == 0) return true;
    if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR) return false;
  }
}

/* Empties a folder in `top`: what cannot be removed is a folder with something in it. */
static bool empty(int top, const char *name, unsigned *number) {
  if (fchmodat(top, name, 0700, 0) != 0) return false;
  int folder = openat(top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *entries = folder < 0 ? NULL : list(folder);
  bool good = entries != NULL;
  for (const char *one; good && (one = next_name(entries));) {
    good = remove_one(folder, one) || move_up(top, folder, one, number);
  }
  if (entries) closedir(entries);
  if (folder >= 0) close(folder);
  return good && unlinkat(top, name, AT_REMOVEDIR) == 0;
}

/* Folders are moved up into the first one instead of going down into them: any depth takes the same
 * few descriptors. */
bool remove_tree(int folder, const char *name) {
  if (remove_one(folder, name) || errno == ENOENT) return true;
  if (fchmodat(folder, name, 0700, 0) != 0) return false;
  int top = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (top < 0) return false;
  unsigned number = 0;
  bool good = true;
  for (bool found = true; good && found;) {
    found = false;
    DIR *entries = list(top);
    good = entries != NULL;
    for (const char *one; good && (one = next_name(entries));) {
      found = true;
      good = remove_one(top, one) || empty(top, one, &number);
    }
    if (entries) closedir(entries);
  }
  close(top);
  return good && unlinkat(folder, name, AT_REMOVEDIR) == 0;
}

static bool ends_with(const char *text, const char *end) {
  size_t size = strlen(text), tail = strlen(end);
  return size >= tail && strcmp(text + size - tail, end) == 0;
}

/* An unfinished folder whose maker holds no lock any more. */
static void remove_if_unlocked(int folder, const char *name) {
  const char *file = concatenate(copy_bytes(name, strlen(name) - 4), ".lock", "");
  int lock = openat(folder, file, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  if (lock < 0) return;
  if (flock(lock, LOCK_EX | LOCK_NB) == 0) remove_tree(folder, name);
  close(lock);
}

void remove_leftovers(int folder, int lock, const char *name) {
  enum { OLD = 3600 /* seconds */ };
  struct stat now;
  /* The time as the file system knows it. */
  if (futimens(lock, NULL) != 0 || fstat(lock, &now) != 0) return;
  const char *own = concatenate(name, ".tmp", "");
  remove_tree(folder, own);
  DIR *entries = list(folder);
  if (!entries) return;
  for (const char *one; (one = next_name(entries));) {
    struct stat status;
    if (ends_with(one, ".tmp")) {
      remove_if_unlocked(folder, one);
    } else if (strncmp(one, "start.", 6) == 0 &&
               fstatat(folder, one, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
               S_ISREG(status.st_mode) && status.st_mtime < now.st_mtime - OLD) {
      /* A launcher that stage 0 copied out; one that is younger may be about to start. */
      unlinkat(folder, one, 0);
    }
  }
  closedir(entries);
}
