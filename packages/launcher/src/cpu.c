/* CPUs as the first bytes of an ELF file name them, and which of them this host runs. */
#include "cpu.h"

#include <string.h>

#include "abi.h"

#if defined(__x86_64__)
#include "host/x86_64.h"
#elif defined(__aarch64__)
#include "host/aarch64.h"
#elif defined(__riscv) && __riscv_xlen == 64
#include "host/riscv64.h"
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#include "host/ppc64le.h"
#elif defined(__s390x__)
#include "host/s390x.h"
#elif defined(__arm__)
#include "host/arm.h"
#elif defined(__i386__)
#include "host/i386.h"
#elif defined(__loongarch64)
#include "host/loongarch64.h"
#else
#error "no header in host/ for this CPU"
#endif

enum { ET_EXEC = 2, ET_DYN = 3 };

const char host_name[] = HOST_NAME;
const struct abi host_abis[] = {HOST_ABIS};
const unsigned host_abi_count = sizeof host_abis / sizeof *host_abis;

static uint32_t number(const unsigned char *bytes, unsigned size, uint8_t data) {
  uint32_t value = 0;
  for (unsigned i = 0; i < size; i++) {
    value = value << 8 | bytes[data == DATA_MSB ? i : size - 1 - i];
  }
  return value;
}

bool read_elf(const unsigned char head[HEAD_SIZE], size_t length, struct elf *elf) {
  if (length < 52 || head[0] != 0x7f || head[1] != 'E' || head[2] != 'L' || head[3] != 'F') {
    return false;
  }
  uint8_t class = head[4], data = head[5];
  if (class != CLASS_32 && class != CLASS_64) return false;
  if (data != DATA_LSB && data != DATA_MSB) return false;
  if (class == CLASS_64 && length < 64) return false;
  uint32_t type = number(head + 16, 2, data);
  if (type != ET_EXEC && type != ET_DYN) return false;
  elf->cpu.machine = (uint16_t)number(head + 18, 2, data);
  elf->cpu.class = class;
  elf->cpu.data = data;
  elf->flags = number(head + (class == CLASS_64 ? 48 : 36), 4, data);
  return true;
}

static void put_number(unsigned char *bytes, uint32_t value, unsigned size, uint8_t data) {
  for (unsigned i = 0; i < size; i++) {
    bytes[data == DATA_MSB ? size - 1 - i : i] = (unsigned char)(value >> 8 * i);
  }
}

void make_elf_head(struct cpu cpu, uint32_t flags, unsigned char head[HEAD_SIZE]) {
  memset(head, 0, HEAD_SIZE);
  memcpy(head, "\x7f" "ELF", 4);
  head[4] = cpu.class;
  head[5] = cpu.data;
  head[6] = 1;
  put_number(head + 16, ET_EXEC, 2, cpu.data);
  put_number(head + 18, cpu.machine, 2, cpu.data);
  put_number(head + (cpu.class == CLASS_64 ? 48 : 36), flags, 4, cpu.data);
}

static bool same(struct cpu a, struct cpu b) {
  return a.machine == b.machine && a.class == b.class && a.data == b.data;
}

bool is_host_cpu(struct cpu cpu) { return same(cpu, (struct cpu)HOST_CPU); }

bool is_compatible_cpu(struct cpu cpu) {
  static const struct cpu compatible[] = {HOST_COMPATIBLE{0, 0, 0}};
  for (const struct cpu *one = compatible; one->machine != 0; one++) {
    if (same(cpu, *one)) return true;
  }
  return false;
}

const char *cpu_name(struct cpu cpu) {
  static const struct {
    struct cpu cpu;
    const char *name;
  } names[] = {
      {{2, CLASS_32, DATA_MSB}, "sparc"},
      {{3, CLASS_32, DATA_LSB}, "i386"},
      {{4, CLASS_32, DATA_MSB}, "m68k"},
      {{8, CLASS_32, DATA_LSB}, "mipsel"},
      {{8, CLASS_32, DATA_MSB}, "mips"},
      {{8, CLASS_64, DATA_LSB}, "mips64el"},
      {{8, CLASS_64, DATA_MSB}, "mips64"},
      {{15, CLASS_32, DATA_MSB}, "hppa"},
      {{18, CLASS_32, DATA_MSB}, "sparc32plus"},
      {{20, CLASS_32, DATA_MSB}, "ppc"},
      {{21, CLASS_64, DATA_LSB}, "ppc64le"},
      {{21, CLASS_64, DATA_MSB}, "ppc64"},
      {{22, CLASS_32, DATA_MSB}, "s390"},
      {{22, CLASS_64, DATA_MSB}, "s390x"},
      {{40, CLASS_32, DATA_LSB}, "arm"},
      {{40, CLASS_32, DATA_MSB}, "armeb"},
      {{42, CLASS_32, DATA_LSB}, "sh4"},
      {{42, CLASS_32, DATA_MSB}, "sh4eb"},
      {{43, CLASS_64, DATA_MSB}, "sparc64"},
      {{50, CLASS_64, DATA_LSB}, "ia64"},
      {{62, CLASS_32, DATA_LSB}, "x32"},
      {{62, CLASS_64, DATA_LSB}, "x86_64"},
      {{92, CLASS_32, DATA_MSB}, "or1k"},
      {{94, CLASS_32, DATA_LSB}, "xtensa"},
      {{94, CLASS_32, DATA_MSB}, "xtensaeb"},
      {{164, CLASS_32, DATA_LSB}, "hexagon"},
      {{183, CLASS_64, DATA_LSB}, "aarch64"},
      {{183, CLASS_64, DATA_MSB}, "aarch64_be"},
      {{243, CLASS_32, DATA_LSB}, "riscv32"},
      {{243, CLASS_64, DATA_LSB}, "riscv64"},
      {{258, CLASS_64, DATA_LSB}, "loongarch64"},
      {{0x9026, CLASS_64, DATA_LSB}, "alpha"},
      {{0xbaab, CLASS_32, DATA_LSB}, "microblazeel"},
      {{0xbaab, CLASS_32, DATA_MSB}, "microblaze"},
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (same(cpu, names[i].cpu)) return names[i].name;
  }
  return 0;
}
