/*
 * The conformance suite: what a program of the guest's CPU may expect of a Linux machine. It runs on
 * its own CPU (where everything must pass) and under emulation in every way.
 *
 *   suite HOST_CPU THIRD_CPU [SECONDS [NAME...]]
 */
#define _GNU_SOURCE
#include "runner.h"

#include "exec-forms.h"
#include "arguments.h"
#include "scripts.h"
#include "mixed-trees.h"
#include "identity.h"
#include "signals.h"
#include "system-calls.h"

const char *host_cpu, *third_cpu;

static const struct behaviour behaviours[] = {
    EXEC_FORMS, ARGUMENTS, SCRIPTS, MIXED_TREES, IDENTITY, SIGNALS, SYSTEM_CALLS,
};

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "--cpu") == 0) {
    puts(CPU);
    return 0;
  }
  if (argc < 3) return 2;
  host_cpu = text("%s\n", argv[1]);
  third_cpu = text("%s\n", argv[2]);
  char **rest = argv + (argc > 3 ? 4 : 3);
  run_checks(behaviours, sizeof behaviours / sizeof *behaviours, argc > 3 ? atoi(argv[3]) : 30, rest);
  return 0;
}
