/* A dynamic program as nixpkgs builds them: loader, libraries and data in store paths of their own. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "greet.h"

int main(int argc, char **argv) {
  char words[200] = "no data";
  FILE *file = fopen(DATA "/share/words", "r");
  if (file && fgets(words, sizeof words, file)) words[strcspn(words, "\n")] = '\0';
  printf("%s: %s\nargv0 %s\n", greet(), words, argv[0]);
  for (int i = 1; i < argc; i++) printf("%s\n", argv[i]);
  char exe[4096];
  ssize_t length = readlink("/proc/self/exe", exe, sizeof exe - 1);
  exe[length > 0 ? length : 0] = '\0';
  const char *name = strrchr(exe, '/');
  printf("exe %s\n", name ? name + 1 : exe);
  return 3;
}
