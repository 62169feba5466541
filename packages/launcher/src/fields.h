/* Text whose lines hold fields, one space between them, as the manifest and the index of a payload
 * are written. One value has one spelling: anything else is refused. */
#ifndef UPORT_FIELDS_H
#define UPORT_FIELDS_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  NAME_SIZE_MAX = 32,
  VALUE_SIZE_MAX = 4095, /* bytes of a path or an argument */
};

/* 2^53 - 1, the most that a reader in JavaScript can hold. */
#define NUMBER_MAX ((uint64_t)9007199254740991)

struct fields {
  const char *file;   /* for messages */
  const char *advice; /* the end of such a message */
  jmp_buf *broken;    /* where to go on instead of ending the process, unless NULL */
  char *at;           /* the next byte */
  char *end;          /* the newline that ends this line */
  char *next;         /* the next line */
  char *stop;
  unsigned line;      /* counted from 1 */
};

/* The bytes are taken apart in place; one more than `size` belongs to them. */
void start_fields(struct fields *fields, const char *file, const char *advice, char *bytes,
                  size_t size);

__attribute__((noreturn)) void broken(const struct fields *fields, const char *what);

/* Goes to the next line; false at the end of the text. */
bool next_line(struct fields *fields);

/* The first line, which must be exactly this. */
void need_first_line(struct fields *fields, const char *text);

/* The next field, ended with NUL; NULL at the end of the line. */
char *next_field(struct fields *fields);
char *need_field(struct fields *fields);
void need_end(struct fields *fields);

uint64_t number_field(struct fields *fields, uint64_t max);

/* 1 or 2, for the one or the other text. */
uint8_t choice_field(struct fields *fields, const char *one, const char *two, const char *what);

/* 1 to 32 bytes of A-Z a-z 0-9 _ - */
const char *name_field(struct fields *fields);

/* The decoded name of a file in a folder. */
const char *file_name_field(struct fields *fields);

/* Undoes the percent-encoding of a field, in place. */
char *decode_field(const struct fields *fields, char *field);

/* Writing: each puts a space and the field; NULL when `end` is in the way, or `to` was NULL. */
char *put_text(char *to, const char *end, const char *text);
char *put_encoded(char *to, const char *end, const char *value);

#endif
