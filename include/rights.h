/* Giving up root's rights: what a command does that takes strangers' bytes apart, once it has read its files. */
#ifndef RIGHTS_H
#define RIGHTS_H

/* For good: no capability is left, root becomes nobody, and nothing that is executed later gains rights. An ordinary user stays
 * who it is. certificate_init() must have run before. 0 or -errno. */
int rights_drop(void);

/* The same; says on standard error what went wrong, for that command ("pin"). An exit code: EXIT_FINE or EXIT_CANNOT. */
int rights_drop_or_say(const char *command);

#endif
