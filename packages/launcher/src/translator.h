/* Emulators other than QEMU, which are tried before it. They are dynamic programs of the host that
 * travel with their own loader and libraries, in a folder beside the manifest:
 *
 *   box64/box64     the emulator
 *   box64/LOADER    its loader (ELF interpreter), and the libraries it needs
 *   box64/probe     a program of the guest that only ends: whether it does so tells whether the
 *                   emulator works on this machine
 *   translate       the launcher again. box64 starts programs of the guest through the file that it
 *                   takes for its own, argv[0]: so all of them come back here
 *
 * What it cannot run is QEMU's: static programs, and those of other C libraries than glibc. */
#ifndef UPORT_TRANSLATOR_H
#define UPORT_TRANSLATOR_H

#include <stdbool.h>

#include "manifest.h"
#include "target.h"

/* The launcher's second name. */
extern const char translator_self[];

/* Whether the translator started this process, for another program of the guest. */
bool is_translator_self(void);

/* argv[0] of that program, which the translator gives in a variable; NULL when it is the path. The
 * variable is taken out of the environment. */
const char *take_translator_argv0(void);

/* Whether the manifest's translator can run this program of `emulator`'s guest, which is found out by a
 * trial on the first start and remembered where an unpacked app lies. `is_tried`: it runs already. To be
 * asked before anything is done that a child process would inherit. */
bool translator_serves(const struct manifest *manifest, const struct emulator *emulator,
                       const struct target *target, bool is_tried);

/* Becomes the program; returns an errno when that failed. */
int exec_translator(const struct manifest *manifest, const struct target *target);

#endif
