/* What the launcher tells people. No stdio: it would double the size of the launcher. */
#include "message.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

bool debug_wanted;
void (*before_death)(void);

static size_t append(char *line, size_t used, size_t capacity, const char *part) {
  static const char hex[] = "0123456789abcdef";
  for (; *part && used + 4 < capacity; part++) {
    unsigned char byte = (unsigned char)*part;
    if (byte >= 0x20 && byte != 0x7f) {
      line[used++] = *part;
    } else {
      line[used++] = '\\';
      line[used++] = 'x';
      line[used++] = hex[byte >> 4];
      line[used++] = hex[byte & 15];
    }
  }
  return used;
}

static size_t join(char *line, size_t used, size_t capacity, const char *part, va_list rest) {
  for (; part; part = va_arg(rest, const char *)) used = append(line, used, capacity, part);
  return used;
}

static bool put(int descriptor, const char *line, size_t length) {
  while (length > 0) {
    ssize_t written = write(descriptor, line, length);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    line += written;
    length -= (size_t)written;
  }
  return true;
}

void debug(const char *part, ...) {
  if (!debug_wanted) return;
  char line[4096];
  size_t used = append(line, 0, sizeof line - 1, "uport: debug: ");
  va_list rest;
  va_start(rest, part);
  used = join(line, used, sizeof line - 1, part, rest);
  va_end(rest);
  line[used++] = '\n';
  put(STDERR_FILENO, line, used);
}

void say(const char *part, ...) {
  char line[3 * 4096];
  va_list rest;
  va_start(rest, part);
  size_t used = join(line, 0, sizeof line - 1, part, rest);
  va_end(rest);
  line[used++] = '\n';
  if (!put(STDOUT_FILENO, line, used)) {
    die(STATUS_OWN_FAULT, "standard output: cannot be written", NULL);
  }
}

void tell(int descriptor, const char *part, ...) {
  char line[4096]; /* PIPE_BUF */
  size_t used = append(line, 0, sizeof line - 1, "uport: ");
  va_list rest;
  va_start(rest, part);
  used = join(line, used, sizeof line - 1, part, rest);
  va_end(rest);
  line[used++] = '\n';
  put(descriptor, line, used);
}

void die(int status, const char *part, ...) {
  char line[3 * 4096];
  size_t used = append(line, 0, sizeof line - 1, "uport: ");
  va_list rest;
  va_start(rest, part);
  used = join(line, used, sizeof line - 1, part, rest);
  va_end(rest);
  line[used++] = '\n';
  put(STDERR_FILENO, line, used);
  void (*clean_up)(void) = before_death;
  before_death = NULL;
  if (clean_up) clean_up();
  _exit(status);
}

int fail(struct failure *failure, int error, int status, const char *part, ...) {
  va_list rest;
  va_start(rest, part);
  failure->text[join(failure->text, 0, sizeof failure->text - 1, part, rest)] = '\0';
  va_end(rest);
  failure->error = error;
  failure->status = status;
  return error;
}

void die_of(const struct failure *failure) { die(failure->status, failure->text, NULL); }

const char *decimal(uint64_t number) {
  static char buffers[6][24];
  static unsigned turn;
  char *digit = &buffers[turn++ % 6][23];
  *digit = '\0';
  do *--digit = (char)('0' + number % 10);
  while ((number /= 10) > 0);
  return digit;
}
