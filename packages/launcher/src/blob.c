/* Reading a blob of a payload. The decoder gets pieces of the frame and gives pieces of the content,
 * so memory stays at the frame's window, 32 MiB at most. */
#include "blob.h"

#include <string.h>

#define ZSTD_STATIC_LINKING_ONLY
#include "zstd.h"

#include "memory.h"
#include "message.h"

enum { PIECE = 1 << 17, WINDOW_LOG_MAX = 25 };

static struct {
  const struct payload *payload;
  const struct blob *blob;
  ZSTD_DCtx *decoder;
  unsigned char input_bytes[PIECE];
  unsigned char output_bytes[PIECE];
  ZSTD_inBuffer input;
  uint64_t taken; /* bytes of the frame that were read from the file */
  size_t given;   /* bytes of the output that were handed out */
  size_t ready;
  uint64_t total; /* bytes decoded */
  bool ended;
  struct sha256 hash;
} reader;

void open_blob(const struct payload *payload, const struct blob *blob) {
  if (!reader.decoder) {
    reader.decoder = ZSTD_createDCtx();
    if (!reader.decoder) die(STATUS_OWN_FAULT, "no memory left, raise the memory limit", NULL);
  }
  ZSTD_DCtx_reset(reader.decoder, ZSTD_reset_session_and_parameters);
  ZSTD_DCtx_setParameter(reader.decoder, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
  reader.payload = payload;
  reader.blob = blob;
  reader.input = (ZSTD_inBuffer){.src = reader.input_bytes};
  reader.taken = reader.total = 0;
  reader.given = reader.ready = 0;
  reader.ended = false;
  sha256_start(&reader.hash);
}

static void refill(void) {
  uint64_t left = reader.blob->stored - reader.taken;
  size_t size = left < PIECE ? (size_t)left : PIECE;
  if (size == 0) damaged(reader.payload, "a part of it ends too early");
  read_exactly(reader.payload, reader.payload->start + reader.blob->offset + reader.taken,
               reader.input_bytes, size);
  reader.taken += size;
  reader.input.size = size;
  reader.input.pos = 0;
}

/* Decodes the next piece; false at the end of the frame. */
static bool decode_piece(void) {
  reader.given = reader.ready = 0;
  while (reader.ready == 0 && !reader.ended) {
    ZSTD_outBuffer output = {.dst = reader.output_bytes, .size = PIECE};
    size_t result = ZSTD_decompressStream(reader.decoder, &output, &reader.input);
    if (ZSTD_isError(result)) {
      if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation) {
        die(STATUS_OWN_FAULT, "no memory left to decompress, raise the memory limit", NULL);
      }
      damaged(reader.payload, "a part of it cannot be decompressed");
    }
    reader.ended = result == 0;
    reader.ready = output.pos;
    if (reader.ready == 0 && !reader.ended && reader.input.pos == reader.input.size) refill();
  }
  reader.total += reader.ready;
  if (reader.total > reader.blob->raw) damaged(reader.payload, "a part of it is too large");
  sha256_add(&reader.hash, reader.output_bytes, reader.ready);
  return reader.ready > 0;
}

size_t read_blob(uint64_t most, const unsigned char **bytes) {
  if (reader.given == reader.ready && (most == 0 || !decode_piece())) return 0;
  size_t size = reader.ready - reader.given;
  if (size > most) size = (size_t)most;
  *bytes = reader.output_bytes + reader.given;
  reader.given += size;
  return size;
}

void close_blob(void) {
  bool more = reader.given < reader.ready || decode_piece();
  unsigned char digest[SHA256_SIZE];
  sha256_end(&reader.hash, digest);
  if (more || reader.total != reader.blob->raw || reader.taken != reader.blob->stored ||
      reader.input.pos != reader.input.size ||
      memcmp(digest, reader.blob->sha256, SHA256_SIZE) != 0) {
    damaged(reader.payload, "a part of it has not the size and digest that its index gives");
  }
}
