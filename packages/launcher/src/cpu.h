/* CPUs as the first bytes of an ELF file name them. */
#ifndef UPORT_CPU_H
#define UPORT_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* EI_CLASS and EI_DATA of the ELF specification. */
enum { CLASS_32 = 1, CLASS_64 = 2 };
enum { DATA_LSB = 1, DATA_MSB = 2 };

struct cpu {
  uint16_t machine; /* e_machine */
  uint8_t class;
  uint8_t data;
};

/* The kernel looks at this many bytes of a file to find out what it is (BINPRM_BUF_SIZE). */
enum { HEAD_SIZE = 256 };

struct elf {
  struct cpu cpu;
  uint32_t flags; /* e_flags */
};

/* Reads the header of an executable ELF file (ET_EXEC or ET_DYN); false when it is not one. */
bool read_elf(const unsigned char head[HEAD_SIZE], size_t length, struct elf *elf);

/* The header of a program, as far as a rule looks at it. */
void make_elf_head(struct cpu cpu, uint32_t flags, unsigned char head[HEAD_SIZE]);

bool is_host_cpu(struct cpu cpu);

/* Whether the host's kernel may be able to run it, which only trying tells. */
bool is_compatible_cpu(struct cpu cpu);

/* The CPU this launcher was built for. */
extern const char host_name[];

/* A name for messages, such as `riscv64`, or NULL. */
const char *cpu_name(struct cpu cpu);

#endif
