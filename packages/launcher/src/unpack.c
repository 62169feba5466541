/* Unpacking this host's parts of a payload. The index is walked once, line by line: folders are made,
 * files filled from the tree's blob in the order they come. */
#include "unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h> /* renameat */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "blob.h"
#include "memory.h"
#include "message.h"
#include "translator.h"

enum {
  /* Of every unpacked file: one second into 1970. */
  UNPACKED_TIME = 1,
  /* Set-user-id bits mean nothing in a cache of one user and harm in a public folder. */
  MODE_BITS = 01777,
  /* ELF files lie on page boundaries of FatELF. */
  RECORD_ALIGNMENT = 4096,
  RECORDS_END_MAX = 64 << 20,
  RENAME_EXCHANGE_FLAG = 2,
};

/* The deepest opened folder of a tree, since nodes that follow each other often share it. */
struct walker {
  int top;
  int folder; /* -1: none is open */
  char path[VALUE_SIZE_MAX + 1];
};

struct made_dir {
  const char *path;
  unsigned mode;
};

struct replaced {
  bool seen;
  unsigned mode;
};

static struct {
  const struct payload *payload;
  const struct host *host;
  struct index index;
  struct place *place;
  int folder;  /* the place's */
  int top;     /* what is being unpacked */
  int root;    /* the tree in it */
  const char *temporary; /* NULL: nothing is unfinished */
  struct walker to, from; /* `from`: for the targets of hard links */
} work;

static void discard(void) {
  const char *temporary = work.temporary;
  work.temporary = NULL;
  if (temporary) remove_tree(work.folder, temporary);
}

static bool fault(const char *what, const char *path) {
  return pass_over(work.place, what, path);
}

static void start_walk(struct walker *walker, int top) {
  walker->top = top;
  walker->folder = -1;
}

static void end_walk(struct walker *walker) {
  if (walker->folder >= 0 && walker->folder != walker->top) close(walker->folder);
  walker->folder = -1;
}

/* Opens the folder that holds `path`, through no symbolic link; `name` is the part in it. */
static int folder_of(struct walker *walker, const char *path, const char **name) {
  const char *slash = strrchr(path, '/');
  size_t length = slash ? (size_t)(slash - path) : 0;
  *name = slash ? slash + 1 : path;
  if (walker->folder >= 0 && strncmp(walker->path, path, length) == 0 &&
      walker->path[length] == '\0') {
    return walker->folder;
  }
  end_walk(walker);
  memcpy(walker->path, path, length);
  walker->path[length] = '\0';
  int folder = walker->top;
  char part[VALUE_SIZE_MAX + 1];
  for (const char *at = walker->path; *at;) {
    size_t size = strcspn(at, "/");
    memcpy(part, at, size);
    part[size] = '\0';
    int next = openat(folder, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int error = errno;
    if (folder != walker->top) close(folder);
    errno = error;
    if (next < 0) return -1;
    folder = next;
    at += size;
    if (*at) at++;
  }
  walker->folder = folder;
  return folder;
}

/* The index is to blame for some errors, the place for the others. */
static bool node_fault(const char *path) {
  if (errno == EEXIST) damaged(work.payload, "its index names a path twice");
  if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) {
    damaged(work.payload, "its index names a path whose folder is missing");
  }
  return fault("cannot write ", path);
}

bool write_all(int descriptor, const unsigned char *bytes, size_t size) {
  while (size > 0) {
    ssize_t written = write(descriptor, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written == 0) errno = EIO;
    if (written <= 0) return false;
    bytes += written;
    size -= (size_t)written;
  }
  return true;
}

static int create(int folder, const char *name) {
  return openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* Gives a written file its mode and its time, and closes it. */
static bool finish(int descriptor, unsigned mode) {
  struct timespec times[2] = {{.tv_sec = UNPACKED_TIME}, {.tv_sec = UNPACKED_TIME}};
  bool good = fchmod(descriptor, mode & MODE_BITS) == 0 && futimens(descriptor, times) == 0;
  int error = errno;
  if (close(descriptor) != 0 && good) return false;
  errno = error;
  return good;
}

/* The same for a file whose content could perhaps not be written; tells what went wrong first. */
static bool finish_written(int descriptor, bool written, unsigned mode, const char *path) {
  int error = errno;
  bool finished = finish(descriptor, mode);
  if (!written) errno = error;
  return written && finished ? true : fault("cannot write ", path);
}

/* Copies bytes of the opened blob; false and errno when they cannot be written. */
static bool copy_from_blob(int descriptor, uint64_t size) {
  const unsigned char *bytes;
  while (size > 0) {
    size_t got = read_blob(size, &bytes);
    if (got == 0) damaged(work.payload, "its files are larger than what is there of them");
    if (descriptor >= 0 && !write_all(descriptor, bytes, got)) return false;
    size -= got;
  }
  return true;
}

static bool copy_whole_blob(int descriptor, unsigned number) {
  const struct blob *blob = &work.index.blobs[number];
  open_blob(work.payload, blob);
  if (!copy_from_blob(descriptor, blob->raw)) return false;
  close_blob();
  return true;
}

/* Hashes a part of the file, and writes it unless the descriptor is -1. */
static bool copy_launcher(int descriptor, uint64_t offset, bool *right) {
  static unsigned char bytes[1 << 16];
  unsigned char digest[SHA256_SIZE];
  struct sha256 hash;
  sha256_start(&hash);
  for (uint64_t left = work.host->launcher_size; left > 0;) {
    size_t size = left < sizeof bytes ? (size_t)left : sizeof bytes;
    read_exactly(work.payload, offset, bytes, size);
    sha256_add(&hash, bytes, size);
    if (descriptor >= 0 && !write_all(descriptor, bytes, size)) return false;
    offset += size;
    left -= size;
  }
  sha256_end(&hash, digest);
  *right = memcmp(digest, work.host->launcher_sha256, SHA256_SIZE) == 0;
  return true;
}

/* Looks before the payload for the ELF file that the index names. */
static uint64_t find_launcher(void) {
  uint64_t size = work.host->launcher_size;
  uint64_t end = work.payload->start;
  if (end > RECORDS_END_MAX) end = RECORDS_END_MAX;
  for (uint64_t at = 0; at < end && size <= end - at; at += RECORD_ALIGNMENT) {
    unsigned char head[HEAD_SIZE];
    struct elf elf;
    bool right = false;
    if (size < HEAD_SIZE) break;
    read_exactly(work.payload, at, head, HEAD_SIZE);
    if (!read_elf(head, HEAD_SIZE, &elf) || !is_host_cpu(elf.cpu)) continue;
    copy_launcher(-1, at, &right);
    if (right) return at;
  }
  damaged(work.payload, concatenate("the launcher for ", host_name, " is not in the file"));
}

static bool unpack_launcher(void) {
  uint64_t offset = find_launcher();
  const char *const names[] = {"launch", work.host->has_translator ? translator_self : NULL};
  for (unsigned i = 0; i < 2 && names[i]; i++) {
    bool right = false;
    int descriptor = create(work.top, names[i]);
    if (descriptor < 0) return fault("cannot write ", names[i]);
    bool written = copy_launcher(descriptor, offset, &right);
    if (written && !right) damaged(work.payload, "the file is being changed");
    if (!finish_written(descriptor, written, 0755, names[i])) return false;
  }
  return true;
}

static const char *emulator_name(const struct host_emulator *one) {
  return concatenate("qemu-", one->emulator.name, "");
}

static bool unpack_emulators(void) {
  for (unsigned i = 0; i < work.host->emulator_count; i++) {
    const struct host_emulator *one = &work.host->emulators[i];
    const char *name = emulator_name(one);
    int descriptor = create(work.top, name);
    if (descriptor < 0) return node_fault(name);
    bool written = copy_whole_blob(descriptor, one->blob);
    if (!finish_written(descriptor, written, 0755, name)) return false;
  }
  return true;
}

static const char *part_path(const struct translator_part *part) {
  return concatenate(work.host->translator.name, "/", part->name);
}

static bool unpack_translator(void) {
  if (!work.host->has_translator) return true;
  const char *name = work.host->translator.name;
  if (mkdirat(work.top, name, 0700) != 0) return node_fault(name);
  for (unsigned i = 0; i < work.host->part_count; i++) {
    const char *path = part_path(&work.host->parts[i]);
    int descriptor = create(work.top, path);
    if (descriptor < 0) return node_fault(path);
    bool written = copy_whole_blob(descriptor, work.host->parts[i].blob);
    if (!finish_written(descriptor, written, 0755, path)) return false;
  }
  return true;
}

/* The number of the native build that takes a file's place, or -1. */
static int find_slice(const char *path) {
  for (unsigned i = 0; i < work.host->slice_count; i++) {
    if (strcmp(work.host->slices[i].path, path) == 0) return (int)i;
  }
  return -1;
}

/* The tree's blob, opened when its first byte is needed: not at all when native builds take the
 * place of every file. */
struct tree {
  uint64_t named;   /* bytes of the files so far */
  uint64_t skipped; /* not yet read of these */
  bool open;
};

static void count(struct tree *tree, uint64_t size) {
  if (size > work.index.tree->raw - tree->named) {
    damaged(work.payload, "the sizes of its files do not add up");
  }
  tree->named += size;
  tree->skipped += size;
}

static bool copy_file(struct tree *tree, int descriptor, uint64_t size) {
  if (size == 0) return true;
  if (!tree->open) open_blob(work.payload, work.index.tree);
  tree->open = true;
  copy_from_blob(-1, tree->skipped - size);
  tree->skipped = 0;
  return copy_from_blob(descriptor, size);
}

static void end_tree(struct tree *tree) {
  if (tree->named != work.index.tree->raw) {
    damaged(work.payload, "the sizes of its files do not add up");
  }
  if (!tree->open) return;
  copy_from_blob(-1, tree->skipped);
  close_blob();
}

static bool unpack_file(struct tree *tree, const struct node *node, int folder, const char *name,
                        struct replaced *replaced) {
  int descriptor = create(folder, name);
  if (descriptor < 0) return node_fault(node->path);
  count(tree, node->size);
  int slice = find_slice(node->path);
  if (slice >= 0) {
    replaced[slice] = (struct replaced){.seen = true, .mode = node->mode};
    close(descriptor);
    return true;
  }
  bool written = copy_file(tree, descriptor, node->size);
  return finish_written(descriptor, written, node->mode, node->path);
}

static bool unpack_link(const struct node *node, int folder, const char *name) {
  const char *target_name;
  struct stat status;
  int target = folder_of(&work.from, node->target, &target_name);
  if (target < 0 || fstatat(target, target_name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
      !S_ISREG(status.st_mode)) {
    damaged(work.payload, "its index has a hard link to no file before it");
  }
  return linkat(target, target_name, folder, name, 0) == 0 ? true : node_fault(node->path);
}

static bool unpack_slices(const struct replaced *replaced) {
  for (unsigned i = 0; i < work.host->slice_count; i++) {
    const struct slice *slice = &work.host->slices[i];
    if (!replaced[i].seen) damaged(work.payload, "it has a native build of no file");
    const char *name;
    int folder = folder_of(&work.to, slice->path, &name);
    int descriptor = folder < 0 ? -1 : openat(folder, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    if (descriptor < 0) return fault("cannot write ", slice->path);
    bool written = copy_whole_blob(descriptor, slice->blob);
    if (!finish_written(descriptor, written, replaced[i].mode, slice->path)) return false;
  }
  return true;
}

/* Last, and inner ones first: a folder may forbid writing. */
static bool set_dir_modes(const struct made_dir *dirs, size_t dir_count) {
  while (dir_count-- > 0) {
    const struct made_dir *dir = &dirs[dir_count];
    const char *name;
    int folder = folder_of(&work.to, dir->path, &name);
    if (folder < 0 || fchmodat(folder, name, dir->mode & MODE_BITS, 0) != 0) {
      return fault("cannot set the mode of ", dir->path);
    }
  }
  return true;
}

static bool unpack_tree(void) {
  struct tree tree = {0};
  struct node node;
  struct made_dir *dirs = NULL;
  size_t dir_count = 0;
  struct replaced *replaced = allocate((work.host->slice_count + 1) * sizeof *replaced);
  memset(replaced, 0, (work.host->slice_count + 1) * sizeof *replaced);
  while (next_node(&work.index, &node)) {
    const char *name;
    bool good = true;
    int folder = folder_of(&work.to, node.path, &name);
    if (folder < 0) return node_fault(node.path);
    switch (node.type) {
      case NODE_DIR:
        good = mkdirat(folder, name, 0700) == 0 || node_fault(node.path);
        dirs = grow(dirs, dir_count, sizeof *dirs);
        dirs[dir_count++] = (struct made_dir){.path = node.path, .mode = node.mode};
        break;
      case NODE_FILE:
        good = unpack_file(&tree, &node, folder, name, replaced);
        break;
      case NODE_SYMLINK:
        good = symlinkat(node.target, folder, name) == 0 || node_fault(node.path);
        break;
      case NODE_LINK:
        good = unpack_link(&node, folder, name);
        break;
    }
    if (!good) return false;
  }
  end_tree(&tree);
  return unpack_slices(replaced) && set_dir_modes(dirs, dir_count);
}

static void add_unpacked(struct manifest *manifest, const char *path, uint64_t size) {
  manifest->unpacked[manifest->unpacked_count++] = (struct unpacked){.path = path, .size = size};
}

/* What the launcher reads on the next start. */
static bool write_manifest(void) {
  static struct manifest manifest;
  manifest.emulator_count = work.host->emulator_count;
  manifest.program_count = work.index.program_count;
  manifest.unpacked_count = 0;
  manifest.surroundings = work.index.surroundings;
  /* Of a whole root they are names in it. */
  move_surroundings(&manifest.surroundings, work.index.surroundings.whole_root ? "/" : "root/");
  add_unpacked(&manifest, "launch", work.host->launcher_size);
  for (unsigned i = 0; i < work.host->emulator_count; i++) {
    const struct host_emulator *one = &work.host->emulators[i];
    manifest.emulators[i] = one->emulator;
    manifest.emulators[i].path = emulator_name(one);
    add_unpacked(&manifest, emulator_name(one), work.index.blobs[one->blob].raw);
  }
  manifest.has_translator = work.host->has_translator;
  manifest.translator = work.host->translator;
  if (manifest.has_translator) add_unpacked(&manifest, translator_self, work.host->launcher_size);
  for (unsigned i = 0; i < work.host->part_count; i++) {
    const struct translator_part *part = &work.host->parts[i];
    add_unpacked(&manifest, part_path(part), work.index.blobs[part->blob].raw);
  }
  for (unsigned i = 0; i < work.index.program_count; i++) {
    const char *path = work.index.programs[i].path, *name;
    const char *inside = concatenate("root/", path, "");
    struct stat status;
    int folder = folder_of(&work.to, path, &name);
    if (folder < 0 || fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
      damaged(work.payload, "its index names a program that it has not");
    }
    manifest.programs[i] = work.index.programs[i];
    manifest.programs[i].path = inside;
    if (S_ISREG(status.st_mode)) add_unpacked(&manifest, inside, (uint64_t)status.st_size);
  }
  size_t size;
  const char *text = encode_manifest(&manifest, &size);
  if (!text) damaged(work.payload, "its programs make a manifest of more than 65536 bytes");
  int descriptor = create(work.top, "manifest");
  if (descriptor < 0) return fault("cannot write ", "manifest");
  bool good = write_all(descriptor, (const unsigned char *)text, size);
  if (close(descriptor) != 0 || !good) return fault("cannot write ", "manifest");
  return true;
}

/* Puts what is finished in its place; what was there before goes away. */
static bool put_in_place(const char *name) {
  if (renameat(work.folder, work.temporary, work.folder, name) == 0) {
    work.temporary = NULL;
    return true;
  }
  if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR) return fault("cannot make ", name);
  if (syscall(SYS_renameat2, work.folder, work.temporary, work.folder, name,
              RENAME_EXCHANGE_FLAG) == 0) {
    discard();
    return true;
  }
  if (!remove_tree(work.folder, name) ||
      renameat(work.folder, work.temporary, work.folder, name) != 0) {
    return fault("cannot replace ", name);
  }
  work.temporary = NULL;
  return true;
}

static void load(const struct payload *payload, struct place *place) {
  work.payload = payload;
  work.place = place;
  read_index(payload, &work.index);
  work.host = find_host(&work.index);
  if (!work.host) {
    die(STATUS_CANNOT_EXECUTE, payload->file, ": has no part for this host's CPU, ", host_name,
        "; UPORT_INFO=1 lists those it has, build it with this one", NULL);
  }
}

static bool unpack_parts(void) {
  work.top = openat(work.folder, work.temporary, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (work.top < 0) return fault("cannot open ", work.temporary);
  if (mkdirat(work.top, "root", 0700) != 0) return fault("cannot make ", "root");
  work.root = openat(work.top, "root", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (work.root < 0) return fault("cannot open ", "root");
  start_walk(&work.to, work.root);
  start_walk(&work.from, work.root);
  bool good = unpack_launcher() && unpack_emulators() && unpack_translator() && unpack_tree() && write_manifest();
  end_walk(&work.to);
  end_walk(&work.from);
  close(work.root);
  return good;
}

bool unpack(const struct payload *payload, struct place *place, int folder, const char *temporary,
            const char *name) {
  load(payload, place);
  work.folder = folder;
  if (mkdirat(folder, temporary, 0700) != 0) return fault("cannot make ", temporary);
  work.temporary = temporary;
  before_death = discard;
  work.top = -1;
  bool good = unpack_parts();
  if (work.top >= 0) close(work.top);
  good = good && put_in_place(name);
  discard();
  before_death = NULL;
  return good;
}

const char *make_memory_file(const char *name, bool inherited, int *descriptor) {
  enum { EXECUTABLE = 0x10 /* MFD_EXEC; kernels before 6.3 do not know it and need not */ };
  unsigned flags = inherited ? 0 : MFD_CLOEXEC;
  *descriptor = (int)syscall(SYS_memfd_create, name, flags | EXECUTABLE);
  if (*descriptor < 0 && errno == EINVAL) {
    *descriptor = (int)syscall(SYS_memfd_create, name, flags);
  }
  return concatenate("/proc/self/fd/", decimal((uint64_t)*descriptor), "");
}

/* The only file of the tree, or false. */
static bool find_only_file(struct node *file) {
  struct node node;
  unsigned files = 0;
  while (next_node(&work.index, &node)) {
    if (node.type == NODE_DIR) continue;
    if (node.type != NODE_FILE || ++files > 1) return false;
    *file = node;
  }
  return files == 1;
}

bool unpack_to_memory(const struct payload *payload, struct place *place,
                      struct manifest *manifest) {
  struct node file;
  load(payload, place);
  if (!find_only_file(&file) || work.index.surroundings.workdir ||
      work.index.surroundings.whole_root) {
    place->reason = "can hold an app of one file only";
    return false;
  }
  manifest->surroundings = work.index.surroundings;
  /* It needs files around it. */
  manifest->has_translator = false;
  manifest->emulator_count = work.host->emulator_count;
  manifest->program_count = 1;
  manifest->unpacked_count = 0;
  manifest->file = payload->file;
  manifest->folder = "";
  int descriptor;
  for (unsigned i = 0; i < work.host->emulator_count; i++) {
    const struct host_emulator *one = &work.host->emulators[i];
    const char *path = make_memory_file(emulator_name(one), false, &descriptor);
    if (descriptor < 0 || access(path, X_OK) != 0) return fault("cannot be had", "");
    if (!copy_whole_blob(descriptor, one->blob)) return fault("cannot be written", "");
    manifest->emulators[i] = one->emulator;
    manifest->emulators[i].path = path;
  }
  int slice = find_slice(file.path);
  /* Emulators and interpreters of scripts open it by its name, so it has to stay open. */
  const char *path = make_memory_file(work.index.app, true, &descriptor);
  if (descriptor < 0 || access(path, X_OK) != 0) return fault("cannot be had", "");
  unsigned blob = slice >= 0 ? work.host->slices[slice].blob
                             : (unsigned)(work.index.tree - work.index.blobs);
  if (slice < 0 && file.size != work.index.tree->raw) {
    damaged(payload, "the sizes of its files do not add up");
  }
  if (!copy_whole_blob(descriptor, blob)) return fault("cannot be written", "");
  manifest->programs[0] = work.index.programs[0];
  manifest->programs[0].path = path;
  return true;
}

static bool is_unchanged(int folder, const struct unpacked *one) {
  struct stat status;
  if (fstatat(folder, one->path, &status, AT_SYMLINK_NOFOLLOW) != 0) {
    debug(one->path, ": is missing in the cache (", error_name(errno), ")", NULL);
    return false;
  }
  if (S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
      (uint64_t)status.st_size == one->size && status.st_mtim.tv_sec == UNPACKED_TIME &&
      status.st_mtim.tv_nsec == 0) {
    return true;
  }
  debug(one->path, ": was changed in the cache", NULL);
  return false;
}

bool is_as_unpacked(int folder, const struct manifest *manifest, const char *argv0) {
  const struct program *program = find_program(manifest, argv0);
  if (!program || manifest->unpacked_count == 0) return false;
  for (unsigned i = 0; i < manifest->unpacked_count; i++) {
    const struct unpacked *one = &manifest->unpacked[i];
    bool other_program = strncmp(one->path, "root/", 5) == 0 && strcmp(one->path, program->path) != 0;
    if (!other_program && !is_unchanged(folder, one)) return false;
  }
  return true;
}
