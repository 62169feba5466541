/* Giving back many small blocks at once. */
#ifndef UPORT_HEAP_H
#define UPORT_HEAP_H

#include <stddef.h>

struct heap_mark {
  char *chunk;
  char *next;
  size_t left;
};

struct heap_mark mark_heap(void);

/* Frees every block of less than 32 KiB that was made since the mark. */
void release_heap(struct heap_mark mark);

#endif
