/* Scripts: what the kernel does with a line that begins with #!. */
#include "support.h"

static const char *script(const char *content, const char *expected) {
  write_file("script", content, 0755);
  return prints(RUN("./script", "ignored", "a b", "c"), expected);
}

static const char *script_guest(void) { return script("#!" TOOL " arguments\n", "[" TOOL "][./script][a b][c]\n"); }

static const char *script_guest_shell(void) {
  return script("#!" GUEST_SHELL "\necho \"$0/$1/$2\"\n", "./script/a b/c\n");
}

static const char *script_host_shell(void) {
  return script("#!" SHELL "\necho \"$0/$1/$2\"\n", "./script/a b/c\n");
}

static const char *script_one_argument(void) {
  /* All that follows the interpreter is one argument, without spaces at its end. */
  return script("#! " TOOL " \t arguments\n", "[" TOOL "][./script][a b][c]\n");
}

static const char *script_spaces(void) {
  write_file("script", "#!" TOOL " arguments  x y \n", 0755);
  struct ran *ran = RUN("./script", "ignored", "z");
  return strcmp(ran->out, "tool: what is arguments  x y?\n") == 0 ? NULL : ending(ran);
}

static const char *script_nested(void) {
  write_file("inner", "#!" TOOL " arguments\n", 0755);
  write_file("middle", "#!./inner\n", 0755);
  return script("#!./middle\n", "[" TOOL "][./inner][./middle][./script][a b][c]\n");
}

static const char *script_too_deep(void) {
  write_file("s0", "#!" TOOL " arguments\n", 0755);
  for (int i = 1; i <= 6; i++) write_file(text("s%d", i), text("#!./s%d\n", i - 1), 0755);
  const char *fault = prints(RUN("./s4", "x"), "[" TOOL "][./s0][./s1][./s2][./s3][./s4]\n");
  return fault ? fault : fails_with(RUN("./s6", "x"), ELOOP);
}

static const char *script_relative(void) {
  if (symlink(TOOL, "interpreter")) return errno_text("symlink");
  return script("#!./interpreter arguments\n", "[./interpreter][./script][a b][c]\n");
}

static const char *script_carriage_return(void) {
  write_file("script", "#!" TOOL "\r\n", 0755);
  return fails_with(RUN("./script", "x"), ENOENT);
}

static const char *script_no_newline(void) { return script("#!" TOOL " arguments", "[" TOOL "][./script][a b][c]\n"); }

static const char *script_missing(void) {
  write_file("script", "#!/nowhere/interpreter\n", 0755);
  return fails_with(RUN("./script", "x"), ENOENT);
}

static const char *script_empty_line(void) {
  write_file("script", "#!\n", 0755);
  return fails_with(RUN("./script", "x"), ENOEXEC);
}

static const char *script_not_executable(void) {
  copy_file(TOOL, "plain", 0644);
  write_file("script", "#!./plain\n", 0755);
  return fails_with(RUN("./script", "x"), EACCES);
}

static const char *script_env(void) {
  setenv("PATH", "/suite/guest:/bin", 1);
  return script("#!/usr/bin/env sh\necho found\n", "found\n");
}

static const char *script_path_search(void) {
  write_file("script", "#!" TOOL " arguments\n", 0755);
  char folder[4096];
  if (!getcwd(folder, sizeof folder)) return errno_text("getcwd");
  setenv("PATH", folder, 1);
  return prints(RUN_BY(by_path_search, "script", "x", "y"), text("[" TOOL "][%s/script][y]\n", folder));
}

static const char *script_without_line(void) {
  /* execvp starts a shell for it after ENOEXEC. */
  write_file("script", "echo by a shell\n", 0755);
  return prints(RUN_BY(by_path_search, "./script", "x"), "by a shell\n");
}

static const char *script_descriptor(void) {
  write_file("script", "#!" TOOL " copy\n", 0755);
  flags_of_descriptor = 0;
  struct ran *ran = RUN_BY(by_descriptor, "./script", "x");
  return prints(ran, "");
}

static const char *script_descriptor_name(void) {
  write_file("script", "#!" TOOL " arguments\n", 0755);
  flags_of_descriptor = 0;
  struct ran *ran = RUN_BY(by_descriptor, "./script", "x");
  bool good = !ran->error && ran->status == 0 && strncmp(ran->out, "[" TOOL "][/dev/fd/", 21) == 0;
  return good ? NULL : ending(ran);
}

static const char *script_descriptor_cloexec(void) {
  /* The interpreter could not open it any more. */
  write_file("script", "#!" TOOL " arguments\n", 0755);
  flags_of_descriptor = O_CLOEXEC;
  return fails_with(RUN_BY(by_descriptor, "./script", "x"), ENOENT);
}

static const char *script_long_line(void) {
  /* The kernel looks at 256 bytes; a path that is cut off there is refused. */
  char line[600];
  memset(line, 'x', sizeof line);
  memcpy(line, "#!/suite/", 9);
  line[598] = '\n', line[599] = 0;
  write_file("script", line, 0755);
  return fails_with(RUN("./script", "x"), ENOEXEC);
}

static const char *script_background(void) {
  write_file("script", "#!" GUEST_SHELL "\n" TOOL " status 3 & wait $!; echo $?\n", 0755);
  return prints(RUN("./script", "x"), "3\n");
}

static const char *script_substitution(void) {
  return script("#!" GUEST_SHELL "\nx=$(" TOOL " cpu); for i in 1 2 3; do echo $i$x; done | " TOOL " copy | " HOST_TOOL
                " copy\n",
                "1" CPU "\n2" CPU "\n3" CPU "\n");
}

#define SCRIPTS                                                    \
  {"script for a program of the guest's CPU", script_guest},       \
  {"script for a shell of the guest's CPU", script_guest_shell},   \
  {"script for a shell of the host's CPU", script_host_shell},     \
  {"spaces and tabs after #!", script_one_argument},               \
  {"all that follows the interpreter is one argument", script_spaces}, \
  {"script for a script for a script", script_nested},             \
  {"ELOOP for scripts too deep", script_too_deep},                 \
  {"relative interpreter", script_relative},                       \
  {"ENOENT for a carriage return after the interpreter", script_carriage_return}, \
  {"script without a newline", script_no_newline},                 \
  {"ENOENT for a missing interpreter", script_missing},            \
  {"ENOEXEC for #! alone", script_empty_line},                     \
  {"EACCES for an interpreter without the x bit", script_not_executable}, \
  {"#!/usr/bin/env", script_env},                                  \
  {"script found in PATH", script_path_search},                    \
  {"script without #! by execvp", script_without_line},            \
  {"fexecve of a script", script_descriptor},                      \
  {"fexecve of a script names it /dev/fd/N", script_descriptor_name}, \
  {"ENOENT for fexecve of a script with O_CLOEXEC", script_descriptor_cloexec}, \
  {"ENOEXEC for a line that is too long", script_long_line},       \
  {"background child of a script", script_background},             \
  {"substitution and pipes in a script", script_substitution}
