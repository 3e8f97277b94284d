/* Policies through a memory file, from the half that can open files to the half that takes them apart. */
#ifndef POLICY_PACK_H
#define POLICY_PACK_H

#include "policy_files.h"

/* A memory file (memfd_create(2)) that holds the texts, and the contents of the files that they name; -errno. */
int policy_pack(const struct policy_texts *texts, const struct policy_contents *contents);
/* 0, or -errno: -EPROTO if it is not what policy_pack writes. texts and contents untouched on failure. */
int policy_unpack(int fd, struct policy_texts *ret_texts, struct policy_contents *ret_contents);

#endif
