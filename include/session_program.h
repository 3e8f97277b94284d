/* A program that the kernel runs at a call's entry and at its return (6.13): see user/capture/session_program.c. The enum is
 * shared with BPF, for which all the rest is no more than declarations. */
#ifndef SESSION_PROGRAM_H
#define SESSION_PROGRAM_H

#include <stdbool.h>

struct bpf_program;

/* Numbers of no helper, which stand for the kernel's own functions until the program is prepared. */
enum session_call { SESSION_COOKIE = 0x7f01, SESSION_IS_RETURN = 0x7f02 };

/* The numbers of those functions in the kernel's BTF. */
struct session_functions {
	int cookie, is_return;
};

/* Does this kernel take such programs? If not, ret is untouched. */
bool session_program_works(struct session_functions *ret);

/* Before it is loaded: to be attached as such, and with its calls to those functions. 0 or -errno. */
int session_program_prepare(struct bpf_program *program, const struct session_functions *functions);

#endif
