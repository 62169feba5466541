/* A hash table with open addressing: a removed entry's place is filled by one that follows. */
#include "tracees.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

static struct tracee *table;
static size_t capacity; /* a power of two */
static size_t count;

static size_t home(pid_t thread) { return ((size_t)thread * 0x9e3779b1u) & (capacity - 1); }

static struct tracee *place_of(pid_t thread) {
  size_t at = home(thread);
  while (table[at].thread != 0 && table[at].thread != thread) at = (at + 1) & (capacity - 1);
  return &table[at];
}

struct tracee *find_tracee(pid_t thread) {
  if (capacity == 0) return NULL;
  struct tracee *place = place_of(thread);
  return place->thread == thread ? place : NULL;
}

static bool enlarge(void) {
  size_t before = capacity, size = (before == 0 ? 128 : 2 * before) * sizeof *table;
  struct tracee *old = table;
  void *larger = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (larger == MAP_FAILED) return false;
  table = larger;
  capacity = size / sizeof *table;
  for (size_t i = 0; i < before; i++) {
    if (old[i].thread != 0) *place_of(old[i].thread) = old[i];
  }
  if (old) munmap(old, before * sizeof *table);
  return true;
}

struct tracee *add_tracee(pid_t thread) {
  struct tracee *place = find_tracee(thread);
  if (place) return place;
  if (2 * (count + 1) > capacity && !enlarge()) return NULL;
  place = place_of(thread);
  *place = (struct tracee){.thread = thread, .held = -1};
  count++;
  return place;
}

void remove_tracee(pid_t thread) {
  struct tracee *place = find_tracee(thread);
  if (!place) return;
  count--;
  size_t hole = (size_t)(place - table);
  for (size_t at = hole;;) {
    at = (at + 1) & (capacity - 1);
    if (table[at].thread == 0) break;
    size_t wanted = home(table[at].thread);
    if (((at - wanted) & (capacity - 1)) >= ((at - hole) & (capacity - 1))) {
      table[hole] = table[at];
      hole = at;
    }
  }
  table[hole] = (struct tracee){0};
}

void each_tracee(void (*visit)(struct tracee *tracee)) {
  for (size_t i = 0; i < capacity; i++) {
    if (table[i].thread != 0) visit(&table[i]);
  }
}
