/* Programs whose loader and libraries travel with them. */
#ifndef UPORT_OWN_LOADER_H
#define UPORT_OWN_LOADER_H

#include <stdbool.h>

#include "manifest.h"
#include "target.h"

enum { INTERPRETER_SIZE = 4096 };

/* Started as a program itself, with what it is to load: argv is complete but for the environment. */
struct own_loader {
  const char *file;
  char **argv;
};

/* Whether a program of the host's kernel lies in an unpacked app together with the loader that it
 * names; how it is started then. `environment` is what the program will get. */
bool find_own_loader(const struct manifest *manifest, const struct target *target,
                     char **environment, struct own_loader *found);

/* The loader that a program of the host's byte order names (PT_INTERP); false when there is none. */
bool read_program_interpreter(const char *program, uint8_t class, char path[INTERPRETER_SIZE]);

/* The folder of the loader that a program names, in an unpacked app: there all its libraries are found.
 * NULL when the app has no such loader. */
const char *own_library_folder(const struct manifest *manifest, const char *program, uint8_t class);

/* Whether an opened program (O_PATH will do) names a loader that the unpacked app has. The kernel
 * would look for it among the host's files. */
bool names_own_loader(const struct manifest *manifest, int program, uint8_t class);

/* Where an unpacked app has the interpreter that one of its scripts names; NULL when it has none. */
const char *own_interpreter(const struct manifest *manifest, const char *script, const char *interpreter);

/* Why programs of some guest cannot be left to the kernel, which may run them but not with the
 * options that their emulator gets; NULL when there are none. */
const char *kernel_lacks_options(const struct manifest *manifest);

#endif
