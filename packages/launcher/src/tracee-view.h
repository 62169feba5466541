/* Files as a traced process names and sees them: its root, its working directory, its descriptors,
 * its /proc/self. */
#ifndef UPORT_TRACEE_VIEW_H
#define UPORT_TRACEE_VIEW_H

#include <sys/stat.h>
#include <sys/types.h>

#include "target.h"

struct tracee_view {
  pid_t thread;
  const char *self;   /* "/proc/PID/" of it */
  bool same_root;     /* its / is this process's own */
  struct file_user *user; /* whose permissions count, or NULL: this process's own */
  bool no_follow;     /* the first file must be no symbolic link */
  int file;           /* O_PATH, of the file that was looked at last, or -1 */
  struct stat status; /* of that file */
};

/* Where this process may look into those of its own user only: it acts as the other's, at files and at
 * /proc, until act_as_self. Returns whether it does. */
bool act_as_user_of(pid_t thread);
void act_as_self(void);

void start_view(struct tracee_view *view, pid_t thread);
void end_view(struct tracee_view *view);

/* The functions of a `struct view` for a struct tracee_view. */
int check_in_view(void *context, const char *path, bool is_interpreter);
int open_in_view(void *context, const char *path);

/* Whether a name goes through /proc/self or /dev/fd: it means another file in another process. */
bool is_own_link(const char *path);

/* Whether the process finds the file that was looked at last by this absolute name. */
bool is_name_in_view(const struct tracee_view *view, const char *path);

/* The absolute name of the file that was looked at last in the process's own root, or NULL. */
const char *name_in_view(const struct tracee_view *view);

#endif
