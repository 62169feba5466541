/* The seccomp filter that stops a process for its tracer at each exec, and at nothing else. */
#ifndef UPORT_EXEC_FILTER_H
#define UPORT_EXEC_FILTER_H

/* What PTRACE_GETEVENTMSG tells at such a stop. */
enum { EXECVE_STOP = 1, EXECVEAT_STOP = 2 };

/* For this process and all that it starts. Sets no_new_privs where the kernel asks for it. Returns 0
 * or an errno. */
int install_exec_filter(void);

#endif
