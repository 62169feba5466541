/* malloc and its like for a process that ends soon: the C library's are 10 KB larger. Large blocks
 * are mapped and unmapped, small ones are cut from a chunk; of these only the last one is reused.
 * What lives longer gives back all that it took since a mark. */
#include "heap.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HEADER_SIZE = 16, CHUNK_SIZE = 1 << 16, LARGE = 1 << 15 };

/* Before each block, whose alignment it keeps. */
union header {
  size_t size; /* of header and block */
  char bytes[HEADER_SIZE];
};

static char *next;
static size_t left;
/* The newest chunk; its first bytes name the one before. */
static char *chunk;

static void *map(size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

void *malloc(size_t size) {
  if (size > PTRDIFF_MAX - 2 * HEADER_SIZE) {
    errno = ENOMEM;
    return NULL;
  }
  size = HEADER_SIZE + ((size + HEADER_SIZE - 1) & -(size_t)HEADER_SIZE);
  union header *header;
  if (size >= LARGE) {
    header = map(size);
    if (!header) return NULL;
  } else {
    if (size > left) {
      char *more = map(CHUNK_SIZE);
      if (!more) return NULL;
      *(char **)more = chunk;
      chunk = more;
      next = chunk + HEADER_SIZE;
      left = CHUNK_SIZE - HEADER_SIZE;
    }
    header = (union header *)next;
    next += size;
    left -= size;
  }
  header->size = size;
  return header + 1;
}

void free(void *memory) {
  if (!memory) return;
  int error = errno;
  union header *header = (union header *)memory - 1;
  size_t size = header->size;
  if (size >= LARGE) {
    munmap(header, size);
  } else if ((char *)header + size == next) {
    next -= size;
    left += size;
  }
  errno = error;
}

void *calloc(size_t count, size_t size) {
  if (size > 0 && count > SIZE_MAX / size) {
    errno = ENOMEM;
    return NULL;
  }
  void *memory = malloc(count * size);
  return memory ? memset(memory, 0, count * size) : NULL;
}

void *realloc(void *memory, size_t size) {
  void *larger = malloc(size);
  if (!larger || !memory) return larger;
  size_t before = ((union header *)memory - 1)->size - HEADER_SIZE;
  memcpy(larger, memory, before < size ? before : size);
  free(memory);
  return larger;
}

struct heap_mark mark_heap(void) {
  return (struct heap_mark){.chunk = chunk, .next = next, .left = left};
}

void release_heap(struct heap_mark mark) {
  while (chunk != mark.chunk) {
    char *before = *(char **)chunk;
    munmap(chunk, CHUNK_SIZE);
    chunk = before;
  }
  next = mark.next;
  left = mark.left;
}
