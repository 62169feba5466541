/* The places that apps are unpacked to, and the folders in them. */
#ifndef UPORT_CACHE_H
#define UPORT_CACHE_H

#include <stdbool.h>

enum { PLACES_MAX = 7 };

struct place {
  const char *path;   /* without a slash at its end */
  bool chosen;        /* by UPORT_CACHE_DIR, so it may be made anywhere */
  const char *reason; /* why it was passed over, or NULL */
};

/* All places in the order in which they are tried; returns how many. `chosen` may be NULL. */
unsigned list_places(const char *chosen, struct place places[PLACES_MAX]);

/* Opens a place that only this user can have written to and where programs can run, after making
 * it, if wanted. Returns a descriptor, or -1 and the reason. */
int open_place(struct place *place, bool make);

/* Passes a place over because of errno. Returns false. */
bool pass_over(struct place *place, const char *what, const char *path);

/* Waits until no other process unpacks `name` there. The lock ends with the descriptor that this
 * returns, or with the process; -1 and the reason when there can be no lock. */
int lock_name(struct place *place, int folder, const char *name);

/* Removes what killed processes left in a place, of `name` only its unfinished folder. `lock` is
 * the lock on `name`. */
void remove_leftovers(int folder, int lock, const char *name);

/* Removes a file, or a folder with all that is in it, whatever its modes; false when that failed. */
bool remove_tree(int folder, const char *name);

#endif
