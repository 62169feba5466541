/* The launcher's manifest: which emulators there are and, for an unpacked app, which programs and
 * what its files must look like. The format is in docs/formats/launcher-manifest.md;
 * src/manifest.ts reads and writes the same. */
#ifndef UPORT_MANIFEST_H
#define UPORT_MANIFEST_H

#include <stdint.h>

#include "cpu.h"
#include "fields.h"
#include "surroundings.h"

enum {
  MANIFEST_SIZE_MAX = 65536, /* bytes of the file */
  EMULATORS_MAX = 64,
  EMULATOR_ARGS_MAX = 32,
  PROGRAMS_MAX = 512,
  UNPACKED_MAX = 1024,
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

/* An emulator that is tried before QEMU: translator.h. */
struct translator {
  const char *guest;  /* the name of an emulator of the manifest */
  const char *name;   /* of its folder, and of the program in it */
  const char *loader; /* in that folder */
};

struct program {
  const char *name; /* what argv[0] must end with */
  const char *path; /* as an emulator's */
  const char **args; /* before the caller's */
  unsigned arg_count;
  const char **defaults; /* when the caller gives none */
  unsigned default_count;
};

struct unpacked {
  const char *path;
  uint64_t size;
};

struct manifest {
  const char *file;   /* NULL: there is none */
  const char *folder; /* with its last slash, or empty for the working directory */
  struct emulator emulators[EMULATORS_MAX];
  unsigned emulator_count;
  struct translator translator;
  bool has_translator;
  struct surroundings surroundings;
  struct program programs[PROGRAMS_MAX];
  unsigned program_count;
  struct unpacked unpacked[UNPACKED_MAX];
  unsigned unpacked_count;
};

/* Reads a manifest, or ends the process with a message. A file that is not there is an error only
 * when `required`. Strings of the manifest live until the next one is read. */
void read_manifest(const char *file, bool required, struct manifest *manifest);

/* Reads the manifest of an opened folder, whose path ends with a slash; false when there is none
 * or it is damaged. */
bool read_folder_manifest(int folder, const char *path, struct manifest *manifest);

/* The fields of an emulator up to FLAGS_VALUE, and then its arguments. */
void read_emulator_cpu(struct fields *fields, struct emulator *emulator);
void read_emulator_args(struct fields *fields, struct emulator *emulator);

/* The fields of a translator, up to the end of the line. */
void read_translator(struct fields *fields, struct translator *translator);

/* Arguments up to the end of the line, after those that are there. */
void read_program_args(struct fields *fields, const char ***args, unsigned *count);

const struct emulator *find_emulator(const struct manifest *manifest, const struct elf *elf);

/* The absolute path of an emulator's file. */
const char *emulator_path(const struct manifest *manifest, const struct emulator *emulator);

/* The program that argv[0] asks for, or the first; NULL when there are none. */
const struct program *find_program(const struct manifest *manifest, const char *argv0);

/* Writes what was read to standard output, in the same format. */
void print_manifest(const struct manifest *manifest);

/* The text of a manifest; NULL when it would be larger than MANIFEST_SIZE_MAX. The same buffer
 * each time. */
const char *encode_manifest(const struct manifest *manifest, size_t *size);

#endif
