/* Gives up everything the judge does not need. */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <sys/types.h>

/* uid and gid of the account, or the uid "nobody" where there is no account `tlswarden`. name NULL: those defaults.
 * -ENOENT: a name was given that does not exist. */
int sandbox_user(const char *name, uid_t *ret_uid, gid_t *ret_gid);

/* For good, in this process: no capability, that user, no new privileges, not dumpable, and a seccomp filter under which
 * files, sockets and programs cannot be opened. Descriptors that are open stay open. On failure -errno, and *ret_step (static)
 * says at what: the caller must end, it may be half confined. */
int sandbox_enter(uid_t uid, gid_t gid, const char **ret_step);

#endif
