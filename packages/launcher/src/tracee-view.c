/* Files as a traced process sees them. A name is looked up from the process's own root or working
 * directory; where its root is another than this process's, no symbolic link leads out of it. */
#include "tracee-view.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "capabilities.h"
#include "memory.h"

/* openat2 (Linux 5.6). */
struct how {
  uint64_t flags;
  uint64_t mode;
  uint64_t resolve;
};
enum { OPENAT2 = 437, IN_ROOT = 0x10, NGROUPS_LIMIT = 65536, CAP_SYS_PTRACE = 19 };

static const char *descriptor_path(int descriptor) {
  return concatenate("/proc/self/fd/", decimal((uint64_t)descriptor), "");
}

static const char *read_link(const char *path) {
  char text[PATH_MAX];
  ssize_t length = readlink(path, text, sizeof text);
  return length > 0 && length < (ssize_t)sizeof text ? copy_bytes(text, (size_t)length) : NULL;
}

static bool has_same_root(const char *self) {
  struct stat own, its;
  return stat("/", &own) == 0 && stat(concatenate(self, "root/", ""), &its) == 0 &&
         own.st_dev == its.st_dev && own.st_ino == its.st_ino;
}

/* Whose permissions count at files. */
struct file_user {
  uid_t uid;
  gid_t gid;
  size_t group_count;
  gid_t groups[NGROUPS_LIMIT];
};

static unsigned long next_number(const char **at) {
  while (**at == ' ' || **at == '\t') (*at)++;
  unsigned long value = 0;
  for (; **at >= '0' && **at <= '9'; (*at)++) value = value * 10 + (unsigned long)(**at - '0');
  return value;
}

/* The last of the four numbers of a line: that for files. */
static bool read_fourth(const char *status, const char *name, unsigned *number) {
  const char *at = strstr(status, name);
  if (!at) return false;
  at += strlen(name);
  for (unsigned i = 0; i < 4; i++) *number = (unsigned)next_number(&at);
  return true;
}

/* A process that has given up root's rights is held to its own. Only root can be somebody else. */
static struct file_user *user_of(const char *self) {
  static struct file_user user;
  static char status[64 * 1024];
  if (geteuid() != 0) return NULL;
  int file = open(concatenate(self, "status", ""), O_RDONLY | O_CLOEXEC);
  ssize_t size = file < 0 ? -1 : read(file, status, sizeof status - 1);
  if (file >= 0) close(file);
  if (size <= 0) return NULL;
  status[size] = '\0';
  if (!read_fourth(status, "\nUid:", &user.uid) || !read_fourth(status, "\nGid:", &user.gid)) return NULL;
  if (user.uid == 0) return NULL;
  const char *groups = strstr(status, "\nGroups:");
  user.group_count = 0;
  for (groups = groups ? groups + 8 : ""; user.group_count < NGROUPS_LIMIT; user.group_count++) {
    while (*groups == ' ' || *groups == '\t') groups++;
    if (*groups < '0' || *groups > '9') break;
    user.groups[user.group_count] = (gid_t)next_number(&groups);
  }
  return &user;
}

/* This process's own. */
static int own_group_count = -1;
static gid_t own_groups[NGROUPS_LIMIT];
static bool was_dumpable;

static void become_user(const struct file_user *user) {
  if (!user) return;
  if (own_group_count < 0) {
    own_group_count = getgroups(NGROUPS_LIMIT, own_groups);
    was_dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1;
  }
  setgroups(user->group_count, user->groups);
  setfsgid(user->gid);
  setfsuid(user->uid);
}

static void become_self(const struct file_user *user) {
  if (!user) return;
  int error = errno;
  setfsuid(geteuid());
  setfsgid(getegid());
  if (own_group_count >= 0) setgroups((size_t)own_group_count, own_groups);
  /* The kernel has taken that away; without it nobody opens this process's descriptors. */
  if (was_dumpable) prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  errno = error;
}

/* While it acts as another user. */
static struct file_user *acted;

bool act_as_user_of(pid_t thread) {
  static enum { NOT_ASKED, YES, NO } may_look;
  if (may_look == NOT_ASKED) may_look = has_capability(CAP_SYS_PTRACE) || geteuid() != 0 ? YES : NO;
  if (may_look == YES || acted) return false;
  acted = user_of(concatenate("/proc/", decimal((uint64_t)thread), "/"));
  become_user(acted);
  return acted != NULL;
}

void act_as_self(void) {
  become_self(acted);
  acted = NULL;
}

void start_view(struct tracee_view *view, pid_t thread) {
  view->thread = thread;
  view->self = concatenate("/proc/", decimal((uint64_t)thread), "/");
  view->same_root = has_same_root(view->self);
  view->user = acted ? NULL : user_of(view->self);
  view->no_follow = false;
  view->file = -1;
}

void end_view(struct tracee_view *view) {
  if (view->file >= 0) close(view->file);
  view->file = -1;
}

static const char *after(const char *path, const char *start) {
  size_t length = strlen(start);
  return strncmp(path, start, length) == 0 ? path + length : NULL;
}

/* What follows /proc/self/ or its like, or NULL. `between` is what must come before it. */
static const char *own_part(const char *path, const char **between) {
  const char *rest;
  while (path[0] == '/' && path[1] == '/') path++;
  *between = "";
  if ((rest = after(path, "/proc/self/")) || (rest = after(path, "/proc/thread-self/"))) return rest;
  *between = "fd/";
  if ((rest = after(path, "/dev/fd/"))) return rest;
  *between = "fd/0";
  if (strcmp(path, "/dev/stdin") == 0) return "";
  return NULL;
}

bool is_own_link(const char *path) {
  const char *between;
  return own_part(path, &between) != NULL;
}

static int open_below(const char *root, const char *path, int flags) {
  int folder = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return -1;
  struct how how = {.flags = (uint64_t)(flags | O_CLOEXEC), .resolve = IN_ROOT};
  int descriptor = (int)syscall(OPENAT2, folder, path, &how, sizeof how);
  int error = errno;
  close(folder);
  errno = error;
  return descriptor;
}

/* A relative name below another root: the absolute one there. */
static const char *absolute_below(const struct tracee_view *view, const char *start,
                                  const char *path) {
  const char *root = read_link(concatenate(view->self, "root", ""));
  const char *folder = read_link(start);
  const char *inner = root && folder ? after(folder, root) : NULL;
  return inner && (*inner == '/' || *inner == '\0')
             ? concatenate(*inner ? inner : "/", "/", path)
             : NULL;
}

/* An O_PATH descriptor of what the process finds by a name, or -1 and errno. */
static int look_up(struct tracee_view *view, const char *path) {
  const char *start = concatenate(view->self, "cwd", "");
  int flags = O_PATH | O_CLOEXEC | (view->no_follow ? O_NOFOLLOW : 0);
  view->no_follow = false;
  if (*path == '\0') {
    errno = ENOENT;
    return -1;
  }
  const char *between, *own;
  if (*path == '/' && (own = own_part(path, &between))) {
    return open(concatenate(view->self, between, own), flags);
  }
  if (!view->same_root) {
    const char *absolute = *path == '/' ? path : absolute_below(view, start, path);
    if (!absolute) {
      errno = EXDEV;
      return -1;
    }
    return open_below(concatenate(view->self, "root", ""), absolute, flags);
  }
  if (*path == '/') return open(path, flags);
  int folder = open(start, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return -1;
  int descriptor = openat(folder, path, flags);
  int error = errno;
  close(folder);
  errno = error;
  return descriptor;
}

int check_in_view(void *context, const char *path, bool is_interpreter) {
  struct tracee_view *view = context;
  end_view(view);
  if (*path == '\0' && is_interpreter) return EACCES;
  view->file = look_up(view, path);
  if (view->file < 0 || fstat(view->file, &view->status) != 0) return errno;
  if (S_ISLNK(view->status.st_mode)) return ELOOP;
  if (!S_ISREG(view->status.st_mode)) return EACCES;
  become_user(view->user);
  /* AT_EMPTY_PATH for faccessat2 came with it (Linux 5.8). */
  int error = syscall(SYS_faccessat2, view->file, "", X_OK, AT_EACCESS | AT_EMPTY_PATH) == 0 ? 0 : errno;
  become_self(view->user);
  if (error != ENOSYS) return error;
  return access(descriptor_path(view->file), X_OK) == 0 ? 0 : errno;
}

int open_in_view(void *context, const char *path) {
  struct tracee_view *view = context;
  (void)path;
  const char *name = descriptor_path(view->file);
  become_user(view->user);
  int descriptor = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  become_self(view->user);
  return descriptor;
}

bool is_name_in_view(const struct tracee_view *view, const char *path) {
  struct stat status;
  if (*path != '/' || is_own_link(path)) return false;
  int descriptor = view->same_root ? open(path, O_PATH | O_CLOEXEC)
                                   : open_below(concatenate(view->self, "root", ""), path, O_PATH);
  if (descriptor < 0) return false;
  bool same = fstat(descriptor, &status) == 0 && status.st_dev == view->status.st_dev &&
              status.st_ino == view->status.st_ino;
  close(descriptor);
  return same;
}

const char *name_in_view(const struct tracee_view *view) {
  const char *name = read_link(descriptor_path(view->file));
  if (!name) return NULL;
  if (!view->same_root) {
    const char *root = read_link(concatenate(view->self, "root", ""));
    name = root ? after(name, root) : NULL;
    if (!name) return NULL;
  }
  return is_name_in_view(view, name) ? name : NULL;
}
