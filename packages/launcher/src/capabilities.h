/* The capabilities of this process. */
#ifndef UPORT_CAPABILITIES_H
#define UPORT_CAPABILITIES_H

#include <stdbool.h>

/* An effective one. */
bool has_capability(unsigned number);
/* Any effective or permitted one. */
bool has_any_capability(void);

#endif
