/* What a universal file tells about itself (UPORT_INFO=1). */
#ifndef UPORT_INFO_H
#define UPORT_INFO_H

#include "payload.h"

/* `folder`: where it lies unpacked, or NULL. */
void print_info(const struct payload *payload, const char *folder, const char *argv0);

#endif
