/* A question to the running agent, over its control socket. Private to user/cmd. */
#ifndef CMD_AGENT_ASK_H
#define CMD_AGENT_ASK_H

#include <json-c/json.h>
#include <stdbool.h>

/* What status and coverage have in common on their command lines. */
struct ask_options {
	const char *control; /* or NULL */
	bool json, all, help;
};
/* all: whether there is --all. An exit code; what is wrong was said on standard error. */
int ask_options_take(int argc, char **argv, bool all, struct ask_options *ret);

/* Asks the agent at the socket named, or at the one of the configuration, or at the usual one. An exit code: EXIT_FINE, or
 * EXIT_CANNOT, and standard error says what to do. *ret_line: its answer as it came, with its newline; *ret: the same, read. Both
 * the caller's. */
int agent_ask(const char *command, const char *control, const char *request, char **ret_line, struct json_object **ret);

/* A value at a dotted path; NULL, 0, "" if there is none. Texts are the agent's, which escapes what is not its own. */
struct json_object *answer_get(struct json_object *object, const char *path);
const char *answer_text(struct json_object *object, const char *path);
uint64_t answer_count(struct json_object *object, const char *path);
size_t answer_length(struct json_object *list);

#endif
