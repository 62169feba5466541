/* Shims: the launcher in the place of another program, so that whoever runs a container can start
 * that program by its own path. The format of the table is in docs/formats/shims.md; src/shims.ts
 * writes it. */
#ifndef UPORT_SHIM_H
#define UPORT_SHIM_H

/* The path of the program whose place this launcher has taken, or NULL when it lies in its own. */
const char *find_shimmed(char **argv);

/* Where an image has its manifest. */
extern const char shim_manifest[];

#endif
