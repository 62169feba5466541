/* Unpacking this host's parts of a payload. */
#ifndef UPORT_UNPACK_H
#define UPORT_UNPACK_H

#include "cache.h"
#include "payload.h"

/* Unpacks into `name` in an opened folder: under `temporary` first, which must not be there, then
 * renamed. Every blob is checked before. Returns false, with the place's reason, when the place is
 * at fault; ends the process when the payload is. Nothing unfinished stays. */
bool unpack(const struct payload *payload, struct place *place, int folder, const char *temporary,
            const char *name);

/* Puts the app's only file and the emulators into memory, and their names into the manifest. False,
 * with the place's reason, when the app has more files or there is no such memory. */
bool unpack_to_memory(const struct payload *payload, struct place *place,
                      struct manifest *manifest);

/* Whether the manifest's files are as they were when they were unpacked; of the programs only the
 * one that argv[0] asks for is looked at. */
bool is_as_unpacked(int folder, const struct manifest *manifest, const char *argv0);

/* Writes all of these bytes; false and errno when that failed. */
bool write_all(int descriptor, const unsigned char *bytes, size_t size);

/* A file in memory with the mode of a program, and its path; the descriptor is -1 if there is none.
 * `inherited`: it stays open in the app. */
const char *make_memory_file(const char *name, bool inherited, int *descriptor);

#endif
