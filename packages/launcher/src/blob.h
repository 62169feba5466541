/* Reading a blob of a payload: decompressed and checked. One at a time. */
#ifndef UPORT_BLOB_H
#define UPORT_BLOB_H

#include "payload.h"

void open_blob(const struct payload *payload, const struct blob *blob);

/* The next bytes, `most` at most; 0 at the end. */
size_t read_blob(uint64_t most, const unsigned char **bytes);

/* Checks that the end is reached and that size and digest are the blob's. */
void close_blob(void);

#endif
