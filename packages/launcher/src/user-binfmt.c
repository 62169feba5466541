/* A private binfmt_misc. Linux gives each user namespace its own, which its root may fill; a second
 * namespace inside it gives the user's own identity back. A process that finds out half-way that this
 * is forbidden (AppArmor lets user namespaces be made and then refuses what is done in them) could
 * not go back, so helpers make the namespaces, and this process joins them when all is done:
 *
 *   outer    user 0 is this user; a mount namespace with a binfmt_misc; registrations
 *   inner    user and group are this process's own again
 *
 * The helpers share this process's memory and descriptors, as with vfork. */
#include "user-binfmt.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capabilities.h"
#include "compatible.h"
#include "kernel-version.h"
#include "memory.h"
#include "message.h"
#include "own-loader.h"

enum {
  STACK_SIZE = 16 * 1024,
  LINE_MAX = 1920, /* what the kernel takes */
  ELF32_FLAGS_AT = 36,
  ELF64_FLAGS_AT = 48,
  FIRST_MAJOR = 6,
  FIRST_MINOR = 7,
};

static const char folder[] = "/proc/sys/fs/binfmt_misc";

static struct {
  const struct manifest *manifest;
  unsigned uid;
  unsigned gid;
  int outer;   /* namespaces, or -1 */
  int inner;
  int mounts;
  int directory; /* the working directory in `mounts` */
  const char *failed;
  int error;
} work;

static void write_number(char **at, unsigned long number) {
  const char *digits = decimal(number);
  size_t size = strlen(digits);
  memcpy(*at, digits, size);
  *at += size;
}

static bool write_file(const char *path, const char *text, size_t size) {
  int descriptor = open(path, O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  ssize_t written = write(descriptor, text, size);
  int error = errno;
  close(descriptor);
  errno = error;
  return written == (ssize_t)size;
}

static bool write_map(const char *path, unsigned inside, unsigned outside) {
  char text[64], *at = text;
  write_number(&at, inside);
  *at++ = ' ';
  write_number(&at, outside);
  memcpy(at, " 1\n", 3);
  return write_file(path, text, (size_t)(at + 3 - text));
}

static bool write_maps(bool is_outer) {
  static const char deny[] = "deny";
  return write_file("/proc/self/setgroups", deny, sizeof deny - 1) &&
         write_map("/proc/self/gid_map", is_outer ? 0 : work.gid, is_outer ? work.gid : 0) &&
         write_map("/proc/self/uid_map", is_outer ? 0 : work.uid, is_outer ? work.uid : 0);
}

static bool failed(const char *what) {
  work.error = errno;
  work.failed = what;
  return false;
}

/* Does as vfork does: the helper runs, then this goes on. */
static bool run_helper(int (*helper)(void *), char *stack, int namespaces) {
  int flags = CLONE_VM | CLONE_VFORK | CLONE_FILES | namespaces;
  int child = clone(helper, stack + STACK_SIZE, flags, NULL);
  if (child < 0) return failed("user namespaces are forbidden or used up");
  int status = 0;
  while (waitpid(child, &status, __WALL) < 0 && errno == EINTR) {}
  /* A policy of the system may kill for what it forbids. */
  if (!work.failed && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
    errno = EPERM;
    return failed("the process that makes the namespaces was killed");
  }
  return work.failed == NULL;
}

static int make_inner(void *unused) {
  (void)unused;
  if (!write_maps(false)) {
    failed("a second user namespace gets no user");
  } else if ((work.inner = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC)) < 0) {
    failed("/proc/self/ns cannot be read");
  }
  return 0;
}

static char *put_escaped(char *at, const unsigned char *bytes, size_t size) {
  static const char hex[] = "0123456789abcdef";
  for (size_t i = 0; i < size; i++) {
    *at++ = '\\';
    *at++ = 'x';
    *at++ = hex[bytes[i] >> 4];
    *at++ = hex[bytes[i] & 15];
  }
  return at;
}

/* A byte between the fields that the path does not hold. */
static char choose_delimiter(const char *path) {
  for (const char *one = ":|,;!^~\t"; *one; one++) {
    if (!strchr(path, *one)) return *one;
  }
  return '\1';
}

/* The rule by which the launcher itself knows a guest's programs: see read_elf and find_emulator. */
static size_t make_rule(const struct emulator *emulator, unsigned char *magic, unsigned char *mask) {
  bool is_64 = emulator->cpu.class == CLASS_64, lsb = emulator->cpu.data == DATA_LSB;
  make_elf_head(emulator->cpu, emulator->flags_value, magic);
  memset(mask, 0, HEAD_SIZE);
  memset(mask, 0xff, 6);
  memset(mask + 16, 0xff, 4);
  /* ET_EXEC is 2 and ET_DYN is 3. */
  mask[lsb ? 16 : 17] = 0xfe;
  if (emulator->flags_mask == 0) return 20;
  size_t flags_at = is_64 ? ELF64_FLAGS_AT : ELF32_FLAGS_AT;
  for (unsigned i = 0; i < 4; i++) {
    mask[flags_at + (lsb ? i : 3 - i)] = (unsigned char)(emulator->flags_mask >> 8 * i);
  }
  return flags_at + 4;
}

/* What is to be the interpreter: the emulator, or the launcher where options have to be given or
 * the emulator may not know how the kernel calls it. NULL when the launcher is not at hand. */
static const char *interpreter_of(const struct emulator *emulator) {
  const char *path = emulator_path(work.manifest, emulator);
  const char *slash = strrchr(path, '/');
  bool may_be_translated = work.manifest->has_translator &&
                           strcmp(work.manifest->translator.guest, emulator->name) == 0;
  if (!may_be_translated && emulator->arg_count == 0 && strncmp(slash ? slash + 1 : path, "qemu-", 5) == 0) return path;
  const char *launcher = concatenate(work.manifest->folder, "launch", "");
  bool beside = *launcher == '/' && access(launcher, X_OK) == 0 &&
                strcmp(work.manifest->file, concatenate(work.manifest->folder, "manifest", "")) == 0;
  return beside ? launcher : NULL;
}

static bool register_one(int registrar, const struct emulator *emulator) {
  char line[LINE_MAX + 512], *at = line;
  unsigned char magic[HEAD_SIZE], mask[HEAD_SIZE];
  const char *interpreter = interpreter_of(emulator);
  if (!interpreter) {
    errno = ENOENT;
    return failed("an emulator has options, and the launcher does not lie beside the manifest");
  }
  size_t size = make_rule(emulator, magic, mask), length = strlen(interpreter);
  if (length > LINE_MAX - 600) {
    errno = ENAMETOOLONG;
    return failed("an emulator's path is too long");
  }
  char between = choose_delimiter(interpreter);
  *at++ = between;
  memcpy(at, "uport-", 6);
  at += 6;
  memcpy(at, emulator->name, strlen(emulator->name));
  at += strlen(emulator->name);
  *at++ = between;
  *at++ = 'M';
  *at++ = between;
  *at++ = '0';
  *at++ = between;
  at = put_escaped(at, magic, size);
  *at++ = between;
  at = put_escaped(at, mask, size);
  *at++ = between;
  memcpy(at, interpreter, length);
  at += length;
  *at++ = between;
  *at++ = 'F';
  *at++ = 'P';
  if (write(registrar, line, (size_t)(at - line)) == at - line) return true;
  return failed("an emulator cannot be registered");
}

static bool mount_here(void) {
  const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (mount("binfmt_misc", folder, "binfmt_misc", flags, NULL) == 0) return true;
  if (errno != ENOENT) return false;
  /* The folder comes with the kernel's module. */
  int context = (int)syscall(SYS_fsopen, "binfmt_misc", 1 /* FSOPEN_CLOEXEC */);
  if (context >= 0) close(context);
  return context >= 0 && mount("binfmt_misc", folder, "binfmt_misc", flags, NULL) == 0;
}

/* Whether this kernel runs its programs without help. */
static bool is_compatible(const struct emulator *emulator) {
  return is_host_cpu(emulator->cpu) ||
         (is_compatible_cpu(emulator->cpu) && kernel_runs_cpu(emulator->cpu));
}

static int make_outer(void *unused) {
  static char stack[STACK_SIZE] __attribute__((aligned(16)));
  (void)unused;
  if (!write_maps(true)) {
    failed("a user namespace gets no user");
  } else if (!mount_here()) {
    failed("binfmt_misc cannot be mounted in a user namespace");
  } else {
    int registrar = open(concatenate(folder, "/", "register"), O_WRONLY | O_CLOEXEC);
    if (registrar < 0) failed("binfmt_misc cannot be written");
    /* The newest one that fits is taken: the first of the manifest comes last. */
    for (unsigned i = work.manifest->emulator_count; i-- > 0 && !work.failed;) {
      const struct emulator *emulator = &work.manifest->emulators[i];
      if (!is_compatible(emulator)) register_one(registrar, emulator);
    }
    if (registrar >= 0) close(registrar);
  }
  if (work.failed || !run_helper(make_inner, stack, CLONE_NEWUSER)) return 0;
  work.outer = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
  work.mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  work.directory = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (work.directory < 0) {
    failed("the working directory cannot be opened");
  } else if (work.outer < 0 || work.mounts < 0) {
    failed("/proc/self/ns cannot be read");
  }
  return 0;
}

/* The registrations end with the mount, which these namespaces hold. */
static void join(void) {
  int death_signal = 0;
  prctl(PR_GET_PDEATHSIG, &death_signal, 0, 0, 0);
  bool joined = setns(work.outer, CLONE_NEWUSER) == 0 && setns(work.mounts, CLONE_NEWNS) == 0 &&
                fchdir(work.directory) == 0 &&
                setns(work.inner, CLONE_NEWUSER) == 0;
  if (!joined) {
    die(STATUS_OWN_FAULT, "the user namespace that was made cannot be joined (", error_name(errno),
        "), set UPORT_EXEC=ptrace", NULL);
  }
  /* A change of credentials has cleared it. */
  if (death_signal != 0) prctl(PR_SET_PDEATHSIG, (unsigned long)death_signal, 0, 0, 0);
}

static void close_work(void) {
  const int all[] = {work.outer, work.inner, work.mounts, work.directory};
  for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
    if (all[i] >= 0) close(all[i]);
  }
}

const char *loses_in_user_namespace(void) {
  return has_any_capability()
             ? "this process has capabilities (as root has), which it would lose in a user namespace"
             : NULL;
}

const char *register_privately(const struct manifest *manifest) {
  static char stack[STACK_SIZE] __attribute__((aligned(16)));
  const char *lacking = kernel_lacks_options(manifest);
  if (lacking) return lacking;
  if (!kernel_is_at_least(FIRST_MAJOR, FIRST_MINOR)) {
    return concatenate("Linux 6.7 is needed, this is ", kernel_release(), "");
  }
  /* It is remembered: the helpers had better not find it out. */
  for (unsigned i = 0; i < manifest->emulator_count; i++) is_compatible(&manifest->emulators[i]);
  work.manifest = manifest;
  work.uid = (unsigned)geteuid();
  work.gid = (unsigned)getegid();
  if (work.uid != getuid() || work.gid != getgid()) return "real and effective user differ";
  work.outer = work.inner = work.mounts = work.directory = -1;
  work.failed = NULL;
  bool made = run_helper(make_outer, stack, CLONE_NEWUSER | CLONE_NEWNS);
  if (made) join();
  close_work();
  if (made) return NULL;
  return concatenate(work.failed, " (", concatenate(error_name(work.error), ")", ""));
}
