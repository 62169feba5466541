/* The seccomp filter that hands each exec to the supervisor. All other system calls pass;
 * from Linux 5.11 on the kernel knows that without running the filter. */
#include "exec-filter.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
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
  SPEC_ALLOW = 1 << 2,
  NEW_LISTENER = 1 << 3,
  WAIT_KILLABLE = 1 << 5,
  /* The lower half of the sixth argument. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  PASS_AT = 16 + 5 * 8,
#else
  PASS_AT = 16 + 5 * 8 + 4,
#endif
};
#define ACTION_NOTIFY 0x7fc00000u
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

enum { PER_ABI = 12, ABIS_MAX = 4 };
static struct instruction instructions[ABIS_MAX * PER_ABI + 1];
static uint16_t instruction_count;
_Static_assert(sizeof instructions == EXEC_FILTER_SIZE_MAX, "as the header says");

uint32_t exec_pass(void) {
  /* The C library has use for the first ones of these 16 bytes. */
  const char *random = (const char *)getauxval(AT_RANDOM);
  uint32_t pass = 0;
  if (random) memcpy(&pass, random + 12, sizeof pass);
  return pass | 1;
}

const char supervised_question[] = "/proc/self/uport-is-supervised";

bool is_supervised(void) {
  static char name[sizeof supervised_question];
  memcpy(name, supervised_question, sizeof name);
  char *const none[] = {NULL};
  syscall(SYS_execve, name, none, none, 0, 0, 0);
  return *(volatile char *)name == '\0';
}

int exec_unsupervised(const char *file, char *const *argv, char *const *environment) {
  return (int)syscall(SYS_execve, file, argv, environment, 0, 0, (unsigned long)exec_pass());
}

/* The parts of this filter make no secrets worth slowing the app down for (SPEC_ALLOW, Linux 4.17).
 * What the supervisor is working on no signal interrupts (WAIT_KILLABLE, Linux 5.19). */
static int install(const struct program *program, int *listener) {
  unsigned long flags = SPEC_ALLOW | (listener ? NEW_LISTENER | WAIT_KILLABLE : 0);
  long result = syscall(SYS_seccomp, SET_MODE_FILTER, flags, program);
  if (result < 0 && errno == EINVAL) {
    flags = listener ? NEW_LISTENER : 0;
    result = syscall(SYS_seccomp, SET_MODE_FILTER, flags, program);
  }
  if (result < 0) return errno;
  if (listener) *listener = (int)result;
  return 0;
}

int install_exec_filter(int *listener) {
  uint32_t action = listener ? ACTION_NOTIFY : ACTION_TRACE, pass = exec_pass();
  uint16_t count = 0;
  for (unsigned i = 0; i < host_abi_count && i < ABIS_MAX; i++) {
    const struct abi *abi = &host_abis[i];
    const struct instruction part[PER_ABI] = {
        {LOAD_WORD, 0, 0, ARCH_AT},
        {JUMP_IF_EQUAL, 0, 10, abi->audit},
        {LOAD_WORD, 0, 0, NUMBER_AT},
        {JUMP_IF_EQUAL, 0, 3, abi->execve},
        {LOAD_WORD, 0, 0, PASS_AT},
        {JUMP_IF_EQUAL, 4, 0, pass},
        {RETURN, 0, 0, action | (listener ? 0 : EXECVE_STOP)},
        {JUMP_IF_EQUAL, 0, 4, abi->execveat},
        {LOAD_WORD, 0, 0, PASS_AT},
        {JUMP_IF_EQUAL, 0, 1, pass},
        {RETURN, 0, 0, ACTION_ALLOW},
        {RETURN, 0, 0, action | (listener ? 0 : EXECVEAT_STOP)},
    };
    for (unsigned k = 0; k < PER_ABI; k++) instructions[count++] = part[k];
  }
  instructions[count++] = (struct instruction){RETURN, 0, 0, ACTION_ALLOW};
  instruction_count = count;
  struct program program = {.count = count, .instructions = instructions};
  int error = install(&program, listener);
  if (error != EACCES) return error;
  /* Without CAP_SYS_ADMIN the kernel wants that nothing below gains privileges. */
  debug("children: no_new_privs is set: setuid programs gain nothing", NULL);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  return install(&program, listener);
}

bool is_exec_filter(const void *bytes, size_t size) {
  return size == instruction_count * sizeof *instructions && memcmp(bytes, instructions, size) == 0;
}
