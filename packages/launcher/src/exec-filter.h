/* The seccomp filter that hands each exec to the supervisor, and nothing else. */
#ifndef UPORT_EXEC_FILTER_H
#define UPORT_EXEC_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What PTRACE_GETEVENTMSG tells at a stop by the filter. */
enum { EXECVE_STOP = 1, EXECVEAT_STOP = 2 };

/* The system call does not use its sixth argument. With this number there, which no other start has,
 * an exec passes the filter. */
uint32_t exec_pass(void);

/* Whether a supervisor of uport is told of this process's execs already. It is asked with an exec of
 * this name, which it makes an empty one. */
extern const char supervised_question[];
bool is_supervised(void);

/* execve, past the filter. */
int exec_unsupervised(const char *file, char *const *argv, char *const *environment);

/* For this process and all that it starts. With a `listener` each exec waits for an answer that is
 * given through that descriptor (Linux 5.0), else for the tracer. Sets no_new_privs where the kernel
 * asks for it. Returns 0 or an errno. */
int install_exec_filter(int *listener);

/* Whether these bytes, as the kernel shows a filter, are those that were installed last. Other starts
 * have other ones. */
enum { EXEC_FILTER_SIZE_MAX = (4 * 12 + 1) * 8 };
bool is_exec_filter(const void *bytes, size_t size);

#endif
