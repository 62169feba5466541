/* Memory that lives as long as the process, and short texts. */
#ifndef UPORT_MEMORY_H
#define UPORT_MEMORY_H

#include <stddef.h>

/* Never NULL: the process ends with a message when there is no memory. */
void *allocate(size_t size);
char *copy_bytes(const char *from, size_t size);
char *concatenate(const char *one, const char *two, const char *three);

/* `ENOENT` and the like for messages: shorter than strerror and the same in every place. */
const char *error_name(int error);

#endif
