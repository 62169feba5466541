/* The branch filters of docs/formats/universal.md, backwards. All numbers wrap. */
#include "filter.h"

#include <string.h>

static const char *const names[] = {
    [FILTER_X86] = "x86",
    [FILTER_ARM64] = "arm64",
    [FILTER_PPC64LE] = "ppc64le",
    [FILTER_S390X] = "s390x",
};

bool find_filter(const char *name, enum filter *filter) {
  for (unsigned i = FILTER_X86; i <= FILTER_S390X; i++) {
    if (strcmp(names[i], name) != 0) continue;
    *filter = (enum filter)i;
    return true;
  }
  return false;
}

static uint32_t load_le(const unsigned char *from) {
  return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static void store_le(unsigned char *to, uint32_t value) {
  for (unsigned i = 0; i < 4; i++) to[i] = (unsigned char)(value >> 8 * i);
}

/* CALL and JMP with a 32-bit displacement that fits 25 bits with its sign: it still does after. What
 * follows such an opcode is passed over in any case: else a later change could make it look like one
 * that was changed. */
static size_t undo_x86(unsigned char *bytes, size_t size, uint32_t position) {
  size_t at = 0;
  while (at + 5 <= size) {
    if ((bytes[at] & 0xfe) != 0xe8) {
      at++;
      continue;
    }
    unsigned char *value = bytes + at + 1;
    if (value[3] == 0 || value[3] == 0xff) {
      uint32_t target = (load_le(value) - (position + (uint32_t)at + 5)) & 0x1ffffff;
      if (target & 0x1000000) target |= 0xfe000000;
      store_le(value, target);
    }
    at += 5;
  }
  return at;
}

/* BL, and on ppc64le bl: words whose low or middle 26 bits are the displacement. */
static size_t undo_words(unsigned char *bytes, size_t size, uint32_t position, bool arm) {
  size_t at = 0;
  for (; at + 4 <= size; at += 4) {
    uint32_t word = load_le(bytes + at);
    uint32_t place = position + (uint32_t)at;
    if (arm && word >> 26 == 0x25) {
      store_le(bytes + at, (word & 0xfc000000) | ((word - (place >> 2)) & 0x3ffffff));
    } else if (!arm && word >> 26 == 18 && (word & 3) == 1) {
      store_le(bytes + at, (word & 0xfc000003) | ((word - place) & 0x3fffffc));
    }
  }
  return at;
}

/* BRASL and LARL: six bytes, of which the last four are a displacement in halfwords, big-endian. */
static size_t undo_s390x(unsigned char *bytes, size_t size, uint32_t position) {
  size_t at = 0;
  while (at + 6 <= size) {
    unsigned char kind = bytes[at + 1] & 0x0f;
    if (bytes[at] != 0xc0 || (kind != 0 && kind != 5)) {
      at += 2;
      continue;
    }
    unsigned char *value = bytes + at + 2;
    uint32_t target = (uint32_t)value[0] << 24 | (uint32_t)value[1] << 16 | (uint32_t)value[2] << 8 |
                      value[3];
    target -= (position + (uint32_t)at) >> 1;
    for (unsigned i = 0; i < 4; i++) value[i] = (unsigned char)(target >> (24 - 8 * i));
    at += 6;
  }
  return at;
}

size_t undo_filter(enum filter filter, unsigned char *bytes, size_t size, uint64_t position) {
  uint32_t place = (uint32_t)position;
  switch (filter) {
    case FILTER_X86: return undo_x86(bytes, size, place);
    case FILTER_ARM64: return undo_words(bytes, size, place, true);
    case FILTER_PPC64LE: return undo_words(bytes, size, place, false);
    case FILTER_S390X: return undo_s390x(bytes, size, place);
    default: return size;
  }
}
