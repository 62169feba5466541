/* Whether the host's kernel itself runs the programs of a CPU that it may run. */
#ifndef UPORT_COMPATIBLE_H
#define UPORT_COMPATIBLE_H

#include <stdbool.h>

#include "cpu.h"

/* Tries once for each CPU, with a program made for it. Not one instruction of it is executed. */
bool kernel_runs_cpu(struct cpu cpu);

#endif
