/* What the agent writes to: opened with rights, and handed to the judge. Each says on standard error what is wrong. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <sys/stat.h>

/* Appended to; "-": standard output. A descriptor of the caller's, or -1. */
int output_open(const char *path);
/* A log that was rotated by renaming it is another file now: the judge gets it over channel, if it can be had. */
void output_renew(const char *path, int channel);
/* A new file, never somebody's: *ret is it. Likewise. */
int output_make(const char *path, struct stat *ret);
/* Takes away what output_make made, if it made anything (st_ino) and that is still there. */
void output_unmake(const char *path, const struct stat *made);

#endif
