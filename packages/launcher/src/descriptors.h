/* Closing many descriptors at once. */
#ifndef UPORT_DESCRIPTORS_H
#define UPORT_DESCRIPTORS_H

/* Closes all from `first` on but those of the list, which ends with -1 and may be NULL. */
void close_all(int first, const int *kept);

#endif
