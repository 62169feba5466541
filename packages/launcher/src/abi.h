/* What must be known of a CPU's system calls to follow its processes with ptrace and seccomp: the
 * numbers, and where a register lies in what NT_PRSTATUS gives. A host header lists those that its
 * kernel may run; the size of the register set tells which one a process is in. */
#ifndef UPORT_ABI_H
#define UPORT_ABI_H

#include <stdbool.h>
#include <stdint.h>

enum { ABI_ARGS = 6, NO_REGISTER = 0xffff };

struct abi {
  uint32_t audit; /* AUDIT_ARCH_*, as seccomp's filters see it */
  uint32_t execve;
  uint32_t execveat;
  uint16_t size; /* of the register set; 0: another entry describes it */
  uint8_t word;  /* bytes of a register and of a pointer */
  /* Below the stack pointer, bytes that belong to the program. */
  uint16_t red_zone;
  /* Offsets in the register set. */
  uint16_t args[ABI_ARGS];
  uint16_t first_again; /* holds the first argument too */
  uint16_t stack;
  uint16_t result;
  uint16_t number;
  /* To make a call again: where the program counter lies, how long the instruction is, and the number of
   * prctl. 0: not known. */
  uint16_t counter;
  uint8_t call_size;
  uint16_t prctl;
  bool number_in_result; /* the program puts the number where the result comes */
  uint16_t number_set;   /* the register set that holds the number alone at a stop, or 0 */
  /* The first argument cannot be changed, and can be read with PTRACE_GET_SYSCALL_INFO only. */
  bool first_hidden;
};

#define ABI_X86_64                                                                            \
  {.audit = 0xc000003e, .execve = 59, .execveat = 322, .size = 27 * 8, .word = 8,             \
   .red_zone = 128, .args = {14 * 8, 13 * 8, 12 * 8, 7 * 8, 9 * 8, 8 * 8},                    \
   .first_again = NO_REGISTER, .stack = 19 * 8, .result = 10 * 8, .number = 15 * 8,                  \
   .counter = 16 * 8, .call_size = 2, .prctl = 157, .number_in_result = true}
/* Programs with 32-bit pointers in 64-bit mode; their registers are those of x86_64. */
#define ABI_X32 {.audit = 0xc000003e, .execve = 0x40000208, .execveat = 0x40000221}
#define ABI_I386                                                                              \
  {.audit = 0x40000003, .execve = 11, .execveat = 358, .size = 17 * 4, .word = 4,             \
   .args = {0, 1 * 4, 2 * 4, 3 * 4, 4 * 4, 5 * 4}, .first_again = NO_REGISTER,                \
   .stack = 15 * 4,                                                                           \
   .result = 6 * 4, .number = 11 * 4, .counter = 12 * 4, .call_size = 2, .prctl = 172,        \
   .number_in_result = true}
#define ABI_AARCH64                                                                           \
  {.audit = 0xc00000b7, .execve = 221, .execveat = 281, .size = 34 * 8, .word = 8,            \
   .args = {0, 1 * 8, 2 * 8, 3 * 8, 4 * 8, 5 * 8}, .first_again = NO_REGISTER,                \
   .stack = 31 * 8,                                                                           \
   .result = 0, .number = 8 * 8, .counter = 32 * 8, .call_size = 4, .prctl = 167,             \
   .number_set = 0x404 /* NT_ARM_SYSTEM_CALL */}
#define ABI_ARM                                                                               \
  {.audit = 0x40000028, .execve = 11, .execveat = 387, .size = 18 * 4, .word = 4,             \
   .args = {0, 1 * 4, 2 * 4, 3 * 4, 4 * 4, 5 * 4}, .first_again = 17 * 4, .stack = 13 * 4,    \
   .result = 0, .number = 7 * 4}
/* Newer kernels put -ENOSYS into a0 before the stop, and none lets the saved one be written. */
#define ABI_RISCV64                                                                           \
  {.audit = 0xc00000f3, .execve = 221, .execveat = 281, .size = 32 * 8, .word = 8,            \
   .args = {10 * 8, 11 * 8, 12 * 8, 13 * 8, 14 * 8, 15 * 8}, .first_again = NO_REGISTER,      \
   .stack = 2 * 8, .result = 10 * 8, .number = 17 * 8, .first_hidden = true}
#define ABI_RISCV32                                                                           \
  {.audit = 0x400000f3, .execve = 221, .execveat = 281, .size = 32 * 4, .word = 4,            \
   .args = {10 * 4, 11 * 4, 12 * 4, 13 * 4, 14 * 4, 15 * 4}, .first_again = NO_REGISTER,      \
   .stack = 2 * 4, .result = 10 * 4, .number = 17 * 4, .first_hidden = true}
/* Its ABI protects 288 bytes below the stack pointer, the kernel's signal frames leave 512. At a stop by
 * seccomp the first argument is in orig_gpr3 only: kernels before the generic entry put -ENOSYS into
 * gpr3 there. */
#define ABI_PPC64LE                                                                           \
  {.audit = 0xc0000015, .execve = 11, .execveat = 362, .size = 48 * 8, .word = 8,             \
   .red_zone = 512, .args = {34 * 8, 4 * 8, 5 * 8, 6 * 8, 7 * 8, 8 * 8}, .first_again = 3 * 8, \
   .stack = 1 * 8, .result = 3 * 8, .number = 0}
/* Register 2 holds the system call's number at a stop; the argument lies behind the others. */
#define ABI_S390X                                                                             \
  {.audit = 0x80000016, .execve = 11, .execveat = 354, .size = 216, .word = 8,                \
   .args = {208, 16 + 3 * 8, 16 + 4 * 8, 16 + 5 * 8, 16 + 6 * 8, 16 + 7 * 8},                 \
   .first_again = NO_REGISTER,                                                                \
   .stack = 16 + 15 * 8, .result = 16 + 2 * 8, .number = 16 + 1 * 8}
#define ABI_S390                                                                              \
  {.audit = 0x00000016, .execve = 11, .execveat = 354, .size = 140, .word = 4,                \
   .args = {136, 8 + 3 * 4, 8 + 4 * 4, 8 + 5 * 4, 8 + 6 * 4, 8 + 7 * 4},                      \
   .first_again = NO_REGISTER,                                                                \
   .stack = 8 + 15 * 4, .result = 8 + 2 * 4, .number = 8 + 1 * 4}
#define ABI_LOONGARCH64                                                                       \
  {.audit = 0xc0000102, .execve = 221, .execveat = 281, .size = 45 * 8, .word = 8,            \
   .args = {32 * 8, 5 * 8, 6 * 8, 7 * 8, 8 * 8, 9 * 8}, .first_again = NO_REGISTER, .stack = 3 * 8, \
   .result = 4 * 8, .number = 11 * 8}

/* Those that the host's kernel may run, the host's own first. */
extern const struct abi host_abis[];
extern const unsigned host_abi_count;

#endif
