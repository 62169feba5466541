/* Text whose lines hold fields. */
#include "fields.h"

#include <string.h>

#include "memory.h"
#include "message.h"

void start_fields(struct fields *fields, const char *file, const char *advice, char *bytes,
                  size_t size) {
  *fields = (struct fields){
      .file = file, .advice = advice, .next = bytes, .stop = bytes + size, .line = 0};
}

void broken(const struct fields *fields, const char *what) {
  if (fields->broken) {
    debug(fields->file, ": line ", decimal(fields->line), ": ", what, NULL);
    longjmp(*fields->broken, 1);
  }
  die(STATUS_OWN_FAULT, fields->file, ": line ", decimal(fields->line), ": ", what, fields->advice,
      NULL);
}

bool next_line(struct fields *fields) {
  if (fields->next == fields->stop && fields->line > 0) return false;
  fields->line++;
  fields->at = fields->next;
  fields->end = memchr(fields->at, '\n', (size_t)(fields->stop - fields->at));
  if (!fields->end) broken(fields, "no newline at its end");
  fields->next = fields->end + 1;
  return true;
}

void need_first_line(struct fields *fields, const char *text) {
  next_line(fields);
  *fields->end = '\0';
  if (strlen(fields->at) != (size_t)(fields->end - fields->at) || strcmp(fields->at, text) != 0) {
    broken(fields, concatenate("not `", text, "`"));
  }
}

char *next_field(struct fields *fields) {
  if (fields->at > fields->end) return NULL;
  char *field = fields->at;
  char *space = memchr(field, ' ', (size_t)(fields->end - field));
  char *stop = space ? space : fields->end;
  if (stop == field) broken(fields, "empty field");
  for (char *byte = field; byte < stop; byte++) {
    if (*byte < 0x21 || *byte > 0x7e) broken(fields, "byte that is not percent-encoded");
  }
  *stop = '\0';
  fields->at = stop + 1;
  return field;
}

char *need_field(struct fields *fields) {
  char *field = next_field(fields);
  if (!field) broken(fields, "too few fields");
  return field;
}

void need_end(struct fields *fields) {
  if (next_field(fields)) broken(fields, "too many fields");
}

uint64_t number_field(struct fields *fields, uint64_t max) {
  const char *field = need_field(fields);
  uint64_t value = 0;
  if (field[0] == '0' && field[1] != '\0') broken(fields, "number with a leading zero");
  for (const char *digit = field; *digit; digit++) {
    if (*digit < '0' || *digit > '9') broken(fields, "field that must be a decimal number");
    /* Cannot overflow: no max is near 2^64. */
    value = value * 10 + (uint64_t)(*digit - '0');
    if (value > max) broken(fields, "number out of range");
  }
  return value;
}

uint8_t choice_field(struct fields *fields, const char *one, const char *two, const char *what) {
  const char *field = need_field(fields);
  if (strcmp(field, one) == 0) return 1;
  if (strcmp(field, two) == 0) return 2;
  broken(fields, what);
}

const char *name_field(struct fields *fields) {
  const char *field = need_field(fields);
  for (const char *byte = field; *byte; byte++) {
    bool letter = (*byte | 0x20) >= 'a' && (*byte | 0x20) <= 'z';
    bool digit = *byte >= '0' && *byte <= '9';
    if (!letter && !digit && *byte != '_' && *byte != '-') {
      broken(fields, "name with other bytes than A-Z a-z 0-9 _ -");
    }
    if (byte - field >= NAME_SIZE_MAX) broken(fields, "name of more than 32 bytes");
  }
  return field;
}

static int hex_digit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

static bool stands_for_itself(unsigned char byte) {
  return byte >= 0x21 && byte <= 0x7e && byte != '%';
}

/* A field that is only `%` is the empty string. */
char *decode_field(const struct fields *fields, char *field) {
  if (strcmp(field, "%") == 0) {
    *field = '\0';
    return field;
  }
  char *to = field;
  for (const char *from = field; *from; to++) {
    if (*from != '%') {
      *to = *from++;
      continue;
    }
    int high = hex_digit(from[1]);
    int low = high < 0 ? -1 : hex_digit(from[2]);
    if (low < 0) broken(fields, "% without two upper-case hex digits");
    unsigned char byte = (unsigned char)(high << 4 | low);
    if (byte == 0) broken(fields, "NUL byte");
    if (stands_for_itself(byte)) broken(fields, "percent-encoded byte that needs no encoding");
    *to = (char)byte;
    from += 3;
  }
  *to = '\0';
  if (to - field > VALUE_SIZE_MAX) broken(fields, "value of more than 4095 bytes");
  return field;
}

const char *file_name_field(struct fields *fields) {
  const char *name = decode_field(fields, need_field(fields));
  if (*name == '\0' || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
    broken(fields, "field that must be the name of a file");
  }
  return name;
}

char *put_text(char *to, const char *end, const char *text) {
  size_t size = strlen(text);
  if (!to || (size_t)(end - to) < size + 1) return NULL;
  *to++ = ' ';
  memcpy(to, text, size);
  return to + size;
}

char *put_encoded(char *to, const char *end, const char *value) {
  static const char hex[] = "0123456789ABCDEF";
  if (*value == '\0') return put_text(to, end, "%");
  if (!to || to == end) return NULL;
  *to++ = ' ';
  for (; *value; value++) {
    unsigned char byte = (unsigned char)*value;
    if (end - to < (stands_for_itself(byte) ? 1 : 3)) return NULL;
    if (stands_for_itself(byte)) {
      *to++ = *value;
    } else {
      *to++ = '%';
      *to++ = hex[byte >> 4];
      *to++ = hex[byte & 15];
    }
  }
  return to;
}
