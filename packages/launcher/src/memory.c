/* Memory that lives as long as the process: it ends in an exec or an exit soon, nothing is freed. */
#include "memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

void *allocate(size_t size) {
  void *memory = malloc(size);
  if (!memory) die(STATUS_OWN_FAULT, "no memory left, raise the memory limit", NULL);
  return memory;
}

void *grow(void *array, size_t count, size_t size) {
  /* It was made larger whenever the count was 0 or a power of two. */
  if ((count & (count - 1)) != 0) return array;
  void *larger = realloc(array, (count == 0 ? 1 : 2 * count) * size);
  if (!larger) die(STATUS_OWN_FAULT, "no memory left, raise the memory limit", NULL);
  return larger;
}

char *copy_bytes(const char *from, size_t size) {
  char *copy = allocate(size + 1);
  memcpy(copy, from, size);
  copy[size] = '\0';
  return copy;
}

char *concatenate(const char *one, const char *two, const char *three) {
  size_t first = strlen(one), second = strlen(two), third = strlen(three);
  char *all = allocate(first + second + third + 1);
  memcpy(all, one, first);
  memcpy(all + first, two, second);
  memcpy(all + first + second, three, third + 1);
  return all;
}

const char *error_name(int error) {
  switch (error) {
    case E2BIG: return "E2BIG";
    case EACCES: return "EACCES";
    case EAGAIN: return "EAGAIN";
    case EBADF: return "EBADF";
    case EDQUOT: return "EDQUOT";
    case EEXIST: return "EEXIST";
    case EFBIG: return "EFBIG";
    case EINVAL: return "EINVAL";
    case EIO: return "EIO";
    case EISDIR: return "EISDIR";
    case ELIBBAD: return "ELIBBAD";
    case ELOOP: return "ELOOP";
    case EMFILE: return "EMFILE";
    case ENAMETOOLONG: return "ENAMETOOLONG";
    case ENFILE: return "ENFILE";
    case ENODEV: return "ENODEV";
    case ENOENT: return "ENOENT";
    case ENOEXEC: return "ENOEXEC";
    case ENOMEM: return "ENOMEM";
    case ENOLCK: return "ENOLCK";
    case ENOSPC: return "ENOSPC";
    case ENOSYS: return "ENOSYS";
    case ENOTDIR: return "ENOTDIR";
    case EOPNOTSUPP: return "EOPNOTSUPP";
    case EPERM: return "EPERM";
    case EROFS: return "EROFS";
    case ETXTBSY: return "ETXTBSY";
    default: return concatenate("error ", decimal((unsigned long)error), "");
  }
}
