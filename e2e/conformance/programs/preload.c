/* Preloaded into a program, it leaves a mark in the environment. */
#include <stdlib.h>

__attribute__((constructor)) static void mark(void) { setenv("PRELOADED", "yes", 1); }
