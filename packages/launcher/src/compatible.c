/* Whether the kernel runs programs of a CPU. A child that is traced stops as soon as its exec is done,
 * before its first instruction, and is killed there. */
#include "compatible.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"
#include "message.h"

enum { CPUS_MAX = 8, REFUSED = 1, UNKNOWN = 2, CLOSE_ON_EXEC = 1, EXECUTABLE = 0x10 };

/* Its end gives no SIGCHLD (exit signal 0). */
static bool try(int program) {
  char *argv[] = {"", NULL}, *environment[] = {NULL};
  const char *path = concatenate("/proc/self/fd/", decimal((uint64_t)program), "");
  long child = syscall(SYS_clone, 0, 0, 0, 0, 0);
  if (child < 0) return true;
  if (child == 0) {
    /* The stop is a signal: where the supervisor is asked, all are blocked. */
    static const unsigned long none[2];
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, none, NULL, 8);
    if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0) _exit(UNKNOWN);
    execve(path, argv, environment);
    _exit(errno == ENOEXEC ? REFUSED : UNKNOWN);
  }
  int status = 0;
  while (waitpid((pid_t)child, &status, __WALL) < 0 && errno == EINTR) {}
  if (WIFSTOPPED(status)) {
    kill((pid_t)child, SIGKILL);
    int end;
    while (waitpid((pid_t)child, &end, __WALL) < 0 && errno == EINTR) {}
  }
  return !(WIFEXITED(status) && WEXITSTATUS(status) == REFUSED);
}

/* The smallest program that a kernel takes. Compatible CPUs have the host's byte order. */
static int make_program(struct cpu cpu) {
  enum { ADDRESS = 0x400000, ALIGNMENT = 0x10000 };
  /* Linux takes Arm programs of the present ABI only. */
  uint32_t flags = cpu.machine == EM_ARM ? 0x05000000 : 0;
  union {
    struct {
      Elf32_Ehdr header;
      Elf32_Phdr segment;
    } narrow;
    struct {
      Elf64_Ehdr header;
      Elf64_Phdr segment;
    } wide;
    unsigned char ident[EI_NIDENT];
  } bytes;
  memset(&bytes, 0, sizeof bytes);
  size_t size = cpu.class == CLASS_64 ? sizeof bytes.wide : sizeof bytes.narrow;
#define FILL(part, Header, Segment)                                                              \
  part.header = (Header){.e_type = ET_EXEC, .e_machine = cpu.machine, .e_version = EV_CURRENT,   \
                         .e_entry = ADDRESS, .e_phoff = sizeof part.header, .e_flags = flags,    \
                         .e_ehsize = sizeof part.header, .e_phentsize = sizeof part.segment,     \
                         .e_phnum = 1};                                                          \
  part.segment = (Segment){.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = ADDRESS,        \
                           .p_paddr = ADDRESS, .p_filesz = size, .p_memsz = size,                \
                           .p_align = ALIGNMENT}
  if (cpu.class == CLASS_64) {
    FILL(bytes.wide, Elf64_Ehdr, Elf64_Phdr);
  } else {
    FILL(bytes.narrow, Elf32_Ehdr, Elf32_Phdr);
  }
#undef FILL
  memcpy(bytes.ident, ELFMAG, SELFMAG);
  bytes.ident[EI_CLASS] = cpu.class;
  bytes.ident[EI_DATA] = cpu.data;
  bytes.ident[EI_VERSION] = EV_CURRENT;
  int program = (int)syscall(SYS_memfd_create, "uport", CLOSE_ON_EXEC | EXECUTABLE);
  /* Before Linux 6.3 all are executable. */
  if (program < 0) program = (int)syscall(SYS_memfd_create, "uport", CLOSE_ON_EXEC);
  if (program >= 0 && write(program, &bytes, size) == (ssize_t)size) return program;
  if (program >= 0) close(program);
  return -1;
}

bool kernel_runs_cpu(struct cpu cpu) {
  static struct cpu tried[CPUS_MAX];
  static bool answers[CPUS_MAX];
  static unsigned count;
  for (unsigned i = 0; i < count; i++) {
    if (tried[i].machine == cpu.machine && tried[i].class == cpu.class && tried[i].data == cpu.data) {
      return answers[i];
    }
  }
  int program = make_program(cpu);
  bool answer = program < 0 || try(program);
  if (program >= 0) close(program);
  if (count < CPUS_MAX) {
    tried[count] = cpu;
    answers[count++] = answer;
  }
  const char *name = cpu_name(cpu);
  debug("this kernel runs ", name ? name : "these", answer ? " programs" : " programs: no", NULL);
  return answer;
}
