/* What an app is started in, as a manifest or the index of a payload says it: its environment and
 * its working directory. Lines of docs/formats/launcher-manifest.md. */
#ifndef UPORT_SURROUNDINGS_H
#define UPORT_SURROUNDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu.h"
#include "fields.h"

enum { SETTINGS_MAX = 256, SETTING_PATHS_MAX = 32, PROGRAM_ARGS_MAX = 32 };

enum setting_kind {
  SETTING_ENV,         /* of the app, whatever CPU its programs are of */
  SETTING_UNSET,
  SETTING_GUEST_ENV,   /* of programs of the guest's CPU only */
  SETTING_GUEST_PATHS, /* the same; files of the app by their absolute names */
};

struct setting {
  enum setting_kind kind;
  const char *name;
  const char *value; /* NULL for SETTING_UNSET and SETTING_GUEST_PATHS */
  const char **paths; /* as an emulator's */
  unsigned path_count;
};

struct surroundings {
  bool has_guest;
  const char *guest; /* the CPU's name */
  struct cpu cpu;
  uint32_t flags_mask, flags_value;
  struct setting settings[SETTINGS_MAX];
  unsigned setting_count;
  const char *workdir; /* as an emulator's path, or NULL */
  bool whole_root; /* the unpacked tree is the root of the app's file system */
};

/* Reads what follows the keyword, when the keyword is one of these; false when it is not. Paths
 * that lead out of the folder are refused when `inside`. */
bool read_surroundings(struct fields *fields, const char *keyword, bool inside,
                       struct surroundings *surroundings);

/* Writes the lines; NULL when they do not fit. `prefix` comes before each path. */
char *put_surroundings(char *to, const char *end, const struct surroundings *surroundings);

/* Puts a folder's name before each path. */
void move_surroundings(struct surroundings *surroundings, const char *prefix);

/* Sets and unsets what the app's own environment is to be, and goes to its working directory. For
 * the app itself, not for its children. */
void enter_surroundings(const struct surroundings *surroundings, const char *folder);

/* What programs of the guest's CPU get besides. */
struct guest_environment {
  char **options; /* QEMU's: -E NAME=VALUE */
  unsigned option_count;
  char **environment; /* for an emulator that is given these options */
  char **complete;    /* for a program that the kernel starts */
};

/* The variables that the app gives to a program that it starts. */
struct own_variables {
  const char *(*find)(void *context, const char *name); /* a value, or NULL */
  void *context;
};

/* Of a program; nothing is added for other CPUs than the guest's. `own` is NULL for the app itself,
 * which has the variables of this process. */
void find_guest_environment(const struct surroundings *surroundings, const char *folder,
                            const struct elf *elf, const struct own_variables *own,
                            struct guest_environment *found);

/* Takes what is for programs of the guest only out of a variable, NAME=VALUE. Returns whether anything
 * of it is for a program of the host. */
bool clean_for_host(const struct surroundings *surroundings, const char *folder, char *variable);

/* Whether there is anything that only programs of the guest's CPU get. */
bool has_guest_settings(const struct surroundings *surroundings);

/* The caller's arguments after a program's own; its defaults when the caller gives none. */
char **join_arguments(char **argv, const char **args, unsigned arg_count, const char **defaults,
                      unsigned default_count);

#endif
