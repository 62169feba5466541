/* Entering a root file system: a mount namespace whose root it is, in a user namespace where the
 * caller is not root. */
#ifndef UPORT_ENTER_H
#define UPORT_ENTER_H

#include <stdbool.h>
#include <stddef.h>

enum { ENTER_LIST_MAX = 64 };

/* Where the launcher's folder lies in a root that was entered. */
#define ENTERED_FOLDER "/dev/.uport/"

struct entry_root {
  const char *path;
  const char *workdir;                     /* inside, or NULL */
  const char *binds[ENTER_LIST_MAX];       /* FROM=TO */
  unsigned bind_count;
  const char *registrations[ENTER_LIST_MAX]; /* lines for binfmt_misc */
  unsigned registration_count;
  bool only_namespace;                     /* make the user namespace, change no root */
};

/* Afterwards this process is inside. `folder`, the launcher's own, ends with a slash or is NULL; it is
 * bound to ENTERED_FOLDER. Ends the process with a message when it cannot be. */
void enter_root(const struct entry_root *root, const char *folder);

/* The root that an unpacked app brings, `folder`/root, for the app alone. User, group and working
 * directory stay what they are; the folder is seen as ENTERED_FOLDER. */
void enter_app_root(const char *folder);

#endif
