/* Branch filters: machine code compresses better when calls of the same function from different
 * places look alike. The packer turns relative targets into absolute ones; this turns them back. */
#ifndef UPORT_FILTER_H
#define UPORT_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum filter { FILTER_NONE, FILTER_X86, FILTER_ARM64, FILTER_PPC64LE, FILTER_S390X };

/* The most bytes at the end that a call may leave for the next one. */
enum { FILTER_REST_MAX = 5 };

/* The filter of that name; false when there is none. */
bool find_filter(const char *name, enum filter *filter);

/* Undoes the filter in place, for bytes that begin at `position` of the blob. Answers how many are
 * done; the others need the bytes that follow them. */
size_t undo_filter(enum filter filter, unsigned char *bytes, size_t size, uint64_t position);

#endif
