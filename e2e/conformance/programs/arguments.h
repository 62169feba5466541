/* Arguments and environment, byte for byte. */
#include "support.h"

static const char *arguments_bytes(void) {
  return prints(RUN(TOOL, "tool", "arguments", "", "a b", "--", "-0", "l\nine\r", "\"'`$(id)\\", "*", "\xff\xfe", "%s", ""),
                "[tool][][a b][--][-0][l\\x0aine\\x0d][\"'`$(id)\\][*][\\xff\\xfe][%s][]\n");
}

static const char *arguments_like_options(void) {
  /* What QEMU would take for its own options. */
  return prints(RUN(TOOL, "-g", "arguments", "-cpu", "help", "-L", "-version", "-0"),
                "[-g][-cpu][help][-L][-version][-0]\n");
}

static const char *arguments_other_name(void) {
  return prints(RUN(TOOL, "quite another name", "arguments"), "[quite another name]\n");
}

static const char *arguments_empty_name(void) { return prints(RUN(TOOL, "", "arguments"), "[]\n"); }

static void without_arguments(const char *path, char *const argv[], char *const env[]) {
  (void)argv;
  char *none[] = {NULL};
  execve(path, none, env);
}

static const char *arguments_none(void) {
  /* Linux gives an empty argv[0] since 5.18. */
  struct ran *ran = RUN_BY(without_arguments, TOOL, "unused");
  return strcmp(ran->out, "tool: what is ?\n") == 0 ? NULL : ending(ran);
}

static const char *arguments_long(void) {
  size_t size = 128 * 1024 - 1;
  char *argument = malloc(size + 1);
  memset(argument, 'x', size);
  argument[size] = 0;
  return prints(RUN(TOOL, "tool", "count", argument), "1 arguments, 131071 bytes\n");
}

static const char *arguments_too_long(void) {
  size_t size = 128 * 1024 * 16;
  char *argument = malloc(size + 1);
  memset(argument, 'x', size);
  argument[size] = 0;
  return fails_with(RUN(TOOL, "tool", "count", argument), E2BIG);
}

static const char *arguments_many(void) {
  enum { COUNT = 20000 };
  char **argv = calloc(COUNT + 3, sizeof *argv);
  argv[0] = "tool", argv[1] = "count";
  for (int i = 0; i < COUNT; i++) argv[i + 2] = "0123456789";
  return prints(start(TOOL, argv), "20000 arguments, 200000 bytes\n");
}

static const char *arguments_million(void) {
  enum { COUNT = 10 };
  char *argv[COUNT + 3] = {"tool", "count"};
  for (int i = 0; i < COUNT; i++) {
    argv[i + 2] = malloc(100001);
    memset(argv[i + 2], 'a' + i, 100000);
    argv[i + 2][100000] = 0;
  }
  return prints(start(TOOL, argv), "10 arguments, 1000000 bytes\n");
}

static const char *environment_empty(void) {
  char *env[] = {NULL};
  char *argv[] = {"tool", "environment", NULL};
  return prints(start_by(by_execve, TOOL, argv, env), "\n");
}

static const char *environment_null(void) {
  char *argv[] = {"tool", "environment", NULL};
  return prints(start_by(by_execve, TOOL, argv, NULL), "\n");
}

static const char *environment_odd(void) {
  char *env[] = {"B=2", "A=1", "nothing", "=odd", "A=again", "E=", "X=a=b\n\xff", NULL};
  char *argv[] = {"tool", "environment", NULL};
  return prints(start_by(by_execve, TOOL, argv, env), "[B=2][A=1][nothing][=odd][A=again][E=][X=a=b\\x0a\\xff]\n");
}

static const char *environment_clean(void) {
  for (char **at = environ; *at; at++) {
    if (strncmp(*at, "UPORT_", 6) == 0 || strncmp(*at, "QEMU_", 5) == 0) return text("it has %s", *at);
  }
  char *argv[] = {"tool", "environment", NULL};
  char *env[] = {"ONLY=this", NULL};
  return prints(start_by(by_execve, TOOL, argv, env), "[ONLY=this]\n");
}

static const char *environment_qemu(void) {
  /* Variables that QEMU reads for itself are the app's own. */
  char *env[] = {"QEMU_STRACE=", "QEMU_LD_PREFIX=/nowhere", NULL};
  char *argv[] = {"tool", "environment", NULL};
  return prints(start_by(by_execve, TOOL, argv, env), "[QEMU_STRACE=][QEMU_LD_PREFIX=/nowhere]\n");
}

static const char *env_minus_i(void) {
  return prints(RUN(SHELL, "sh", "-c", "env -i " TOOL " environment"), "\n");
}

#define ARGUMENTS                                              \
  {"arguments byte for byte", arguments_bytes},                \
  {"arguments that look like options of the emulator", arguments_like_options}, \
  {"argv[0] that is not the path", arguments_other_name},      \
  {"empty argv[0]", arguments_empty_name},                     \
  {"no arguments at all", arguments_none},                     \
  {"an argument of 128 KiB", arguments_long},                  \
  {"20,000 arguments", arguments_many},                        \
  {"a million bytes of arguments", arguments_million},         \
  {"E2BIG for an argument of 2 MiB", arguments_too_long},      \
  {"empty environment", environment_empty},                    \
  {"NULL for an environment", environment_null},               \
  {"odd and repeated variables in order", environment_odd},    \
  {"env -i in a shell", env_minus_i},                          \
  {"no variable of the starter in the environment", environment_clean}, \
  {"variables that QEMU reads reach the program", environment_qemu}
