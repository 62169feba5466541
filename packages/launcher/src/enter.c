/* Entering a root file system without being root, or as root:
 *
 *   1. a user namespace where the caller is not root: user 0 inside is the caller, and where
 *      /etc/subuid gives the caller a range and newuidmap is there, users 1 and up are that range;
 *   2. a mount namespace; the root gets the host's /proc and /sys, a /dev of its own with the host's
 *      plain devices, and the host's resolv.conf;
 *   3. binfmt_misc of that user namespace (Linux 6.7), with the registrations that were given;
 *   4. pivot_root, since a process in a chroot may make no further user namespaces.
 *
 * Nothing is isolated: network, processes and users are the host's. Symbolic links in the root are
 * never followed from outside: mounts go through descriptors of folders that are opened one by one. */
#include "enter.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"
#include "message.h"

static const char binfmt_folder[] = "/proc/sys/fs/binfmt_misc";

__attribute__((noreturn)) static void cannot(const char *what, const char *next) {
  die(STATUS_OWN_FAULT, what, ": ", error_name(errno), ", ", next, NULL);
}

static const char *descriptor_path(int descriptor) {
  return concatenate("/proc/self/fd/", decimal((uint64_t)descriptor), "");
}

static bool write_text(const char *path, const char *text) {
  int descriptor = open(path, O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  size_t size = strlen(text);
  ssize_t written = write(descriptor, text, size);
  int error = errno;
  close(descriptor);
  errno = error;
  return written == (ssize_t)size;
}

/* --- users --- */

/* A small file as text, or NULL. */
static char *read_text(const char *path) {
  enum { MAX = 1 << 20 };
  int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (descriptor < 0) return NULL;
  size_t used = 0, room = 4096;
  char *text = allocate(room + 1);
  for (ssize_t got; (got = read(descriptor, text + used, room - used)) > 0;) {
    used += (size_t)got;
    if (used < room) continue;
    if (room >= MAX) break;
    char *larger = allocate(2 * room + 1);
    memcpy(larger, text, used);
    text = larger;
    room *= 2;
  }
  close(descriptor);
  text[used] = '\0';
  return text;
}

/* The field `wanted` of the line whose field `key` is `value`; fields end with colons. */
static const char *find_field(const char *file, unsigned key, const char *value, unsigned wanted) {
  char *text = read_text(file);
  for (char *line = text, *stop; line && *line; line = stop) {
    char *fields[7] = {line};
    unsigned count = 1;
    stop = line + strcspn(line, "\n");
    if (*stop) *stop++ = '\0';
    for (char *at = line; *at && count < 7; at++) {
      if (*at != ':') continue;
      *at = '\0';
      fields[count++] = at + 1;
    }
    if (key < count && wanted < count && strcmp(fields[key], value) == 0) return fields[wanted];
  }
  return NULL;
}

struct range {
  const char *start;
  const char *count;
};

/* The caller's first range of subordinate ids, by name or number. */
static bool find_range(const char *file, const char *name, const char *number, struct range *range) {
  const char *keys[] = {name, number};
  for (unsigned i = 0; i < 2; i++) {
    if (!keys[i]) continue;
    range->start = find_field(file, 0, keys[i], 1);
    range->count = find_field(file, 0, keys[i], 2);
    if (range->start && range->count) return true;
  }
  return false;
}

static bool run(const char *program, char *const argv[]) {
  extern char **environ;
  pid_t child = fork();
  if (child < 0) return false;
  if (child == 0) {
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0 && !debug_wanted) dup2(nowhere, STDERR_FILENO);
    execve(concatenate("/usr/bin/", program, ""), argv, environ);
    execve(concatenate("/bin/", program, ""), argv, environ);
    _exit(127);
  }
  int status = -1;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Every id of this namespace as itself: the map's lines with their first field twice. */
static bool map_all(const char *process, const char *name) {
  char *text = read_text(concatenate("/proc/self/", name, ""));
  const char *lines = "";
  for (char *line = text, *stop; line && *line; line = stop) {
    stop = line + strcspn(line, "\n");
    if (*stop) *stop++ = '\0';
    char *fields[3];
    unsigned count = 0;
    for (char *at = line; count < 3; count++) {
      at += strspn(at, " ");
      fields[count] = at;
      at += strcspn(at, " ");
      if (*at) *at++ = '\0';
    }
    const char *ids = concatenate(fields[0], " ", fields[0]);
    lines = concatenate(lines, concatenate(ids, " ", fields[2]), "\n");
  }
  return write_text(concatenate(concatenate("/proc/", process, "/"), name, ""), lines);
}

static bool map_ranges(const char *process, unsigned uid, unsigned gid) {
  if (uid == 0) return map_all(process, "gid_map") && map_all(process, "uid_map");
  const char *user = copy_bytes(decimal(uid), strlen(decimal(uid)));
  const char *group = copy_bytes(decimal(gid), strlen(decimal(gid)));
  const char *name = find_field("/etc/passwd", 2, user, 0);
  struct range users, groups;
  if (!find_range("/etc/subuid", name, user, &users) || !find_range("/etc/subgid", name, user, &groups)) {
    debug("users: /etc/subuid and /etc/subgid give this user no range", NULL);
    return false;
  }
  char *uids[] = {"newuidmap", (char *)process, "0", (char *)user, "1", "1", (char *)users.start,
                  (char *)users.count, NULL};
  char *gids[] = {"newgidmap", (char *)process, "0", (char *)group, "1", "1", (char *)groups.start,
                  (char *)groups.count, NULL};
  if (run("newgidmap", gids) && run("newuidmap", uids)) return true;
  debug("users: newuidmap and newgidmap cannot map the range of this user", NULL);
  return false;
}

/* A process in the first namespace that maps the users of this one when told to. */
struct mapper {
  pid_t child;
  int go;
};

static struct mapper start_mapper(unsigned uid, unsigned gid) {
  int pipe_ends[2];
  struct mapper mapper = {-1, -1};
  const char *process = decimal((uint64_t)getpid());
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return mapper;
  process = copy_bytes(process, strlen(process));
  mapper.child = fork();
  if (mapper.child == 0) {
    char byte;
    close(pipe_ends[1]);
    if (read(pipe_ends[0], &byte, 1) != 1) _exit(1);
    _exit(map_ranges(process, uid, gid) ? 0 : 1);
  }
  close(pipe_ends[0]);
  mapper.go = pipe_ends[1];
  return mapper;
}

static void stop_mapper(struct mapper mapper) {
  if (mapper.go >= 0) close(mapper.go);
  if (mapper.child <= 0) return;
  kill(mapper.child, SIGKILL);
  while (waitpid(mapper.child, NULL, 0) < 0 && errno == EINTR) {}
}

static bool finish_mapper(struct mapper mapper) {
  if (mapper.child < 0) {
    stop_mapper(mapper);
    return false;
  }
  int status = -1;
  if (write(mapper.go, "", 1) != 1) debug("users: the mapping process is gone", NULL);
  close(mapper.go);
  while (waitpid(mapper.child, &status, 0) < 0 && errno == EINTR) {}
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* User 0 inside is the caller, and there is no other. */
static bool map_caller(unsigned uid, unsigned gid) {
  const char *own = copy_bytes(decimal(uid), strlen(decimal(uid)));
  const char *group = copy_bytes(decimal(gid), strlen(decimal(gid)));
  return write_text("/proc/self/setgroups", "deny") &&
         write_text("/proc/self/gid_map", concatenate("0 ", group, " 1")) &&
         write_text("/proc/self/uid_map", concatenate("0 ", own, " 1"));
}

static void make_user_namespace(void) {
  unsigned uid = (unsigned)geteuid(), gid = (unsigned)getegid();
  struct mapper mapper = start_mapper(uid, gid);
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
    cannot("a root cannot be entered: this machine gives no user namespaces",
           "allow them (kernel.apparmor_restrict_unprivileged_userns=0, user.max_user_namespaces), "
           "or do it as root");
  }
  if (finish_mapper(mapper)) {
    debug("users: 0 inside is ", decimal(uid), ", others come from /etc/subuid", NULL);
  } else {
    if (!map_caller(uid, gid)) {
      cannot("a root cannot be entered: the user namespace gets no user",
             "allow user namespaces (AppArmor may forbid their use), or do it as root");
    }
    debug("users: only one, 0 inside is ", decimal(uid), NULL);
  }
  if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0) {
    cannot("a root cannot be entered: user 0 of the namespace cannot be taken", "do it as root");
  }
  /* Refused where only one group is mapped. */
  setgroups(0, NULL);
}

/* --- mounts --- */

/* A folder of the root, made if it is missing; never through a symbolic link. -1 when it cannot be. */
static int open_folder(int parent, const char *name) {
  const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  int folder = openat(parent, name, flags);
  if (folder < 0 && errno == ENOENT && mkdirat(parent, name, 0755) == 0) {
    folder = openat(parent, name, flags);
  }
  if (folder < 0) debug("/", name, " of the root: ", error_name(errno), NULL);
  return folder;
}

static bool bind(const char *from, int to) {
  if (mount(from, descriptor_path(to), NULL, MS_BIND | MS_REC, NULL) == 0) return true;
  debug(from, ": cannot be bound: ", error_name(errno), NULL);
  return false;
}

static void bind_folder(int root, const char *from, const char *name) {
  int folder = open_folder(root, name);
  if (folder < 0) return;
  bind(from, folder);
  close(folder);
}

/* An empty file to bind another one to. */
static int open_file(int parent, const char *name) {
  int file = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) {
    int made = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (made >= 0) close(made);
    file = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  }
  struct stat status;
  if (file >= 0 && (fstat(file, &status) != 0 || !S_ISREG(status.st_mode))) {
    close(file);
    file = -1;
  }
  return file;
}

static void bind_file(int parent, const char *from, const char *name) {
  int file = open_file(parent, name);
  if (file < 0) {
    debug(name, ": is not bound, what is there is no plain file", NULL);
    return;
  }
  bind(from, file);
  close(file);
}

static void bind_resolver(int root) {
  static const char resolver[] = "/etc/resolv.conf";
  if (access(resolver, R_OK) != 0) return;
  int etc = openat(root, "etc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (etc < 0) return;
  bind_file(etc, resolver, "resolv.conf");
  close(etc);
}

/* A /dev of its own: what it holds must be usable, which nodes of an ordinary user's root are not. */
static void make_devices(int root, const char *launcher_folder) {
  static const char *const nodes[] = {"null", "zero", "full", "random", "urandom", "tty"};
  static const char *const links[][2] = {{"/proc/self/fd", "fd"},
                                         {"/proc/self/fd/0", "stdin"},
                                         {"/proc/self/fd/1", "stdout"},
                                         {"/proc/self/fd/2", "stderr"},
                                         {"pts/ptmx", "ptmx"}};
  int place = open_folder(root, "dev");
  if (place < 0) return;
  if (mount("uport", descriptor_path(place), "tmpfs", MS_NOSUID, "mode=0755,size=65536k") != 0) {
    debug("/dev: a tmpfs cannot be mounted: ", error_name(errno), NULL);
    close(place);
    return;
  }
  close(place);
  /* Opened again: what was opened before lies below the mount. */
  int folder = openat(root, "dev", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (folder < 0) return;
  for (unsigned i = 0; i < sizeof nodes / sizeof *nodes; i++) {
    bind_file(folder, concatenate("/dev/", nodes[i], ""), nodes[i]);
  }
  for (unsigned i = 0; i < sizeof links / sizeof *links; i++) {
    if (symlinkat(links[i][0], folder, links[i][1]) != 0) debug("/dev/", links[i][1], ": ", error_name(errno), NULL);
  }
  int shared = open_folder(folder, "shm");
  if (shared >= 0) {
    mount("uport", descriptor_path(shared), "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
    close(shared);
  }
  int terminals = open_folder(folder, "pts");
  if (terminals >= 0) {
    const char *path = descriptor_path(terminals);
    if (mount("devpts", path, "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620,gid=5") != 0 &&
        mount("devpts", path, "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620") != 0) {
      debug("/dev/pts: ", error_name(errno), NULL);
    }
    close(terminals);
  }
  if (launcher_folder) bind_folder(folder, launcher_folder, ".uport");
  close(folder);
}

/* FROM=TO: folders or files that are there on both sides. */
static void bind_extra(int root, const char *pair) {
  const char *equals = strchr(pair, '=');
  if (!equals || *pair != '/' || equals[1] != '/') {
    die(STATUS_OWN_FAULT, "--bind ", pair, ": is not FROM=TO, give two absolute paths", NULL);
  }
  const char *from = copy_bytes(pair, (size_t)(equals - pair));
  struct stat status;
  if (stat(from, &status) != 0) cannot(concatenate("--bind ", from, ""), "name what is there");
  int at = dup(root);
  for (const char *part = equals + 1; *part;) {
    while (*part == '/') part++;
    size_t length = strcspn(part, "/");
    if (length == 0) break;
    const char *name = copy_bytes(part, length);
    part += length;
    bool last = part[strspn(part, "/")] == '\0';
    if (strcmp(name, "..") == 0) die(STATUS_OWN_FAULT, "--bind ", pair, ": leads out of the root, leave out ..", NULL);
    int next = last && !S_ISDIR(status.st_mode) ? open_file(at, name) : open_folder(at, name);
    close(at);
    at = next;
    if (at < 0) {
      die(STATUS_OWN_FAULT, "--bind ", pair, ": cannot be made in the root, make ", equals + 1,
          " there first", NULL);
    }
  }
  if (!bind(from, at)) cannot(concatenate("--bind ", pair, ""), "name something else");
  close(at);
}

/* Registrations open their interpreters at once (flag F), so their paths are the host's. */
static void register_formats(const struct entry_root *root) {
  if (root->registration_count == 0) return;
  if (mount("binfmt_misc", binfmt_folder, "binfmt_misc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0) {
    debug("binfmt_misc: cannot be mounted here: ", error_name(errno), NULL);
    return;
  }
  const char *file = concatenate(binfmt_folder, "/register", "");
  for (unsigned i = 0; i < root->registration_count; i++) {
    if (!write_text(file, root->registrations[i])) {
      debug("binfmt_misc: a registration is refused: ", error_name(errno), NULL);
    }
  }
}

/* Root's own, for registrations that only what is inside sees. All users stay what they are, but
 * devices cannot be made in it. Returns false, and this process is as it was, where it cannot be. */
static bool make_root_namespace(void) {
  struct mapper mapper = start_mapper(0, 0);
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
    debug("a user namespace cannot be made: ", error_name(errno), NULL);
    stop_mapper(mapper);
    return false;
  }
  if (!finish_mapper(mapper)) {
    cannot("a root cannot be entered: the user namespace gets no users", "set UPORT_EXEC=ptrace");
  }
  return true;
}

void enter_root(const struct entry_root *root, const char *folder) {
  bool is_root = geteuid() == 0;
  bool is_apart = !is_root;
  /* Who ignores it is not told how its children end. */
  const struct sigaction standard = {.sa_handler = SIG_DFL};
  struct sigaction before;
  sigaction(SIGCHLD, &standard, &before);
  if (!is_root) {
    make_user_namespace();
  } else if (root->registration_count > 0 && make_root_namespace()) {
    is_apart = true;
  } else if (unshare(CLONE_NEWNS) != 0) {
    cannot("a root cannot be entered: no mount namespace", "give this process CAP_SYS_ADMIN");
  }
  sigaction(SIGCHLD, &before, NULL);
  if (root->only_namespace) return;
  if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0 ||
      mount(root->path, root->path, NULL, MS_BIND | MS_REC, NULL) != 0) {
    cannot(concatenate(root->path, ": cannot become a root", ""), "name a folder that this user may enter");
  }
  int top = open(root->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (top < 0) cannot(root->path, "name a folder that this user may enter");
  /* In a namespace of its own only: as root these would be registrations of the whole system. */
  if (is_apart) register_formats(root);
  for (unsigned i = 0; i < root->bind_count; i++) bind_extra(top, root->binds[i]);
  bind_resolver(top);
  bind_folder(top, "/sys", "sys");
  make_devices(top, folder);
  /* Last: what came before goes through the host's. */
  bind_folder(top, "/proc", "proc");
  if (fchdir(top) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 ||
      chdir("/") != 0) {
    cannot(concatenate(root->path, ": cannot become the root", ""), "try another folder");
  }
  close(top);
  if (root->workdir && chdir(root->workdir) != 0) {
    cannot(concatenate("--workdir ", root->workdir, ""), "name a folder of the root");
  }
}

/* --- the root that an app brings --- */

static const char entered[] = "the app brings a root file system, which cannot be entered";
static const char remedy[] =
    "allow user namespaces (kernel.apparmor_restrict_unprivileged_userns=0, "
    "user.max_user_namespaces), start it as root, or run it as an image";

static bool is_empty(int folder) {
  int readable = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *entries = readable < 0 ? NULL : fdopendir(readable);
  if (!entries) return false;
  bool empty = true;
  for (struct dirent *entry; empty && (entry = readdir(entries));) {
    empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
  }
  closedir(entries);
  return empty;
}

/* A folder of the host, opened before, at the same path. What the app brings is never hidden. */
static void show_folder(int root, const char *path, int from) {
  if (!path || from < 0) return;
  int at = dup(root);
  for (const char *part = path; at >= 0 && *(part += strspn(part, "/"));) {
    size_t length = strcspn(part, "/");
    int next = open_folder(at, copy_bytes(part, length));
    part += length;
    close(at);
    at = next;
  }
  if (at < 0) return;
  if (strcmp(path, "/") != 0 && is_empty(at)) {
    bind(descriptor_path(from), at);
  } else {
    debug(path, ": is in the root already", NULL);
  }
  close(at);
}

/* What the app writes goes to memory and ends with it. Returns the top, or -1 where it cannot be:
 * overlays are not in every kernel. */
static int cover_with_memory(const char *path, bool is_apart) {
  static const char *const names[] = {"upper", "work", "merged"};
  int places[3] = {-1, -1, -1}, top = -1;
  int lower = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (lower < 0) return -1;
  if (mount("uport", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") != 0) {
    close(lower);
    return -1;
  }
  int memory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  for (unsigned i = 0; memory >= 0 && i < 3; i++) places[i] = open_folder(memory, names[i]);
  if (places[0] >= 0 && places[1] >= 0 && places[2] >= 0) {
    const char *options = concatenate("lowerdir=", descriptor_path(lower), ",upperdir=");
    options = concatenate(options, descriptor_path(places[0]), ",workdir=");
    options = concatenate(options, descriptor_path(places[1]), is_apart ? ",userxattr" : "");
    if (mount("uport", descriptor_path(places[2]), "overlay", MS_NODEV, options) == 0) {
      top = openat(memory, names[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } else {
      debug("overlay: cannot be mounted: ", error_name(errno), NULL);
    }
  }
  for (unsigned i = 0; i < 3; i++) {
    if (places[i] >= 0) close(places[i]);
  }
  if (memory >= 0) close(memory);
  close(lower);
  if (top < 0) umount2(path, MNT_DETACH);
  return top;
}

static int bind_top(const char *path) {
  if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) != 0) return -1;
  return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Flags that the mount has must be given again: a user namespace may not drop them. */
static void make_read_only(const char *path) {
  static const struct {
    unsigned long given, wanted;
  } flags[] = {{ST_NOSUID, MS_NOSUID},   {ST_NODEV, MS_NODEV},           {ST_NOEXEC, MS_NOEXEC},
               {ST_NOATIME, MS_NOATIME}, {ST_NODIRATIME, MS_NODIRATIME}, {ST_RELATIME, MS_RELATIME}};
  struct statvfs status;
  unsigned long wanted = MS_REMOUNT | MS_BIND | MS_RDONLY;
  if (statvfs(path, &status) != 0) return;
  for (unsigned i = 0; i < sizeof flags / sizeof *flags; i++) {
    if (status.f_flag & flags[i].given) wanted |= flags[i].wanted;
  }
  if (mount(NULL, path, NULL, wanted, NULL) != 0) {
    debug(path, ": can be written to by the app: ", error_name(errno), NULL);
  }
}

/* Without capabilities, as an ordinary process is, what the app starts may get a binfmt_misc. */
static void drop_capabilities(void) {
  struct {
    uint32_t version;
    int pid;
  } header = {0x20080522 /* _LINUX_CAPABILITY_VERSION_3 */, 0};
  const struct {
    uint32_t effective, permitted, inheritable;
  } none[2] = {{0, 0, 0}, {0, 0, 0}};
  if (syscall(SYS_capset, &header, none) != 0) debug("capabilities: ", error_name(errno), NULL);
}

/* A line for an id that a list of the root's lacks, under the name that the host has for it. */
static void add_name(int etc, const char *list, const char *id, const char *host_name, const char *rest) {
  int file = openat(etc, list, O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
  if (file < 0) return;
  const char *path = descriptor_path(file);
  const char *name = host_name && !find_field(path, 0, host_name, 0) ? host_name : concatenate("user", id, "");
  if (!find_field(path, 2, id, 0)) {
    char last = '\n';
    off_t end = lseek(file, 0, SEEK_END);
    if (end > 0 && pread(file, &last, 1, end - 1) != 1) last = '\n';
    const char *line = concatenate(last == '\n' ? "" : "\n", name, concatenate(":x:", id, concatenate(rest, "\n", "")));
    size_t size = strlen(line);
    if (write(file, line, size) != (ssize_t)size) debug(list, ": ", error_name(errno), NULL);
  }
  close(file);
}

/* Programs that ask for the caller's name (initdb, ssh, whoami) end where there is none. */
static void name_caller(int root, unsigned uid, unsigned gid, const char *home) {
  int etc = openat(root, "etc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (etc < 0) return;
  const char *user = copy_bytes(decimal(uid), strlen(decimal(uid)));
  const char *group = copy_bytes(decimal(gid), strlen(decimal(gid)));
  bool is_plain = home && *home == '/' && strpbrk(home, ":\n") == NULL;
  const char *rest = concatenate(concatenate(":", group, "::"), is_plain ? home : "/", ":/bin/sh");
  add_name(etc, "passwd", user, find_field("/etc/passwd", 2, user, 0), rest);
  add_name(etc, "group", group, find_field("/etc/group", 2, group, 0), ":");
  close(etc);
}

/* A second user namespace gives the caller's own user and group back. */
static void take_identity_back(unsigned uid, unsigned gid) {
  const char *own = copy_bytes(decimal(uid), strlen(decimal(uid)));
  const char *group = copy_bytes(decimal(gid), strlen(decimal(gid)));
  if (unshare(CLONE_NEWUSER) != 0 ||
      !write_text("/proc/self/gid_map", concatenate(group, " 0", " 1")) ||
      !write_text("/proc/self/uid_map", concatenate(own, " 0", " 1"))) {
    cannot(entered, remedy);
  }
  drop_capabilities();
}

void enter_app_root(const char *folder) {
  static char working[PATH_MAX];
  unsigned uid = (unsigned)geteuid(), gid = (unsigned)getegid();
  const char *path = concatenate(folder, "root", ""), *home = getenv("HOME");
  bool is_here = getcwd(working, sizeof working) != NULL && *working == '/';
  const int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  bool is_apart = unshare(CLONE_NEWNS) != 0;
  if (is_apart && (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 || !map_caller(uid, gid))) {
    cannot(entered, remedy);
  }
  if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0) cannot(entered, remedy);
  int current = is_here ? open(working, flags) : -1;
  int own = home && *home == '/' ? open(home, flags) : -1;
  int temporary = open("/tmp", flags);
  int launcher = open(folder, flags);
  int top = cover_with_memory(path, is_apart);
  bool in_memory = top >= 0;
  if (!in_memory) top = bind_top(path);
  if (top < 0 || launcher < 0) cannot(entered, remedy);
  bind_resolver(top);
  bind_folder(top, "/sys", "sys");
  make_devices(top, descriptor_path(launcher));
  if (in_memory) name_caller(top, uid, gid, home);
  show_folder(top, "/tmp", temporary);
  show_folder(top, home, own);
  show_folder(top, is_here ? working : NULL, current);
  /* Last: what came before goes through the host's. */
  bind_folder(top, "/proc", "proc");
  if (!in_memory) make_read_only(path);
  if (fchdir(top) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 ||
      chdir("/") != 0) {
    cannot(entered, remedy);
  }
  const int opened[] = {current, own, temporary, launcher, top};
  for (unsigned i = 0; i < sizeof opened / sizeof *opened; i++) {
    if (opened[i] >= 0) close(opened[i]);
  }
  if (is_apart) take_identity_back(uid, gid);
  if (is_here && chdir(working) != 0) debug(working, ": is not in the app's root, it starts in /", NULL);
}
