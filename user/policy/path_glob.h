/* Glob patterns for paths of programs: see path_glob.c for what they mean. Pure. */
#ifndef PATH_GLOB_H
#define PATH_GLOB_H

#include <stdbool.h>

/* NULL if the pattern can be used, otherwise a static string that says why not: for any text, and for paths of programs. */
const char *glob_closed(const char *pattern);
const char *glob_check(const char *pattern);
bool glob_match(const char *pattern, const char *text);

#endif
