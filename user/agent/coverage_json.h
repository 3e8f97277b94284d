/* What is covered and what is not, for `status` and `coverage`. */
#ifndef COVERAGE_JSON_H
#define COVERAGE_JSON_H

#include "../event/object.h"
#include "coverage.h"

/* The files that have to do with TLS: an array. */
struct json *coverage_libraries(const struct coverage *coverage);
/* The processes that use them: an array, those that are not covered with their reasons. */
struct json *coverage_processes(const struct coverage *coverage);
/* How many there are: an object. */
struct json *coverage_counts(const struct coverage *coverage);
/* From first mapping to attached: an object. */
struct json *coverage_times(const struct coverage *coverage);
/* What the finder has done so far: an object. */
struct json *coverage_finding(const struct coverage *coverage);

#endif
