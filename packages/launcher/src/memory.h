/* Memory that lives as long as the process, and short texts. */
#ifndef UPORT_MEMORY_H
#define UPORT_MEMORY_H

#include <stddef.h>

/* Never NULL: the process ends with a message when there is no memory. */
void *allocate(size_t size);
char *copy_bytes(const char *from, size_t size);
char *concatenate(const char *one, const char *two, const char *three);

/* An array that is to hold `count` + 1 elements of this size: itself or a larger copy. */
void *grow(void *array, size_t count, size_t size);

/* `ENOENT` and the like for messages: shorter than strerror and the same in every place. */
const char *error_name(int error);

#endif
