/* What `status` and `coverage` print for people, of the agent's answers. Private to user/cmd. */
#ifndef CMD_STATUS_H
#define CMD_STATUS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>

void status_print(FILE *out, struct json_object *answer);

/* all: a line for each process; else processes of which the same is to be said share one. */
void coverage_print(FILE *out, struct json_object *answer, bool all);

/* "340 µs", "12.3 ms", "1.2 s"; new memory. */
char *duration_text(uint64_t us);
/* "openssl 3.0.22", "Go's crypto/x509", "libcrypto.so.3": of an entry of a list of libraries; new memory. */
char *library_text(struct json_object *library);

#endif
