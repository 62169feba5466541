/* Reading a blob of a payload: block by block, into a buffer that always holds the frame's window. So
 * memory stays at 32 MiB and a bit, whatever the blob's size. */
#include "blob.h"

#include <stdlib.h>
#include <string.h>

#define ZSTD_STATIC_LINKING_ONLY
#include "zstd.h"

#include "filter.h"
#include "memory.h"
#include "message.h"

enum { INPUT_SIZE = 1 << 18, WINDOW_SIZE_MAX = 1 << 25, BLOCK_SIZE_MAX = 1 << 17 };

static struct {
  const struct payload *payload;
  const struct blob *blob;
  ZSTD_DCtx *decoder;
  unsigned char input[INPUT_SIZE];
  size_t input_at;
  size_t input_end;
  uint64_t taken; /* bytes of the frame that were read from the file */
  unsigned char *output;
  size_t output_size;
  size_t block_max;      /* what a block of this frame can hold */
  uint64_t content_size; /* or more, when the frame does not tell */
  size_t block;   /* where the last decoded block begins in the output */
  size_t decoded; /* its size */
  /* Behind the filter, which must not touch the window that is still decoded from. */
  unsigned char plain[BLOCK_SIZE_MAX + FILTER_REST_MAX];
  size_t rest; /* bytes at its end that wait for the next block */
  uint64_t position;
  const unsigned char *bytes; /* what is handed out */
  size_t ready;
  size_t given;
  uint64_t total; /* bytes decoded */
  struct sha256 hash;
} reader;

__attribute__((noreturn)) static void out_of_memory(void) {
  die(STATUS_OWN_FAULT, "no memory left to decompress, raise the memory limit", NULL);
}

/* Makes at least `need` bytes of input ready, or as many as there are. */
static void fill_input(size_t need) {
  size_t have = reader.input_end - reader.input_at;
  if (have >= need) return;
  memmove(reader.input, reader.input + reader.input_at, have);
  uint64_t left = reader.blob->stored - reader.taken;
  size_t room = INPUT_SIZE - have;
  size_t size = left < room ? (size_t)left : room;
  read_exactly(reader.payload, reader.payload->start + reader.blob->offset + reader.taken,
               reader.input + have, size);
  reader.taken += size;
  reader.input_at = 0;
  reader.input_end = have + size;
}

static void make_output(void) {
  fill_input(ZSTD_FRAMEHEADERSIZE_MAX);
  ZSTD_FrameHeader header;
  size_t have = reader.input_end - reader.input_at;
  if (ZSTD_getFrameHeader(&header, reader.input + reader.input_at, have) != 0 ||
      header.frameType != ZSTD_frame || header.windowSize > WINDOW_SIZE_MAX) {
    damaged(reader.payload, "a part of it cannot be decompressed");
  }
  reader.block_max = header.blockSizeMax;
  reader.content_size = header.frameContentSize;
  size_t size = ZSTD_decodingBufferSize_min(header.windowSize, header.frameContentSize);
  if (ZSTD_isError(size)) damaged(reader.payload, "a part of it cannot be decompressed");
  if (size <= reader.output_size) return;
  free(reader.output);
  reader.output = malloc(size);
  if (!reader.output) out_of_memory();
  reader.output_size = size;
}

void open_blob(const struct payload *payload, const struct blob *blob) {
  if (!reader.decoder) reader.decoder = ZSTD_createDCtx();
  if (!reader.decoder) out_of_memory();
  ZSTD_decompressBegin(reader.decoder);
  reader.payload = payload;
  reader.blob = blob;
  reader.input_at = reader.input_end = 0;
  reader.taken = reader.total = 0;
  reader.block = reader.decoded = reader.rest = reader.ready = reader.given = 0;
  reader.position = 0;
  sha256_start(&reader.hash);
  make_output();
}

/* Makes what can be handed out of the bytes decoded last. */
static void unfilter(void) {
  const unsigned char *block = reader.output + reader.block;
  if (reader.blob->filter == FILTER_NONE) {
    reader.bytes = block;
    reader.ready = reader.decoded;
    return;
  }
  if (reader.decoded > BLOCK_SIZE_MAX) damaged(reader.payload, "a part of it has too large blocks");
  memmove(reader.plain, reader.plain + reader.ready, reader.rest);
  memcpy(reader.plain + reader.rest, block, reader.decoded);
  size_t size = reader.rest + reader.decoded;
  size_t done = undo_filter(reader.blob->filter, reader.plain, size, reader.position);
  if (reader.total == reader.blob->raw) done = size;
  reader.bytes = reader.plain;
  reader.ready = done;
  reader.rest = size - done;
  reader.position += done;
}

/* Decodes until there is something to hand out; false at the end of the frame. */
static bool decode_block(void) {
  do {
    size_t need = ZSTD_nextSrcSizeToDecompress(reader.decoder);
    if (need == 0) return false;
    reader.block += reader.decoded;
    reader.decoded = 0;
    /* The window is then on both sides of this place, which the decoder knows how to read. */
    if (reader.output_size < reader.content_size &&
        reader.block + reader.block_max > reader.output_size) {
      reader.block = 0;
    }
    fill_input(need);
    if (reader.input_end - reader.input_at < need) {
      damaged(reader.payload, "a part of it ends too early");
    }
    size_t got = ZSTD_decompressContinue(reader.decoder, reader.output + reader.block,
                                         reader.output_size - reader.block,
                                         reader.input + reader.input_at, need);
    if (ZSTD_isError(got)) damaged(reader.payload, "a part of it cannot be decompressed");
    reader.input_at += need;
    if (got == 0) continue;
    reader.decoded = got;
    reader.total += got;
    if (reader.total > reader.blob->raw) damaged(reader.payload, "a part of it is too large");
    unfilter();
    reader.given = 0;
    sha256_add(&reader.hash, reader.bytes, reader.ready);
  } while (reader.given == reader.ready);
  return true;
}

size_t read_blob(uint64_t most, const unsigned char **bytes) {
  if (reader.given == reader.ready && (most == 0 || !decode_block())) return 0;
  size_t size = reader.ready - reader.given;
  if (size > most) size = (size_t)most;
  *bytes = reader.bytes + reader.given;
  reader.given += size;
  return size;
}

void close_blob(void) {
  bool more = reader.given < reader.ready || decode_block();
  unsigned char digest[SHA256_SIZE];
  sha256_end(&reader.hash, digest);
  if (more || reader.total != reader.blob->raw || reader.taken != reader.blob->stored ||
      reader.input_at != reader.input_end ||
      memcmp(digest, reader.blob->sha256, SHA256_SIZE) != 0) {
    damaged(reader.payload, "a part of it has not the size and digest that its index gives");
  }
}
