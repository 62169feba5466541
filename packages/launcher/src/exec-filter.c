/* The seccomp filter that stops a process for its tracer at each exec. All other system calls pass;
 * from Linux 5.11 on the kernel knows that without running the filter. */
#include "exec-filter.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi.h"
#include "message.h"

/* From Linux's filter.h and seccomp.h, which the C library does not bring. */
enum {
  LOAD_WORD = 0x20,     /* BPF_LD | BPF_W | BPF_ABS */
  JUMP_IF_EQUAL = 0x15, /* BPF_JMP | BPF_JEQ | BPF_K */
  RETURN = 0x06,        /* BPF_RET | BPF_K */
  NUMBER_AT = 0,        /* in struct seccomp_data */
  ARCH_AT = 4,
  SET_MODE_FILTER = 1,
  SPEC_ALLOW = 4,
};
#define ACTION_TRACE 0x7ff00000u
#define ACTION_ALLOW 0x7fff0000u

struct instruction {
  uint16_t code;
  uint8_t if_true;
  uint8_t if_false;
  uint32_t value;
};

struct program {
  uint16_t count;
  const struct instruction *instructions;
};

enum { PER_ABI = 7, ABIS_MAX = 4 };

/* The parts of this filter make no secrets worth slowing the app down for (SPEC_ALLOW, Linux 4.17). */
static int install(const struct program *program) {
  if (syscall(SYS_seccomp, SET_MODE_FILTER, SPEC_ALLOW, program) == 0) return 0;
  if (errno != EINVAL) return errno;
  return syscall(SYS_seccomp, SET_MODE_FILTER, 0, program) == 0 ? 0 : errno;
}

int install_exec_filter(void) {
  struct instruction instructions[ABIS_MAX * PER_ABI + 1];
  uint16_t count = 0;
  for (unsigned i = 0; i < host_abi_count && i < ABIS_MAX; i++) {
    const struct abi *abi = &host_abis[i];
    const struct instruction part[PER_ABI] = {
        {LOAD_WORD, 0, 0, ARCH_AT},
        {JUMP_IF_EQUAL, 0, 5, abi->audit},
        {LOAD_WORD, 0, 0, NUMBER_AT},
        {JUMP_IF_EQUAL, 0, 1, abi->execve},
        {RETURN, 0, 0, ACTION_TRACE | EXECVE_STOP},
        {JUMP_IF_EQUAL, 0, 1, abi->execveat},
        {RETURN, 0, 0, ACTION_TRACE | EXECVEAT_STOP},
    };
    for (unsigned k = 0; k < PER_ABI; k++) instructions[count++] = part[k];
  }
  instructions[count++] = (struct instruction){RETURN, 0, 0, ACTION_ALLOW};
  struct program program = {.count = count, .instructions = instructions};
  int error = install(&program);
  if (error != EACCES) return error;
  /* Without CAP_SYS_ADMIN the kernel wants that nothing below gains privileges. */
  debug("ptrace: no_new_privs is set: setuid programs gain nothing", NULL);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  return install(&program);
}
