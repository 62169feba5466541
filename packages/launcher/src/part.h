/* Parts of files as files of their own: the kernel starts a program from byte 0 of a file only. */
#ifndef UPORT_PART_H
#define UPORT_PART_H

#include <stdbool.h>
#include <stdint.h>

#include "message.h"

/* A program inside an opened file, and the bytes at the end of the file that belong to it too. */
struct part {
  const char *file;
  int descriptor;
  uint64_t offset;
  uint64_t size;
  uint64_t tail; /* where these bytes begin */
  uint64_t file_size;
};

/* Copies it into the first cache that serves, or finds it there; into memory if none does. Returns
 * its path, or NULL and the failure. `opened_by_name`: an emulator is going to open it. */
const char *extract_part(const struct part *part, const char *cache, bool opened_by_name,
                         struct failure *failure);

#endif
