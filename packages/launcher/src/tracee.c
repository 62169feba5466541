/* Registers and memory of a traced process. Memory goes through /proc/PID/mem: the default seccomp
 * profiles of container engines forbid process_vm_readv. */
#include "tracee.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <unistd.h>

#include "memory.h"
#include "message.h"
#include "tracee-view.h"

/* The start of struct ptrace_syscall_info (Linux 5.3). */
struct call_info {
  uint8_t op;
  uint8_t padding[3];
  uint32_t arch;
  uint64_t instruction;
  uint64_t stack;
  uint64_t number;
  uint64_t args[6];
};
enum { GET_SYSCALL_INFO = 0x420e };

bool read_registers(pid_t thread, struct registers *registers) {
  struct iovec part = {registers->bytes, sizeof registers->bytes};
  if (ptrace(PTRACE_GETREGSET, thread, NT_PRSTATUS, &part) != 0) return false;
  registers->first = 0;
  for (unsigned i = 0; i < host_abi_count; i++) {
    if (host_abis[i].size == part.iov_len) {
      registers->abi = &host_abis[i];
      return true;
    }
  }
  debug("ptrace: a set of registers of ", decimal(part.iov_len), " bytes is not known", NULL);
  return false;
}

bool read_call(pid_t thread, struct registers *registers) {
  if (!read_registers(thread, registers)) return false;
  if (!registers->abi->first_hidden) return true;
  struct call_info info;
  if (ptrace(GET_SYSCALL_INFO, thread, sizeof info, &info) < (long)sizeof info) return false;
  registers->first = info.args[0];
  return true;
}

bool write_registers(pid_t thread, const struct registers *registers) {
  struct iovec part = {(void *)registers->bytes, registers->abi->size};
  return ptrace(PTRACE_SETREGSET, thread, NT_PRSTATUS, &part) == 0;
}

bool write_call_number(pid_t thread, struct registers *registers, uint32_t number) {
  const struct abi *abi = registers->abi;
  struct iovec part = {&number, sizeof number};
  set_register(registers, abi->number, number);
  if (!write_registers(thread, registers)) return false;
  return abi->number_set == 0 || ptrace(PTRACE_SETREGSET, thread, abi->number_set, &part) == 0;
}

uint64_t get_register(const struct registers *registers, unsigned at) {
  uint32_t half;
  uint64_t whole;
  if (registers->abi->word == 4) {
    memcpy(&half, registers->bytes + at, sizeof half);
    return half;
  }
  memcpy(&whole, registers->bytes + at, sizeof whole);
  return whole;
}

void set_register(struct registers *registers, unsigned at, uint64_t value) {
  uint32_t half = (uint32_t)value;
  if (registers->abi->word == 4) {
    memcpy(registers->bytes + at, &half, sizeof half);
  } else {
    memcpy(registers->bytes + at, &value, sizeof value);
  }
}

uint64_t get_argument(const struct registers *registers, unsigned number) {
  if (number == 0 && registers->abi->first_hidden) return registers->first;
  return get_register(registers, registers->abi->args[number]);
}

void set_argument(struct registers *registers, unsigned number, uint64_t value) {
  const struct abi *abi = registers->abi;
  set_register(registers, abi->args[number], value);
  if (number == 0 && abi->first_again != NO_REGISTER) {
    set_register(registers, abi->first_again, value);
  }
}

int open_memory(pid_t thread) {
  bool is_other = act_as_user_of(thread);
  int memory = open(concatenate("/proc/", decimal((uint64_t)thread), "/mem"), O_RDWR | O_CLOEXEC);
  if (is_other) act_as_self();
  return memory;
}

size_t read_memory(int memory, uint64_t at, void *bytes, size_t size) {
  size_t used = 0;
  while (used < size) {
    ssize_t got = pread(memory, (char *)bytes + used, size - used, (off_t)(at + used));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    used += (size_t)got;
  }
  return used;
}

bool write_memory(int memory, uint64_t at, const void *bytes, size_t size) {
  size_t used = 0;
  while (used < size) {
    ssize_t put = pwrite(memory, (const char *)bytes + used, size - used, (off_t)(at + used));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    used += (size_t)put;
  }
  return true;
}

bool read_string(int memory, uint64_t at, char *text, size_t capacity) {
  enum { STEP = 256 };
  for (size_t used = 0; used < capacity;) {
    /* Up to the next multiple of the step, so that no read goes into a page behind the string. */
    size_t size = STEP - (size_t)(at + used) % STEP;
    if (size > capacity - used) size = capacity - used;
    if (read_memory(memory, at + used, text + used, size) != size) return false;
    if (memchr(text + used, '\0', size)) return true;
    used += size;
  }
  return false;
}
