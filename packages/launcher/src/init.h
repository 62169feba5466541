/* The duties of a container's first process. */
#ifndef UPORT_INIT_H
#define UPORT_INIT_H

/* Runs `start` in a child; returns the exit status to end with once that child has ended. */
int run_as_init(void (*start)(void));

#endif
