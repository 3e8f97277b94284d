/* Policies for a command that judges offline: read, parsed, bound, and complained about.
 *
 * In two steps, with rights_drop() between them. First, with the rights of whoever called: the policies are read and parsed, which
 * the agent's privileged half does too, for they are the administrator's text; and the files that they name are read, and not
 * looked into. Then, without any right: those are taken apart. Everything that goes wrong is said on standard error. */
#ifndef POLICY_LOAD_H
#define POLICY_LOAD_H

#include "path.h"
#include "policy_files.h"

/* Owned; all zero at the start. */
struct policy_load {
	struct policies *policies; /* after the first step; may be judged by after the second */
	struct anchors *anchors;   /* after the second step: the bundle's and those of all trust stores, or NULL */
	struct policy_contents contents;
	char *bundle; /* PEM text, or NULL */
	size_t bundle_len;
};

/* The first step. command: for messages ("explain"). bundle: the PEM file of known roots, or NULL: the system's, if it is there.
 * An exit code: EXIT_NO if a policy is invalid, EXIT_USAGE if something cannot be read or there is no policy at all. */
int policy_load_read(const char *command, char *const *paths, size_t count, const char *bundle, struct policy_load *ret);
/* The parts of the first step, for who has the texts already. -EINVAL: problems say why the policies are invalid. */
int policy_load_parse(const struct policy_texts *texts, struct policy_load *ret, struct problems *problems);
/* An exit code; EXIT_USAGE if a bundle was named and cannot be read, which is said. */
int policy_load_bundle(const char *command, const char *bundle, struct policy_load *ret);

/* The second step. -EINVAL: problems say which named file is wrong. */
int policy_load_bind(struct policy_load *load, struct problems *problems);
/* The same, printing the problems: an exit code. */
int policy_load_bind_or_say(struct policy_load *load);

void policy_load_clear(struct policy_load *load);

/* "tlswarden COMMAND: TEXT", with what is in the text made harmless. */
void error_print(const char *command, const char *text);

#endif
