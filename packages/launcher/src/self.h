/* Where the launcher itself lies. */
#ifndef UPORT_SELF_H
#define UPORT_SELF_H

/* The path of `name` in the launcher's own folder, or NULL when that folder cannot be told. */
const char *beside_self(const char *name);

#endif
