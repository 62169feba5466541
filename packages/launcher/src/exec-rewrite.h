/* Turning the exec of a guest's program into one of its emulator, in a process that is stopped. */
#ifndef UPORT_EXEC_REWRITE_H
#define UPORT_EXEC_REWRITE_H

#include <sys/types.h>

#include "exec-call.h"
#include "manifest.h"
#include "tracee.h"

enum { FRONT_MAX = EMULATOR_ARGS_MAX + 2 * SETTINGS_MAX + 16, FRONT_TEXT_MAX = 64 * 1024 };

/* An exec that is being rewritten and has not happened yet. Lives from one stop to another. */
struct rewrite {
  struct exec_call call;
  struct rewrite *next; /* among those that are free */
  struct registers before;
  uint64_t scratch;     /* where the path was put */
  size_t scratch_size;
  char overwritten[4096];
  /* What takes the place of argv[0]; NULL stands for argv[0] itself. */
  const char *front[FRONT_MAX];
  unsigned front_count;
  const char *exe;      /* the program's absolute name */
  bool is_locked;       /* the process may not be looked into */
  int held;             /* a descriptor of the program that the process opens through this one, or -1 */
  char text[FRONT_TEXT_MAX];
  size_t text_used;
};

struct emulator_file {
  const char *path;     /* absolute */
  int descriptor;       /* O_PATH, or -1 */
  dev_t device;
  ino_t inode;
  bool looked_at;
  bool usable;
};

struct rewriter {
  const struct manifest *manifest;
  struct emulator_file files[EMULATORS_MAX];
};

/* Whether a file is a program of the host's own CPU, as an emulator has to be here. */
bool is_host_program(const char *path);

/* Opens those emulators that lie in memory: this process's descriptors are their names. The others
 * are opened when one is needed first. */
void prepare_rewriter(struct rewriter *rewriter, const struct manifest *manifest);

/* Before an execve or execveat. Returns whether it is one of a guest's program, and fills in what is to
 * be done. */
bool plan_rewrite(struct rewriter *rewriter, pid_t thread, const struct exec_call *call,
                  struct rewrite *rewrite);

/* At a stop before a system call: reads it, if it is an exec. */
bool read_exec(pid_t thread, struct registers *registers, struct exec_call *call);

/* At a stop before the call for which `rewrite` was made and whose registers it holds. */
bool apply_rewrite(pid_t thread, struct rewrite *rewrite);

/* Instead, where that cannot be done: the call passes the filter as it is. `rewrite` has no arguments
 * in front from then on. */
bool leave_to_kernel(pid_t thread, struct rewrite *rewrite);

/* At the stop after a rewritten call has failed. */
void undo_rewrite(pid_t thread, const struct rewrite *rewrite);

/* At a stop before a system call: makes prctl(PR_SET_DUMPABLE, value) of it; `before` is what it was. False
 * where that is not known. */
bool change_to_dumpable(pid_t thread, const struct registers *before, bool value);

/* At the stop after that: the call that it was is made again. */
bool call_again(pid_t thread, const struct registers *before);

/* At the stop after a failed call: prctl(PR_SET_DUMPABLE, 0) is called as the next one. */
bool call_undumpable(pid_t thread, struct registers *before);

/* At the stop after that one: as it was. */
bool end_call(pid_t thread, const struct registers *before);

/* At the stop after the exec: the emulator gets its arguments. False when the process cannot go on. */
bool finish_rewrite(pid_t process, const struct rewrite *rewrite);

/* At the stop after any other exec: a program of the host does not get the guest's libraries. */
void clean_environment(struct rewriter *rewriter, pid_t process);

#endif
