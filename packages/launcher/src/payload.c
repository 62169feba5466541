/* The payload at the end of a universal file: footer and index. */
#include "payload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blob.h"
#include "memory.h"
#include "message.h"

enum { FOOTER_SIZE = 96, INDEX_SIZE_MAX = 64 << 20, LINES_MAX = 1 << 20 };

static const char magic[8] = "UPORTPAY";
static const char advice[] = "; get the file again or build it again";

void damaged(const struct payload *payload, const char *what) {
  die(STATUS_OWN_FAULT, payload->file, ": its payload is damaged: ", what, advice, NULL);
}

size_t read_at(const struct payload *payload, uint64_t offset, unsigned char *bytes, size_t size) {
  size_t done = 0;
  while (done < size) {
    ssize_t got = pread(payload->descriptor, bytes + done, size - done, (off_t)(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      die(STATUS_OWN_FAULT, payload->file, ": cannot be read (", error_name(errno),
          "), see whether its disk is sound", NULL);
    }
    if (got == 0) break;
    done += (size_t)got;
  }
  return done;
}

void read_exactly(const struct payload *payload, uint64_t offset, void *bytes, size_t size) {
  if (read_at(payload, offset, bytes, size) != size) damaged(payload, "the file was cut off");
}

uint64_t little_endian(const unsigned char *bytes, unsigned size) {
  uint64_t value = 0;
  while (size-- > 0) value = value << 8 | bytes[size];
  return value;
}

void put_hex(char *to, const unsigned char *bytes, size_t size) {
  static const char hex[] = "0123456789abcdef";
  for (; size > 0; size--, bytes++) {
    *to++ = hex[*bytes >> 4];
    *to++ = hex[*bytes & 15];
  }
  *to = '\0';
}

bool find_payload(const char *file, int descriptor, struct payload *payload) {
  unsigned char footer[FOOTER_SIZE];
  off_t file_size = lseek(descriptor, 0, SEEK_END);
  if (file_size < FOOTER_SIZE) return false;
  payload->file = file;
  payload->descriptor = descriptor;
  if (read_at(payload, (uint64_t)file_size - FOOTER_SIZE, footer, FOOTER_SIZE) != FOOTER_SIZE ||
      memcmp(footer, magic, sizeof magic) != 0) {
    return false;
  }
  if (little_endian(footer + 8, 4) != 1 || little_endian(footer + 12, 4) != 0 ||
      little_endian(footer + 48, 8) != 0 || little_endian(footer + 56, 8) != 0) {
    damaged(payload, "its footer is of another version than 1");
  }
  payload->size = little_endian(footer + 16, 8);
  payload->index.offset = little_endian(footer + 24, 8);
  payload->index.stored = little_endian(footer + 32, 8);
  payload->index.raw = little_endian(footer + 40, 8);
  if (payload->size < FOOTER_SIZE || payload->size > (uint64_t)file_size ||
      payload->index.offset > payload->size - FOOTER_SIZE ||
      payload->index.stored != payload->size - FOOTER_SIZE - payload->index.offset) {
    damaged(payload, "its footer points past its end");
  }
  if (payload->index.raw > INDEX_SIZE_MAX) damaged(payload, "its index is larger than 64 MiB");
  payload->index.filter = FILTER_NONE;
  payload->start = (uint64_t)file_size - payload->size;
  memcpy(payload->index.sha256, footer + 64, SHA256_SIZE);
  put_hex(payload->id, payload->index.sha256, ID_SIZE / 2);
  return true;
}

static void digest_field(struct fields *fields, unsigned char digest[SHA256_SIZE]) {
  const char *field = need_field(fields);
  for (unsigned i = 0; i < SHA256_SIZE; i++, field += 2) {
    unsigned value = 0;
    for (unsigned half = 0; half < 2; half++) {
      char digit = field[half];
      if (digit >= '0' && digit <= '9') value = value << 4 | (unsigned)(digit - '0');
      else if (digit >= 'a' && digit <= 'f') value = value << 4 | (unsigned)(digit - 'a' + 10);
      else broken(fields, "field that must be a sha256");
    }
    digest[i] = (unsigned char)value;
  }
  if (*field != '\0') broken(fields, "field that must be a sha256");
}

/* Relative, without empty, `.` and `..` parts. */
static const char *path_field(struct fields *fields) {
  const char *path = decode_field(fields, need_field(fields));
  for (const char *part = path;; part++) {
    size_t length = strcspn(part, "/");
    if (length == 0 || (part[0] == '.' && (length == 1 || (length == 2 && part[1] == '.')))) {
      broken(fields, "path that leads elsewhere");
    }
    part += length;
    if (*part == '\0') return path;
  }
}

static const char *value_field(struct fields *fields) {
  return decode_field(fields, need_field(fields));
}

static unsigned mode_field(struct fields *fields) {
  const char *field = need_field(fields);
  unsigned mode = 0;
  for (unsigned i = 0; i < 4; i++) {
    if (field[i] < '0' || field[i] > '7') broken(fields, "mode that is not four octal digits");
    mode = mode << 3 | (unsigned)(field[i] - '0');
  }
  if (field[4] != '\0') broken(fields, "mode that is not four octal digits");
  return mode;
}

static unsigned reference_field(struct fields *fields, const struct index *index) {
  if (index->blob_count == 0) broken(fields, "reference to no blob");
  return (unsigned)number_field(fields, index->blob_count - 1);
}

/* Goes to the next line and reads its keyword. */
static void next_keyword(struct index *index) {
  struct fields *text = &index->nodes;
  if (text->line == LINES_MAX && text->next != text->stop) broken(text, "too many lines");
  index->keyword = next_line(text) ? need_field(text) : NULL;
}

static bool at(const struct index *index, const char *keyword) {
  return index->keyword && strcmp(index->keyword, keyword) == 0;
}

static void need_keyword(struct index *index, const char *keyword) {
  if (!at(index, keyword)) broken(&index->nodes, concatenate("line that must be `", keyword, "`"));
}

static void read_blob_line(const struct payload *payload, struct index *index) {
  struct fields *text = &index->nodes;
  index->blobs = grow(index->blobs, index->blob_count, sizeof *index->blobs);
  struct blob *blob = &index->blobs[index->blob_count++];
  blob->offset = number_field(text, payload->index.offset);
  blob->stored = number_field(text, payload->index.offset - blob->offset);
  blob->raw = number_field(text, NUMBER_MAX);
  digest_field(text, blob->sha256);
  blob->filter = FILTER_NONE;
  const char *filter = next_field(text);
  if (filter && !find_filter(filter, &blob->filter)) broken(text, "unknown filter");
  if (filter) need_end(text);
  next_keyword(index);
}

static void read_host(struct index *index) {
  struct fields *text = &index->nodes;
  if (index->host_count == HOSTS_MAX) broken(text, "more than 256 hosts");
  index->hosts = grow(index->hosts, index->host_count, sizeof *index->hosts);
  struct host *host = &index->hosts[index->host_count++];
  *host = (struct host){.name = name_field(text)};
  need_end(text);
  next_keyword(index);

  need_keyword(index, "launcher");
  host->launcher_size = number_field(text, NUMBER_MAX);
  digest_field(text, host->launcher_sha256);
  need_end(text);
  next_keyword(index);

  for (; at(index, "emulator"); next_keyword(index)) {
    if (host->emulator_count == EMULATORS_MAX) broken(text, "more than 64 emulators of a host");
    host->emulators = grow(host->emulators, host->emulator_count, sizeof *host->emulators);
    struct host_emulator *one = &host->emulators[host->emulator_count++];
    one->emulator.path = NULL;
    read_emulator_cpu(text, &one->emulator);
    one->blob = reference_field(text, index);
    read_emulator_args(text, &one->emulator);
  }
  if (at(index, "translator")) {
    host->has_translator = true;
    read_translator(text, &host->translator);
    bool emulated = false;
    for (unsigned i = 0; i < host->emulator_count; i++) {
      emulated |= strcmp(host->emulators[i].emulator.name, host->translator.guest) == 0;
    }
    if (!emulated) broken(text, "translator for programs that have no emulator");
    next_keyword(index);
    need_keyword(index, "part");
  }
  for (; host->has_translator && at(index, "part"); next_keyword(index)) {
    if (host->part_count == PARTS_MAX) broken(text, "more than 64 parts of a translator");
    host->parts = grow(host->parts, host->part_count, sizeof *host->parts);
    struct translator_part *part = &host->parts[host->part_count++];
    part->blob = reference_field(text, index);
    part->name = file_name_field(text);
    need_end(text);
  }
  for (; at(index, "slice"); next_keyword(index)) {
    if (host->slice_count == SLICES_MAX) broken(text, "more than 64 native builds of a host");
    host->slices = grow(host->slices, host->slice_count, sizeof *host->slices);
    struct slice *slice = &host->slices[host->slice_count++];
    slice->blob = reference_field(text, index);
    slice->path = path_field(text);
    need_end(text);
  }
}

void read_index(const struct payload *payload, struct index *index) {
  static char *bytes;
  free(bytes);
  free(index->blobs);
  free(index->hosts);
  free(index->programs);
  *index = (struct index){0};
  bytes = allocate((size_t)payload->index.raw + 1);
  open_blob(payload, &payload->index);
  size_t size = 0;
  const unsigned char *piece;
  for (size_t got; (got = read_blob(payload->index.raw - size, &piece)) > 0; size += got) {
    memcpy(bytes + size, piece, got);
  }
  close_blob();

  struct fields *text = &index->nodes;
  start_fields(text, concatenate(payload->file, ": the index of its payload", ""), advice, bytes,
               size);
  need_first_line(text, "uport-payload 1");
  next_keyword(index);
  need_keyword(index, "app");
  index->app = value_field(text);
  need_end(text);
  next_keyword(index);
  while (at(index, "blob")) read_blob_line(payload, index);
  while (at(index, "host")) read_host(index);
  need_keyword(index, "tree");
  index->tree = &index->blobs[reference_field(text, index)];
  need_end(text);
  next_keyword(index);
  while (index->keyword && read_surroundings(text, index->keyword, true, &index->surroundings)) {
    next_keyword(index);
  }
  need_keyword(index, "program");
  while (at(index, "program")) {
    if (index->program_count == PROGRAMS_MAX) broken(text, "more than 512 programs");
    index->programs = grow(index->programs, index->program_count, sizeof *index->programs);
    struct program *program = &index->programs[index->program_count++];
    *program = (struct program){.name = value_field(text), .path = path_field(text)};
    read_program_args(text, &program->args, &program->arg_count);
    next_keyword(index);
    if (!at(index, "defaults")) continue;
    read_program_args(text, &program->defaults, &program->default_count);
    if (program->default_count == 0) broken(text, "too few fields");
    next_keyword(index);
  }
}

bool next_node(struct index *index, struct node *node) {
  struct fields *text = &index->nodes;
  if (!index->keyword) return false;
  *node = (struct node){0};
  if (at(index, "dir")) {
    node->type = NODE_DIR;
    node->mode = mode_field(text);
    node->path = path_field(text);
  } else if (at(index, "file")) {
    node->type = NODE_FILE;
    node->mode = mode_field(text);
    node->size = number_field(text, NUMBER_MAX);
    node->path = path_field(text);
  } else if (at(index, "symlink")) {
    node->type = NODE_SYMLINK;
    node->path = path_field(text);
    node->target = value_field(text);
  } else if (at(index, "link")) {
    node->type = NODE_LINK;
    node->path = path_field(text);
    node->target = path_field(text);
  } else {
    broken(text, "keyword that is unknown or out of order");
  }
  need_end(text);
  next_keyword(index);
  return true;
}

const struct host *find_host(const struct index *index) {
  for (unsigned i = 0; i < index->host_count; i++) {
    if (strcmp(index->hosts[i].name, host_name) == 0) return &index->hosts[i];
  }
  return NULL;
}
