/* Whether the host's kernel itself runs the programs of a CPU that it may run. */
#ifndef UPORT_COMPATIBLE_H
#define UPORT_COMPATIBLE_H

#include <stdbool.h>

#include "cpu.h"

/* Tries once for each CPU with the program that this descriptor (of any kind) is of. Not one
 * instruction of it is executed. */
bool kernel_runs(int program, struct cpu cpu);

/* The same, where no program is at hand. */
bool kernel_runs_cpu(struct cpu cpu);

#endif
