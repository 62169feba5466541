/* The first line of a script. The rules are those of load_script in Linux's fs/binfmt_script.c:
 * only the first 256 bytes count; spaces and tabs around the interpreter are dropped; all that
 * follows it, up to the end of the line without trailing blanks, is one argument; a NUL ends a
 * name; a line that does not end within the 256 bytes is taken only when the interpreter's name
 * does. A carriage return is a byte like any other. */
#include "shebang.h"

#include <stddef.h>
#include <string.h>

#include "memory.h"

typedef const unsigned char *place;

static bool is_blank(unsigned char byte) { return byte == ' ' || byte == '\t'; }

static place skip_blanks(place at, place last) {
  for (; at <= last; at++) {
    if (!is_blank(*at)) return at;
  }
  return NULL;
}

static place find_end_of_name(place at, place last) {
  for (; at <= last; at++) {
    if (is_blank(*at) || *at == '\0') return at;
  }
  return NULL;
}

/* The newline, unless a NUL comes first. */
static place find_newline(place head) {
  for (place at = head; at < head + HEAD_SIZE && *at != '\0'; at++) {
    if (*at == '\n') return at;
  }
  return NULL;
}

static char *copy_until_nul(place from, place stop) {
  return copy_bytes((const char *)from, strnlen((const char *)from, (size_t)(stop - from)));
}

bool read_shebang(const unsigned char head[HEAD_SIZE], struct shebang *shebang) {
  if (head[0] != '#' || head[1] != '!') return false;
  place last = head + HEAD_SIZE - 1;
  place end = find_newline(head);
  if (!end) {
    place name = skip_blanks(head + 2, last);
    if (!name || !find_end_of_name(name, last)) return false;
    end = last;
  }
  while (is_blank(end[-1])) end--;

  place name = skip_blanks(head + 2, end);
  if (!name || name == end) return false;
  place name_end = find_end_of_name(name, end);
  place argument = name_end && *name_end != '\0' ? skip_blanks(name_end, end) : NULL;

  shebang->interpreter = copy_until_nul(name, name_end && name_end < end ? name_end : end);
  /* The kernel overwrites the line's end with NUL before it copies, so an argument that would
   * start there is an empty one. */
  shebang->argument = argument ? copy_until_nul(argument, end) : NULL;
  return true;
}
