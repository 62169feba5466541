/* SHA-256 (FIPS 180-4). */
#ifndef UPORT_SHA256_H
#define UPORT_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_SIZE = 32, SHA256_BLOCK = 64 };

struct sha256 {
  uint32_t state[8];
  uint64_t length; /* bytes so far */
  unsigned char block[SHA256_BLOCK];
};

void sha256_start(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const unsigned char *bytes, size_t size);
void sha256_end(struct sha256 *hash, unsigned char digest[SHA256_SIZE]);

#endif
