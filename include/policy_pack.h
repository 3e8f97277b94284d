/* Policy texts through a memory file, from the half that can open files to the half that parses them again. */
#ifndef POLICY_PACK_H
#define POLICY_PACK_H

#include "policy_files.h"

/* A memory file (memfd_create(2)) that holds the texts; -errno. */
int policy_texts_pack(const struct policy_texts *texts);
/* 0, or -errno: -EPROTO if it is not what policy_texts_pack writes. */
int policy_texts_unpack(int fd, struct policy_texts *ret);

#endif
