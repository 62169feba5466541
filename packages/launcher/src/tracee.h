/* Registers and memory of a process that this one traces and that is stopped. */
#ifndef UPORT_TRACEE_H
#define UPORT_TRACEE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi.h"

struct registers {
  const struct abi *abi;
  uint64_t first; /* the first argument of the system call, where the registers hide it */
  unsigned char bytes[512];
};

/* False when the process is gone, or of a kind that abi.h does not know. */
bool read_registers(pid_t thread, struct registers *registers);
/* At a stop before a system call: with the first argument. */
bool read_call(pid_t thread, struct registers *registers);
bool write_registers(pid_t thread, const struct registers *registers);
/* At a stop before a system call: makes another one of it. */
bool write_call_number(pid_t thread, struct registers *registers, uint32_t number);

uint64_t get_register(const struct registers *registers, unsigned at);
void set_register(struct registers *registers, unsigned at, uint64_t value);
uint64_t get_argument(const struct registers *registers, unsigned number);
/* The first one only where it is not hidden. */
void set_argument(struct registers *registers, unsigned number, uint64_t value);

/* A descriptor for the memory of a process, or -1. */
int open_memory(pid_t thread);
/* Bytes that could be read, as far as there is memory. */
size_t read_memory(int memory, uint64_t at, void *bytes, size_t size);
bool write_memory(int memory, uint64_t at, const void *bytes, size_t size);
/* A string of less than `capacity` bytes; false when it is longer or not there. */
bool read_string(int memory, uint64_t at, char *text, size_t capacity);

#endif
