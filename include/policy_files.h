/* Policy files from disk: what --policy names, read and parsed. The only I/O of the policy side; used by check and run. */
#ifndef POLICY_FILES_H
#define POLICY_FILES_H

#include "policy.h"

enum { POLICY_FILE_MAX = 64 << 20, POLICY_FILES_MAX = 4096, POLICY_CONTENT_MAX = 256 << 20, POLICY_STORE_MAX = 16 << 20 };

/* Texts of policy files, owned. */
struct policy_texts {
	struct policy_source *sources;
	size_t count;
	bool files_only; /* set by who must never wait: a pipe or a device is not read, even if it is named itself */
};
void policy_texts_clear(struct policy_texts *texts);

/* Reads each path: a file as it is, a directory's *.yaml and *.yml in order of name. A file that cannot be read or is too
 * large: -errno, and a message "path: what" in *ret_error (owned by the caller). Texts that are read are added to *texts. */
int policy_texts_read(char *const *paths, size_t count, struct policy_texts *texts, char **ret_error);

/* Contents of the files that the policies name (policies_needs), owned. A trust store may be a directory: all its *.pem and
 * *.crt, in order of name. What cannot be read, or is no regular file, says so in its error, and policies_bind complains. So does
 * what is larger than POLICY_CONTENT_MAX together with those before it, and a trust store that is larger than POLICY_STORE_MAX, of
 * some ten thousand certificates: taking it apart would keep the agent from judging for seconds (EFBIG). */
struct policy_contents {
	struct policy_content *items;
	size_t count;
};
void policy_contents_read(const struct policies *policies, struct policy_contents *ret);
void policy_contents_clear(struct policy_contents *contents);

/* One a line, as compilers write them: file:line:column: text. On standard error. Names of files may be a stranger's. */
void problems_print(const struct problems *problems);

#endif
