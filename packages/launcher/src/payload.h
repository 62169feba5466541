/* The payload at the end of a universal file: its footer, its blobs and its index. The format is in
 * docs/formats/universal.md. Whatever does not keep to it ends the process with a message. */
#ifndef UPORT_PAYLOAD_H
#define UPORT_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "filter.h"
#include "manifest.h"
#include "sha256.h"

enum {
  ID_SIZE = 32, /* hex digits */
  HOSTS_MAX = 256,
  PARTS_MAX = 64, /* files of a translator */
  SLICES_MAX = 64, /* of a host */
};

/* A zstd frame. */
struct blob {
  uint64_t offset; /* from the payload's first byte */
  uint64_t stored; /* bytes in the file */
  uint64_t raw;    /* bytes unpacked */
  enum filter filter;
  unsigned char sha256[SHA256_SIZE];
};

struct payload {
  const char *file;
  int descriptor;
  uint64_t start; /* in the file */
  uint64_t size;
  struct blob index;
  char id[ID_SIZE + 1];
};

/* Reads the footer of an opened file; false when there is none. */
bool find_payload(const char *file, int descriptor, struct payload *payload);

__attribute__((noreturn)) void damaged(const struct payload *payload, const char *what);

/* Reads as many of these bytes of the file as there are. */
size_t read_at(const struct payload *payload, uint64_t offset, unsigned char *bytes, size_t size);

/* Reads exactly these bytes of the file. */
void read_exactly(const struct payload *payload, uint64_t offset, void *bytes, size_t size);

uint64_t little_endian(const unsigned char *bytes, unsigned size);

/* Two digits for each byte, and a NUL. */
void put_hex(char *to, const unsigned char *bytes, size_t size);

struct host_emulator {
  struct emulator emulator; /* its path is NULL */
  unsigned blob;
};

struct slice {
  unsigned blob;
  const char *path;
};

/* A file of a translator's folder. */
struct translator_part {
  unsigned blob;
  const char *name;
};

struct host {
  const char *name;
  uint64_t launcher_size;
  unsigned char launcher_sha256[SHA256_SIZE];
  struct host_emulator *emulators;
  unsigned emulator_count;
  struct translator translator;
  bool has_translator;
  struct translator_part *parts;
  unsigned part_count;
  struct slice *slices;
  unsigned slice_count;
};

enum node_type { NODE_DIR, NODE_FILE, NODE_SYMLINK, NODE_LINK };

struct node {
  enum node_type type;
  unsigned mode;
  uint64_t size; /* of a file */
  const char *path;
  const char *target; /* of a link */
};

struct index {
  const char *app;
  struct blob *blobs;
  unsigned blob_count;
  struct host *hosts;
  unsigned host_count;
  const struct blob *tree;
  struct surroundings surroundings;
  struct program *programs;
  unsigned program_count;
  struct fields nodes; /* the rest of the text */
  const char *keyword; /* of the line to be read next, or NULL */
};

/* Reads the index up to the nodes. Its strings live until the index is read again. */
void read_index(const struct payload *payload, struct index *index);

/* The next node of the tree; false at the end. */
bool next_node(struct index *index, struct node *node);

/* NULL when the payload has no parts for this host. */
const struct host *find_host(const struct index *index);

#endif
