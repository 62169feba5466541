/* The launcher's manifest: which emulators there are. The format is in
 * docs/formats/launcher-manifest.md; src/manifest.ts reads and writes the same. */
#ifndef UPORT_MANIFEST_H
#define UPORT_MANIFEST_H

#include <stdint.h>

#include "cpu.h"

enum {
  MANIFEST_SIZE_MAX = 65536, /* bytes of the file */
  EMULATORS_MAX = 64,
  EMULATOR_ARGS_MAX = 32,
  NAME_SIZE_MAX = 32,
  VALUE_SIZE_MAX = 4095, /* bytes of a path or an argument */
};

struct emulator {
  const char *name; /* the guest CPU's */
  struct cpu cpu;
  uint32_t flags_mask; /* it runs a program when (e_flags & mask) == value */
  uint32_t flags_value;
  const char *path; /* as written: relative to the manifest's folder, or absolute */
  const char *args[EMULATOR_ARGS_MAX];
  unsigned arg_count;
};

struct manifest {
  const char *file;   /* NULL: there is none */
  const char *folder; /* with its last slash, or empty for the working directory */
  struct emulator emulators[EMULATORS_MAX];
  unsigned emulator_count;
};

/* Reads a manifest, or ends the process with a message. A file that is not there is an error only
 * when `required`. Strings of the manifest live as long as the process. */
void read_manifest(const char *file, bool required, struct manifest *manifest);

const struct emulator *find_emulator(const struct manifest *manifest, const struct elf *elf);

/* Writes what was read to standard output, in the same format. */
void print_manifest(const struct manifest *manifest);

#endif
