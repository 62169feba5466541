/* What a file turns into when it is executed: itself, or the interpreter of its script line. */
#ifndef UPORT_TARGET_H
#define UPORT_TARGET_H

#include "cpu.h"
#include "message.h"

enum target_kind {
  TARGET_ELF,     /* a program whose CPU is known */
  TARGET_HIDDEN,  /* may be executed but not read */
  TARGET_UNKNOWN, /* neither ELF nor script: only the kernel may know it */
};

struct target {
  const char *file;  /* what to give to execve: the script itself, if it is one */
  char **file_argv;  /* the arguments to go with it */
  enum target_kind kind;
  const char *path;  /* the program in the end */
  char **argv;       /* its arguments, as the kernel would make them */
  unsigned scripts;  /* how many script lines were followed */
  bool is_moved;     /* the kernel would not find that program: an interpreter lies in another place */
  struct elf elf;    /* when TARGET_ELF */
  unsigned char head[HEAD_SIZE];
};

/* How files are looked at: as this process sees them, or as another one does. */
struct view {
  void *context;
  /* 0, or the errno of an execve that cannot open the file. */
  int (*check)(void *context, const char *path, bool is_interpreter);
  /* A descriptor to read the file that was checked last, or -1 and errno. */
  int (*open)(void *context, const char *path);
  /* NULL, or what tells in which place a script's interpreter lies: NULL for its own. */
  const char *(*place)(void *context, const char *script, const char *interpreter);
};

struct manifest;

/* Follows script lines as the kernel does; scripts of an unpacked app have its interpreters. Returns 0,
 * or the errno that execve would give. `argv` must have at least argv[0]. */
int find_target(const struct manifest *manifest, const char *file, char **argv, struct target *target,
                struct failure *failure);
int find_target_in(const struct view *view, const char *file, char **argv, struct target *target,
                   struct failure *failure);

#endif
