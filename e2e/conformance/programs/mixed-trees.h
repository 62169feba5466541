/* Programs of the guest's CPU, the host's and a third one in one tree of processes. */
#include "support.h"

static const char *mixed_host(void) { return prints(RUN(HOST_TOOL, "tool", "cpu"), host_cpu); }
static const char *mixed_host_dynamic(void) { return prints(RUN("/suite/host-tool-dynamic", "tool", "cpu"), host_cpu); }
static const char *mixed_third(void) { return prints(RUN(THIRD_TOOL, "tool", "cpu"), third_cpu); }

static const char *mixed_through_host(void) {
  return prints(RUN(HOST_TOOL, "tool", "spawn", TOOL, "cpu"), CPU "\n");
}

static const char *mixed_through_third(void) {
  const char *fault = prints(RUN(THIRD_TOOL, "tool", "spawn", TOOL, "spawn", HOST_TOOL, "cpu"), host_cpu);
  return fault ? fault : prints(RUN(HOST_TOOL, "tool", "exec", THIRD_TOOL, "exec", TOOL, "cpu"), CPU "\n");
}

static const char *mixed_host_arguments(void) {
  return prints(RUN(HOST_TOOL, "a name", "arguments", "", "x y", "\xff"), "[a name][][x y][\\xff]\n");
}

static const char *mixed_third_arguments(void) {
  return prints(RUN(THIRD_TOOL, "a name", "arguments", "", "x y", "\xff"), "[a name][][x y][\\xff]\n");
}

static const char *mixed_pipe(void) {
  return prints(RUN(SHELL, "sh", "-c", TOOL " cpu | " HOST_TOOL " copy | " THIRD_TOOL " copy | " TOOL " copy"), CPU "\n");
}

static const char *mixed_guest_shell(void) {
  return prints(RUN(GUEST_SHELL, "sh", "-c", HOST_TOOL " cpu; " THIRD_TOOL " cpu; " TOOL " cpu"),
                text("%s%s%s", host_cpu, third_cpu, CPU "\n"));
}

static const char *mixed_script_third(void) {
  write_file("script", "#!" THIRD_TOOL " arguments\n", 0755);
  return prints(RUN("./script", "x", "y"), "[" THIRD_TOOL "][./script][y]\n");
}

static const char *mixed_host_self(void) {
  return prints(RUN(HOST_TOOL, "tool", "link", "/proc/self/exe"), HOST_TOOL "\n");
}

static const char *mixed_find_exec(void) {
  mkdir("folder", 0755);
  write_file("folder/one", "1", 0644);
  write_file("folder/two", "2", 0644);
  struct ran *ran = RUN(SHELL, "sh", "-c", "find folder -type f -exec " TOOL " arguments {} \\; | sort");
  return prints(ran, "[" TOOL "][folder/one]\n[" TOOL "][folder/two]\n");
}

static const char *mixed_xargs(void) {
  return prints(RUN(GUEST_SHELL, "sh", "-c", "echo a b c | xargs -n 1 " TOOL " arguments"),
                "[" TOOL "][a]\n[" TOOL "][b]\n[" TOOL "][c]\n");
}

static const char *mixed_preload(void) {
  setenv("LD_PRELOAD", "/suite/preload.so", 1);
  const char *fault = prints(RUN("/suite/tool-dynamic", "tool", "preloaded"), "yes\n");
  if (fault) return fault;
  /* A host's loader complains of a library of another CPU on its standard error. */
  bool native = strcmp(CPU "\n", host_cpu) == 0;
  return prints(RUN("/suite/host-tool-dynamic", "tool", "preloaded"), native ? "yes\n" : "no\n");
}

static const char *mixed_library_path(void) {
  mkdir("libraries", 0755);
  copy_file("/suite/preload.so", "libraries/libpreload.so", 0644);
  char folder[4096];
  if (!getcwd(folder, sizeof folder)) return errno_text("getcwd");
  setenv("LD_LIBRARY_PATH", text("%s/libraries", folder), 1);
  setenv("LD_PRELOAD", "libpreload.so", 1);
  return prints(RUN("/suite/tool-dynamic", "tool", "preloaded"), "yes\n");
}

#define MIXED_TREES                                              \
  {"program of the host's CPU", mixed_host},                     \
  {"dynamically linked program of the host's CPU", mixed_host_dynamic}, \
  {"program of a third CPU", mixed_third},                       \
  {"guest, host, guest", mixed_through_host},                    \
  {"guest, third, guest, host and guest, host, third, guest", mixed_through_third}, \
  {"arguments of a program of the host's CPU", mixed_host_arguments}, \
  {"arguments of a program of a third CPU", mixed_third_arguments}, \
  {"pipe through programs of three CPUs", mixed_pipe},           \
  {"shell of the guest's CPU starts programs of three", mixed_guest_shell}, \
  {"script for a program of a third CPU", mixed_script_third},   \
  {"/proc/self/exe of a program of the host's CPU", mixed_host_self}, \
  {"find -exec", mixed_find_exec},                               \
  {"xargs", mixed_xargs},                                        \
  {"LD_PRELOAD of the guest, kept from the host's programs", mixed_preload}, \
  {"LD_LIBRARY_PATH of the guest", mixed_library_path}
