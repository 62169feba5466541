/* Turning the exec of a guest's program into one of its emulator. Before the call only the path is
 * changed: it is written below the stack pointer. The kernel copies arguments and environment as
 * they are, whatever their number, so /proc/PID/cmdline is the program's own. Once the new image is
 * there, and before its first instruction, the emulator's options are put in front of the arguments:
 *
 *   argc, argv[0] …, NULL, environment, NULL, auxiliary vector            as the kernel made it
 *   argc, emulator, -0, argv[0], program, argv[1] …, NULL, …, strings     the same, further down
 *
 * After the strings, at a place that the kernel's auxiliary vector tells, a mark and the address of the
 * program's name are left: an emulator's own /proc/self/exe stands for the program it runs.
 *
 * No other thread can change what has been checked: the strings lie in the new image, and the path
 * of the emulator is not the program's to change. */
#include "exec-rewrite.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compatible.h"
#include "exec-filter.h"
#include "memory.h"
#include "message.h"
#include "own-loader.h"
#include "tracee-view.h"

enum {
  CLOSE_ON_EXEC = 02000000, /* O_CLOEXEC, as fdinfo shows it */
  PASS_ARGUMENT = 5,        /* that of exec_pass */
  MARK_DISTANCE = 48,       /* from the kernel's random bytes down */
};

struct mark {
  char magic[8];
  uint64_t name;
};
static const char mark_magic[8] = "uport-0";

static const char *own_descriptor(int descriptor) {
  const char *folder = concatenate("/proc/", decimal((uint64_t)getpid()), "/fd/");
  return concatenate(folder, decimal((uint64_t)descriptor), "");
}

bool is_host_program(const char *path) {
  unsigned char head[HEAD_SIZE] = {0};
  struct elf elf;
  int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (descriptor < 0) return false;
  ssize_t size = read(descriptor, head, sizeof head);
  close(descriptor);
  return size > 0 && read_elf(head, (size_t)size, &elf) && is_host_cpu(elf.cpu);
}

static bool is_in_memory(const struct emulator_file *file) { return strncmp(file->path, "/proc/", 6) == 0; }

void prepare_rewriter(struct rewriter *rewriter, const struct manifest *manifest) {
  rewriter->manifest = manifest;
  for (unsigned i = 0; i < manifest->emulator_count; i++) {
    struct emulator_file *file = &rewriter->files[i];
    file->path = emulator_path(manifest, &manifest->emulators[i]);
    file->descriptor = is_in_memory(file) ? open(file->path, O_PATH | O_CLOEXEC) : -1;
  }
}

static const struct emulator_file *usable_emulator(struct rewriter *rewriter, unsigned number) {
  struct emulator_file *file = &rewriter->files[number];
  struct stat status;
  if (file->looked_at) return file->usable ? file : NULL;
  bool in_memory = is_in_memory(file);
  if (!in_memory) file->descriptor = open(file->path, O_PATH | O_CLOEXEC);
  if (file->descriptor < 0 || fstat(file->descriptor, &status) != 0) {
    /* It may come back. */
    debug("ptrace: ", file->path, ": cannot be opened (", error_name(errno), ")", NULL);
    return NULL;
  }
  file->looked_at = true;
  file->device = status.st_dev;
  file->inode = status.st_ino;
  file->usable = is_host_program(in_memory ? own_descriptor(file->descriptor) : file->path);
  if (!file->usable) debug("ptrace: ", file->path, ": is no program of this host's CPU", NULL);
  return file->usable ? file : NULL;
}

static const char *keep(struct rewrite *rewrite, const char *text) {
  size_t size = strlen(text) + 1;
  if (size > FRONT_TEXT_MAX - rewrite->text_used) return NULL;
  char *copy = memcpy(rewrite->text + rewrite->text_used, text, size);
  rewrite->text_used += size;
  return copy;
}

/* NULL is argv[0]. */
static bool put_front(struct rewrite *rewrite, const char *text) {
  if (rewrite->front_count == FRONT_MAX) return false;
  const char *copy = text ? keep(rewrite, text) : NULL;
  if (text && !copy) return false;
  rewrite->front[rewrite->front_count++] = copy;
  return true;
}

/* Whether a descriptor of the process is closed by an exec. */
static bool closes_on_exec(const struct tracee_view *view, const char *number) {
  char text[256];
  int info = open(concatenate(view->self, "fdinfo/", number), O_RDONLY | O_CLOEXEC);
  if (info < 0) return true;
  ssize_t size = read(info, text, sizeof text - 1);
  close(info);
  text[size > 0 ? size : 0] = '\0';
  const char *flags = strstr(text, "flags:");
  if (!flags) return true;
  unsigned long value = 0;
  for (flags += 6; *flags == '\t' || *flags == ' '; flags++) {}
  for (; *flags >= '0' && *flags <= '7'; flags++) value = value * 8 + (unsigned long)(*flags - '0');
  return (value & CLOSE_ON_EXEC) != 0;
}

/* The number at the end of /proc/self/fd/N and its like, or NULL. */
static const char *descriptor_number(const char *path) {
  const char *slash = strrchr(path, '/');
  if (!slash || slash - path < 3 || strncmp(slash - 3, "/fd", 3) != 0) return NULL;
  const char *digit = slash + 1;
  if (!*digit) return NULL;
  for (; *digit; digit++) {
    if (*digit < '0' || *digit > '9') return NULL;
  }
  return slash + 1;
}

/* A name by which the emulator finds the program after the exec. */
static const char *name_for_emulator(struct tracee_view *view, const char *given, bool plain,
                                     struct rewrite *rewrite) {
  if (plain && !is_own_link(given)) return given;
  const char *number = descriptor_number(given);
  /* Not every root has a /dev/fd. */
  if (number && !closes_on_exec(view, number)) return concatenate("/proc/self/fd/", number, "");
  const char *name = name_in_view(view);
  if (name) return name;
  /* Deleted, or never had a name: it stays open here. */
  rewrite->held = open_in_view(view, given);
  return rewrite->held < 0 ? NULL : own_descriptor(rewrite->held);
}

static const struct emulator *own_emulator(struct rewriter *rewriter, const struct tracee_view *view) {
  for (unsigned i = 0; i < rewriter->manifest->emulator_count; i++) {
    const struct emulator_file *file = usable_emulator(rewriter, i);
    if (file && file->device == view->status.st_dev && file->inode == view->status.st_ino) {
      return &rewriter->manifest->emulators[i];
    }
  }
  return NULL;
}

/* The name of the program that an emulator which was started by this supervisor runs. */
static bool read_mark(const struct tracee_view *view, int memory, char name[PATH_MAX]) {
  unsigned long vector[2 * 64];
  struct mark mark;
  int file = open(concatenate(view->self, "auxv", ""), O_RDONLY | O_CLOEXEC);
  ssize_t size = file < 0 ? -1 : read(file, vector, sizeof vector);
  if (file >= 0) close(file);
  for (ssize_t i = 0; i + 1 < size / (ssize_t)sizeof *vector; i += 2) {
    if (vector[i] != AT_RANDOM) continue;
    uint64_t at = (vector[i + 1] & ~15UL) - MARK_DISTANCE;
    return read_memory(memory, at, &mark, sizeof mark) == sizeof mark &&
           memcmp(mark.magic, mark_magic, sizeof mark.magic) == 0 &&
           read_string(memory, mark.name, name, PATH_MAX);
  }
  return false;
}

/* The same of one that the launcher started itself: EMULATOR [ARG...] -0 ARGV0 PROGRAM … */
static bool read_command_line(const struct tracee_view *view, char name[PATH_MAX]) {
  static char text[4 * PATH_MAX];
  int file = open(concatenate(view->self, "cmdline", ""), O_RDONLY | O_CLOEXEC);
  ssize_t size = file < 0 ? -1 : read(file, text, sizeof text - 1);
  if (file >= 0) close(file);
  if (size <= 0) return false;
  text[size] = '\0';
  int after = -1;
  for (const char *at = text; at < text + size; at += strlen(at) + 1) {
    if (after >= 0) after++;
    if (after < 0 && at > text && strcmp(at, "-0") == 0) after = 0;
    if (after == 2 && strlen(at) < PATH_MAX) {
      strcpy(name, at);
      return true;
    }
  }
  return false;
}

/* The path below the stack pointer, the registers changed. */
static bool change_call(pid_t thread, int memory, const char *path, struct rewrite *rewrite) {
  struct registers after = rewrite->before;
  const struct abi *abi = after.abi;
  size_t size = strlen(path) + 1;
  uint64_t stack = get_register(&after, abi->stack);
  if (size > sizeof rewrite->overwritten || stack < abi->red_zone + size + 64) return false;
  rewrite->scratch = (stack - abi->red_zone - size) & ~(uint64_t)15;
  rewrite->scratch_size = size;
  if (read_memory(memory, rewrite->scratch, rewrite->overwritten, size) != size) return false;
  if (!write_memory(memory, rewrite->scratch, path, size)) {
    write_memory(memory, rewrite->scratch, rewrite->overwritten, size);
    return false;
  }
  set_argument(&after, PASS_ARGUMENT, exec_pass());
  if (rewrite->call.is_execveat) {
    set_argument(&after, 1, rewrite->scratch);
    set_argument(&after, 4, 0);
  } else if (abi->first_hidden) {
    /* execveat(what was the path, path, argv, environment, 0): an absolute path needs no folder. */
    set_register(&after, abi->number, abi->execveat);
    set_argument(&after, 3, get_argument(&after, 2));
    set_argument(&after, 2, get_argument(&after, 1));
    set_argument(&after, 1, rewrite->scratch);
    set_argument(&after, 4, 0);
  } else {
    set_argument(&after, 0, rewrite->scratch);
  }
  if (write_registers(thread, &after)) return true;
  write_memory(memory, rewrite->scratch, rewrite->overwritten, size);
  return false;
}

/* Whether somebody has the file that was looked at last open for writing: a lease cannot be had then.
 * False where that cannot be told. */
static bool is_written(struct tracee_view *view) {
  int file = open_in_view(view, "");
  if (file < 0) return false;
  bool written = fcntl(file, F_SETLEASE, F_RDLCK) != 0 && errno == EAGAIN;
  if (!written) fcntl(file, F_SETLEASE, F_UNLCK);
  close(file);
  return written;
}

/* Whether the interpreter of a script could not open it: the kernel's answer is ENOENT. */
static bool is_out_of_reach(const struct tracee_view *view, const char *given) {
  const char *number = is_own_link(given) ? descriptor_number(given) : NULL;
  return number && closes_on_exec(view, number);
}

/* The environment that the call gives to the program. */
struct given_variables {
  int memory;
  const struct exec_call *call;
};

/* A variable's text, NAME=VALUE, in memory of its own; the first one counts, as for the C libraries. */
static const char *find_given(void *context, const char *name) {
  enum { VARIABLES_MAX = 65536 };
  static char text[VALUE_SIZE_MAX * 8];
  const struct given_variables *given = context;
  size_t length = strlen(name), word = given->call->word;
  uint64_t list = environment_of_call(given->call);
  for (unsigned i = 0; list != 0 && i < VARIABLES_MAX; i++) {
    uint32_t half = 0;
    uint64_t at = 0;
    void *to = word == 4 ? (void *)&half : (void *)&at;
    if (read_memory(given->memory, list + i * word, to, word) != word) return NULL;
    if (word == 4) at = half;
    if (at == 0) return NULL;
    if (read_memory(given->memory, at, text, length + 1) != length + 1) continue;
    if (memcmp(text, name, length) != 0 || text[length] != '=') continue;
    if (!read_string(given->memory, at, text, sizeof text)) return NULL;
    return copy_bytes(text + length + 1, strlen(text + length + 1));
  }
  return NULL;
}

/* What the emulator is to be told, and its path. */
static const char *plan(struct rewriter *rewriter, struct tracee_view *view, const char *path,
                        const char *given, int memory, struct rewrite *rewrite) {
  static char no_name[1], exe_name[PATH_MAX];
  static struct failure failure;
  static struct target target;
  char *argv[] = {no_name, NULL};
  const struct view functions = {.context = view, .check = check_in_view, .open = open_in_view};
  bool plain = given == path;
  int error = find_target_in(&functions, given, argv, &target, &failure);
  /* An emulator's own /proc/self/exe stands for the program it runs. */
  if (error == 0 && target.scripts == 0 && strncmp(given, "/proc/", 6) == 0 &&
      own_emulator(rewriter, view)) {
    if (!read_mark(view, memory, exe_name) && !read_command_line(view, exe_name)) return NULL;
    given = exe_name;
    plain = true;
    end_view(view);
    error = find_target_in(&functions, given, argv, &target, &failure);
  }
  if (error != 0 || target.kind != TARGET_ELF) return NULL;
  const struct emulator *emulator = find_emulator(rewriter->manifest, &target.elf);
  if (!emulator || is_host_cpu(target.elf.cpu)) return NULL;
  const struct emulator_file *file =
      usable_emulator(rewriter, (unsigned)(emulator - rewriter->manifest->emulators));
  if (!file) return NULL;
  if (is_compatible_cpu(target.elf.cpu) &&
      !names_own_loader(rewriter->manifest, view->file, target.elf.cpu.class) &&
      kernel_runs_cpu(target.elf.cpu)) {
    return NULL;
  }
  /* The kernel has answers of its own to these, ETXTBSY and ENOENT. */
  if (is_written(view) || (target.scripts > 0 && is_out_of_reach(view, given))) return NULL;
  const char *program = target.scripts > 0 ? target.path
                                           : name_for_emulator(view, given, plain, rewrite);
  const char *absolute = name_in_view(view);
  if (!program) return NULL;
  const char *shown = *program == '-' ? concatenate("./", program, "") : program;

  bool same_name = view->same_root && !is_in_memory(file);
  const char *start = same_name ? file->path : own_descriptor(file->descriptor);
  bool fits = put_front(rewrite, start);
  for (unsigned i = 0; i < emulator->arg_count; i++) {
    fits = put_front(rewrite, emulator->args[i]) && fits;
  }
  struct guest_environment guest;
  const struct manifest *manifest = rewriter->manifest;
  struct given_variables variables = {.memory = memory, .call = &rewrite->call};
  const struct own_variables own = {.find = find_given, .context = &variables};
  find_guest_environment(&manifest->surroundings, manifest->folder, &target.elf, &own, &guest);
  for (unsigned i = 0; i < guest.option_count; i++) fits = put_front(rewrite, guest.options[i]) && fits;
  fits = put_front(rewrite, "-0") && fits;
  fits = put_front(rewrite, target.scripts > 0 ? target.argv[0] : NULL) && fits;
  fits = put_front(rewrite, shown) && fits;
  for (unsigned i = 1; target.scripts > 0 && target.argv[i]; i++) {
    fits = put_front(rewrite, target.argv[i]) && fits;
  }
  rewrite->exe = keep(rewrite, absolute ? absolute : shown);
  if (!fits || !rewrite->exe) return NULL;
  debug("ptrace: ", given, ": is for ", emulator->name, ", ", start, " runs it", NULL);
  return start;
}

bool plan_rewrite(struct rewriter *rewriter, pid_t thread, const struct exec_call *call,
                  struct rewrite *rewrite) {
  static char path[PATH_MAX];
  struct tracee_view view;
  rewrite->call = *call;
  rewrite->front_count = 0;
  rewrite->text_used = 0;
  rewrite->held = -1;
  /* Where root may look into processes of its own user only. */
  bool is_other = act_as_user_of(thread);
  int memory = open_memory(thread);
  rewrite->is_locked = memory < 0 && (errno == EACCES || errno == EPERM);
  bool done = false;
  uint64_t path_at = path_of_call(call);
  if (memory >= 0 && read_string(memory, path_at, path, sizeof path)) {
    /* An answer to is_supervised. */
    if (strcmp(path, supervised_question) == 0) write_memory(memory, path_at, "", 1);
    const char *given = name_for_script(call, path);
    if (given && *given != '\0') {
      start_view(&view, thread);
      view.no_follow = forbids_link(call, path);
      done = plan(rewriter, &view, path, given, memory, rewrite) != NULL;
      end_view(&view);
    }
  }
  if (memory >= 0) close(memory);
  if (is_other) act_as_self();
  if (!done && rewrite->held >= 0) {
    close(rewrite->held);
    rewrite->held = -1;
  }
  return done;
}

bool read_exec(pid_t thread, struct registers *registers, struct exec_call *call) {
  if (!read_call(thread, registers)) return false;
  call->word = registers->abi->word;
  for (unsigned i = 0; i < sizeof call->args / sizeof *call->args; i++) {
    call->args[i] = get_argument(registers, i);
  }
  return true;
}

bool apply_rewrite(pid_t thread, struct rewrite *rewrite) {
  int memory = open_memory(thread);
  bool done = memory >= 0 && change_call(thread, memory, rewrite->front[0], rewrite);
  if (memory >= 0) close(memory);
  return done;
}

bool leave_to_kernel(pid_t thread, struct rewrite *rewrite) {
  struct registers after = rewrite->before;
  rewrite->scratch_size = 0;
  rewrite->front_count = 0;
  set_argument(&after, PASS_ARGUMENT, exec_pass());
  return write_registers(thread, &after);
}

enum { SET_DUMPABLE = 4 /* PR_SET_DUMPABLE */ };

bool change_to_dumpable(pid_t thread, const struct registers *before, bool value) {
  struct registers after = *before;
  if (after.abi->prctl == 0) return false;
  set_argument(&after, 0, SET_DUMPABLE);
  set_argument(&after, 1, value);
  if (write_call_number(thread, &after, after.abi->prctl)) return true;
  write_registers(thread, before);
  return false;
}

/* At the instruction of the call; nothing is left of one that the kernel would make again itself. */
static bool go_back(pid_t thread, struct registers *registers, uint64_t number) {
  const struct abi *abi = registers->abi;
  set_register(registers, abi->number_in_result ? abi->result : abi->number, number);
  if (abi->number_in_result) set_register(registers, abi->number, ~(uint64_t)0);
  set_register(registers, abi->counter, get_register(registers, abi->counter) - abi->call_size);
  return write_registers(thread, registers);
}

bool call_again(pid_t thread, const struct registers *before) {
  struct registers again = *before;
  return go_back(thread, &again, get_register(before, before->abi->number));
}

bool call_undumpable(pid_t thread, struct registers *before) {
  if (!read_registers(thread, before) || before->abi->prctl == 0) return false;
  struct registers after = *before;
  set_argument(&after, 0, SET_DUMPABLE);
  set_argument(&after, 1, 0);
  return go_back(thread, &after, after.abi->prctl);
}

bool end_call(pid_t thread, const struct registers *before) {
  struct registers after = *before;
  if (after.abi->number_in_result) set_register(&after, after.abi->number, ~(uint64_t)0);
  return write_registers(thread, &after);
}

void undo_rewrite(pid_t thread, const struct rewrite *rewrite) {
  struct registers now;
  int memory = open_memory(thread);
  if (memory >= 0) {
    write_memory(memory, rewrite->scratch, rewrite->overwritten, rewrite->scratch_size);
    close(memory);
  }
  if (!read_registers(thread, &now) || now.abi != rewrite->before.abi) return;
  const struct abi *abi = now.abi;
  for (unsigned i = 0; i < ABI_ARGS; i++) {
    if (abi->args[i] == abi->result) continue;
    set_register(&now, abi->args[i], get_register(&rewrite->before, abi->args[i]));
  }
  if (abi->first_hidden) {
    set_register(&now, abi->number, get_register(&rewrite->before, abi->number));
  }
  write_registers(thread, &now);
}

/* The pointers that the kernel put on the new stack. */
struct block {
  unsigned char *bytes;
  size_t capacity; /* in bytes, of the mapping */
  size_t words;
  size_t environment; /* where it begins */
  size_t auxiliary;   /* where that vector begins */
  uint8_t word;       /* bytes of each */
};

static uint64_t get_word(const struct block *block, size_t index) {
  uint32_t half;
  uint64_t whole;
  if (block->word == 4) {
    memcpy(&half, block->bytes + index * 4, sizeof half);
    return half;
  }
  memcpy(&whole, block->bytes + index * 8, sizeof whole);
  return whole;
}

static void put_word(unsigned char *bytes, uint8_t word, size_t index, uint64_t value) {
  uint32_t half = (uint32_t)value;
  if (word == 4) {
    memcpy(bytes + index * 4, &half, sizeof half);
  } else {
    memcpy(bytes + index * 8, &value, sizeof value);
  }
}

/* Reads from the stack pointer to the end of the auxiliary vector. */
static bool read_block(int memory, uint64_t stack, uint8_t word, struct block *block) {
  enum { STEP = 32 * 1024 };
  size_t words = 0, used = 0;
  enum { ARGUMENTS, ENVIRONMENT, AUXILIARY } in = ARGUMENTS;
  *block = (struct block){.word = word};
  for (size_t index = 1;; index += in == AUXILIARY ? 2 : 1) {
    while ((index + 2) * word > words * word) {
      if (used + STEP > block->capacity) {
        size_t capacity = block->capacity ? 2 * block->capacity : 2 * STEP;
        void *larger = mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (larger == MAP_FAILED) return false;
        if (block->bytes) {
          memcpy(larger, block->bytes, used);
          munmap(block->bytes, block->capacity);
        }
        block->bytes = larger;
        block->capacity = capacity;
      }
      size_t got = read_memory(memory, stack + used, block->bytes + used, STEP);
      used += got;
      if (used / word == words) return false;
      words = used / word;
    }
    if (get_word(block, index) != 0) continue;
    if (in == AUXILIARY) {
      block->words = index + 2;
      return true;
    }
    if (in == ARGUMENTS) {
      block->environment = index + 1;
      in = ENVIRONMENT;
    } else {
      block->auxiliary = index + 1;
      in = AUXILIARY;
      index--;
    }
  }
}

/* What only programs of the guest are to have of a variable is taken out of it. Returns whether anything
 * is left. */
static bool clean_variable(int memory, uint64_t at, const struct manifest *guests) {
  static char text[VALUE_SIZE_MAX * 8];
  if (!guests || !read_string(memory, at, text, sizeof text)) return true;
  size_t before = strlen(text);
  if (!clean_for_host(&guests->surroundings, guests->folder, text)) return false;
  size_t size = strlen(text) + 1;
  /* It only gets shorter. */
  if (size <= before) write_memory(memory, at, text, size);
  return true;
}

/* Where the kernel has put 16 random bytes, above the block, rounded down; 0 when that is not told. */
static uint64_t random_bytes(const struct block *block) {
  for (size_t i = block->auxiliary; i + 1 < block->words; i += 2) {
    if (get_word(block, i) == AT_RANDOM) return get_word(block, i + 1) & ~(uint64_t)15;
  }
  return 0;
}

/* Puts the block further down: with the arguments in front, without what is only for programs of the
 * guest, where `guests` has such variables. */
static bool move_block(int memory, uint64_t stack, const struct block *block,
                           const struct rewrite *rewrite, const struct manifest *guests,
                           uint64_t *new_stack) {
  uint8_t word = block->word;
  size_t strings = strlen(rewrite->exe) + 1 + 2 * MARK_DISTANCE;
  for (unsigned i = 0; i < rewrite->front_count; i++) {
    if (rewrite->front[i]) strings += strlen(rewrite->front[i]) + 1;
  }
  /* Before Linux 5.18 there may be no argv[0]. */
  size_t dropped = get_word(block, 0) > 0 && rewrite->front_count > 0 ? 1 : 0;
  size_t room = (block->words + rewrite->front_count) * word;
  uint64_t at = (stack - rewrite->front_count * word - strings) & ~(uint64_t)15;
  size_t all = (size_t)(stack + block->words * word - at);
  unsigned char *bytes = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (bytes == MAP_FAILED) return false;
  size_t text = room, used = 0;
  put_word(bytes, word, used++, get_word(block, 0) + rewrite->front_count - dropped);
  for (unsigned i = 0; i < rewrite->front_count; i++) {
    const char *one = rewrite->front[i];
    uint64_t first = dropped ? get_word(block, 1) : at + room + strings - 1 - 2 * MARK_DISTANCE;
    put_word(bytes, word, used++, one ? at + text : first);
    if (one) {
      memcpy(bytes + text, one, strlen(one) + 1);
      text += strlen(one) + 1;
    }
  }
  memcpy(bytes + text, rewrite->exe, strlen(rewrite->exe) + 1);
  uint64_t mark_at = random_bytes(block) - MARK_DISTANCE;
  if (rewrite->front_count > 0 && mark_at >= at && mark_at - at <= all - sizeof(struct mark)) {
    struct mark mark = {.name = at + text};
    memcpy(mark.magic, mark_magic, sizeof mark.magic);
    memcpy(bytes + (mark_at - at), &mark, sizeof mark);
  }
  for (size_t i = 1 + dropped; i < block->words; i++) {
    uint64_t value = get_word(block, i);
    bool is_variable = i >= block->environment && i < block->auxiliary && value != 0;
    if (is_variable && !clean_variable(memory, value, guests)) continue;
    put_word(bytes, word, used++, value);
  }
  bool written = write_memory(memory, at, bytes, all);
  munmap(bytes, all);
  *new_stack = at;
  return written;
}

static bool change_stack(pid_t process, const struct rewrite *rewrite,
                         const struct manifest *guests) {
  struct registers registers;
  struct block block = {0};
  uint64_t stack = 0;
  bool moved = false;
  int memory = open_memory(process);
  if (memory < 0) return false;
  if (read_registers(process, &registers)) {
    uint64_t before = get_register(&registers, registers.abi->stack);
    if (read_block(memory, before, registers.abi->word, &block)) {
      moved = move_block(memory, before, &block, rewrite, guests, &stack);
      set_register(&registers, registers.abi->stack, stack);
      moved = moved && write_registers(process, &registers);
    }
  }
  if (block.bytes) munmap(block.bytes, block.capacity);
  close(memory);
  return moved;
}

bool finish_rewrite(pid_t process, const struct rewrite *rewrite) {
  return change_stack(process, rewrite, NULL);
}

void clean_environment(struct rewriter *rewriter, pid_t process) {
  const struct manifest *manifest = rewriter->manifest;
  if (!has_guest_settings(&manifest->surroundings)) return;
  struct tracee_view view;
  bool is_another = act_as_user_of(process);
  start_view(&view, process);
  /* The emulators themselves are started with it in one case: see find_guest_environment. */
  bool is_other = check_in_view(&view, "/proc/self/exe", false) == 0 && !own_emulator(rewriter, &view);
  end_view(&view);
  if (is_another) act_as_self();
  static struct rewrite nothing;
  nothing.exe = "";
  if (is_other) change_stack(process, &nothing, manifest);
}
