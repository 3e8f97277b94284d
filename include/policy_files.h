/* Policy files from disk: what --policy names, read and parsed. The only I/O of the policy side; used by check and run. */
#ifndef POLICY_FILES_H
#define POLICY_FILES_H

#include "policy.h"

enum { POLICY_FILE_MAX = 64 << 20, POLICY_FILES_MAX = 4096 };

/* Texts of policy files, owned. */
struct policy_texts {
	struct policy_source *sources;
	size_t count;
};
void policy_texts_clear(struct policy_texts *texts);

/* Reads each path: a file as it is, a directory's *.yaml and *.yml in order of name. A file that cannot be read or is too
 * large: -errno, and a message "path: what" in *ret_error (owned by the caller). Texts that are read are added to *texts. */
int policy_texts_read(char *const *paths, size_t count, struct policy_texts *texts, char **ret_error);

#endif
