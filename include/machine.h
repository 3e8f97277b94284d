/* Can this machine run the agent? */
#ifndef MACHINE_H
#define MACHINE_H

/* 0, or -ENOTSUP with *ret_why (owned by the caller) naming what is missing and what to do. */
int machine_check(char **ret_why);

#endif
