/* SHA-256 (FIPS 180-4). */
#include "sha256.h"

#include <stdbool.h>
#include <string.h>

static uint32_t rotate(uint32_t word, unsigned by) { return word >> by | word << (32 - by); }

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t rounds[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
    0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
    0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
    0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
    0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
    0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
    0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
    0xc67178f2};

static void add_in_software(uint32_t state[8], const unsigned char *bytes) {
  uint32_t w[64];
  for (unsigned i = 0; i < 16; i++, bytes += 4) {
    w[i] = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
  }
  for (unsigned i = 16; i < 64; i++) {
    uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
    uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
  uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
  for (unsigned i = 0; i < 64; i++) {
    uint32_t s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + rounds[i] + w[i];
    uint32_t s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d;
  state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

#if defined(__x86_64__)
/* Most of a first start is this hash: CPUs with instructions for it take a seventh of the time. */
#define FOR_SHA __attribute__((target("sha,sse4.1,ssse3")))

/* Unsigned, so that sums may wrap; the built-in functions want signed ones. */
typedef uint32_t words __attribute__((vector_size(16)));
typedef int signed_words __attribute__((vector_size(16)));
typedef char bytes16 __attribute__((vector_size(16)));

FOR_SHA static words load_words(const void *from) {
  words loaded;
  memcpy(&loaded, from, sizeof loaded);
  return loaded;
}

FOR_SHA static words load_big_endian(const unsigned char *from) {
  bytes16 loaded = (bytes16)load_words(from);
  return (words)__builtin_shufflevector(loaded, loaded, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15,
                                        14, 13, 12);
}

FOR_SHA static words two_rounds(words changed, words other, words sum) {
  return (words)__builtin_ia32_sha256rnds2((signed_words)changed, (signed_words)other,
                                           (signed_words)sum);
}

FOR_SHA static void add_in_hardware(uint32_t state[8], const unsigned char *bytes) {
  words abcd = load_words(state), efgh = load_words(state + 4);
  /* The instructions want the words in this order, the first one highest. */
  words abef = __builtin_shufflevector(abcd, efgh, 5, 4, 1, 0);
  words cdgh = __builtin_shufflevector(abcd, efgh, 7, 6, 3, 2);
  const words abef_before = abef, cdgh_before = cdgh;
  words w0 = load_big_endian(bytes), w1 = load_big_endian(bytes + 16);
  words w2 = load_big_endian(bytes + 32), w3 = load_big_endian(bytes + 48);
  for (unsigned i = 0; i < 64; i += 4) {
    words sum = w0 + load_words(rounds + i);
    cdgh = two_rounds(cdgh, abef, sum);
    sum = __builtin_shufflevector(sum, sum, 2, 3, 2, 3);
    abef = two_rounds(abef, cdgh, sum);
    words next = (words)__builtin_ia32_sha256msg1((signed_words)w0, (signed_words)w1);
    next += __builtin_shufflevector(w2, w3, 1, 2, 3, 4);
    next = (words)__builtin_ia32_sha256msg2((signed_words)next, (signed_words)w3);
    w0 = w1, w1 = w2, w2 = w3, w3 = next;
  }
  abef += abef_before;
  cdgh += cdgh_before;
  abcd = __builtin_shufflevector(abef, cdgh, 3, 2, 7, 6);
  efgh = __builtin_shufflevector(abef, cdgh, 1, 0, 5, 4);
  memcpy(state, &abcd, sizeof abcd);
  memcpy(state + 4, &efgh, sizeof efgh);
}

static void cpuid(unsigned leaf, unsigned *b, unsigned *c) {
  unsigned a = leaf, d;
  *c = 0;
  __asm__("cpuid" : "+a"(a), "=b"(*b), "+c"(*c), "=d"(d));
  if (leaf == 0) *b = a; /* the highest leaf there is */
}

static bool has_hardware(void) {
  static enum { UNKNOWN, PRESENT, ABSENT } found;
  if (found == UNKNOWN) {
    unsigned highest, b1, c1, b7 = 0, c7;
    cpuid(0, &highest, &c1);
    cpuid(1, &b1, &c1);
    if (highest >= 7) cpuid(7, &b7, &c7);
    bool sse = (c1 & 1U << 9) != 0 && (c1 & 1U << 19) != 0;
    found = sse && (b7 & 1U << 29) != 0 ? PRESENT : ABSENT;
  }
  return found == PRESENT;
}
#else
static bool has_hardware(void) { return false; }
static void add_in_hardware(uint32_t state[8], const unsigned char *bytes) {
  (void)state, (void)bytes;
}
#endif

static void add_block(uint32_t state[8], const unsigned char *bytes) {
  if (has_hardware()) {
    add_in_hardware(state, bytes);
  } else {
    add_in_software(state, bytes);
  }
}

void sha256_start(struct sha256 *hash) {
  static const uint32_t first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  memcpy(hash->state, first, sizeof first);
  hash->length = 0;
}

void sha256_add(struct sha256 *hash, const unsigned char *bytes, size_t size) {
  size_t used = hash->length % SHA256_BLOCK;
  hash->length += size;
  if (used > 0) {
    size_t room = SHA256_BLOCK - used;
    size_t part = size < room ? size : room;
    memcpy(hash->block + used, bytes, part);
    if (part < room) return;
    add_block(hash->state, hash->block);
    bytes += part;
    size -= part;
  }
  for (; size >= SHA256_BLOCK; bytes += SHA256_BLOCK, size -= SHA256_BLOCK) {
    add_block(hash->state, bytes);
  }
  if (size > 0) memcpy(hash->block, bytes, size);
}

void sha256_end(struct sha256 *hash, unsigned char digest[SHA256_SIZE]) {
  static const unsigned char padding[SHA256_BLOCK] = {0x80};
  uint64_t bits = hash->length * 8;
  size_t used = hash->length % SHA256_BLOCK;
  sha256_add(hash, padding, (used < 56 ? 56 : 56 + SHA256_BLOCK) - used);
  unsigned char length[8];
  for (unsigned i = 0; i < 8; i++) length[i] = (unsigned char)(bits >> (56 - 8 * i));
  sha256_add(hash, length, sizeof length);
  for (unsigned i = 0; i < SHA256_SIZE; i++) {
    digest[i] = (unsigned char)(hash->state[i / 4] >> (24 - 8 * (i % 4)));
  }
}
