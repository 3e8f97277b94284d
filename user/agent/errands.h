/* What workers do for the warden on processes and connections, and who waits for the outcome: for no longer than a hostile
 * process may make everybody else wait. Of one thread. Privileged. */
#ifndef ERRANDS_H
#define ERRANDS_H

#include "channel.h"
#include "whos.h"
#include "workers.h"

enum {
	ERRAND_WAIT_MS = 1000,   /* at most; beyond it the outcome is -EBUSY, and the errand goes on by itself */
	ERRAND_WAIT_MIN_MS = 50, /* what takes a moment has to be done by then, on a busy machine too */
	/* Of what the kernel condemned the judge hears at most that much later, of so many at once. Meanwhile their records stay
	 * in the ring. */
	ERRAND_UNHURRIED_MS = 100,
	GATHER_MAX = 256,
	LATE_MOST = 5, /* waits: more than WORKERS_MAX late ones cost together: one, a half, a third … */
};

enum errand_for {
	FOR_JUDGE,  /* it asked, and waits */
	FOR_NOTICE, /* the kernel condemned the connection; the judge may ask later */
	FOR_TIME,   /* the time of a gated socket is up */
};

struct errand {
	struct work work;
	enum errand_for cause;
	uint32_t tag, token;      /* MESSAGE_PROCESS or MESSAGE_KILL; of the judge's question */
	bool asked;               /* the judge waits for it */
	struct message_kill kill; /* MESSAGE_PROCESS: what names the process */
	struct gate_entry entry;  /* FOR_TIME */
	enum gate_why why;        /* likewise */
	int refused;              /* MESSAGE_KILL: nothing is to be done but to say whose it was, and why (static) */
	const char *why_refused;
	/* errands.c's */
	uint64_t due_ns, last_ns; /* last_ns: to be waited after due_ns, or 0 */
	bool told, waited;
	struct errand *next;
	bool known;             /* a kill, and whose connection it is, is in the answer from the beginning */
	struct message *answer; /* behind this, in the same memory; the worker's until it is done */
};

/* answer: MESSAGE_PROCESS_IS or MESSAGE_KILLED; it may be changed. late: it was told before that this takes too long; nobody
 * waits for it any more. */
typedef void (*errand_told_fn)(void *context, const struct errand *errand, struct message *answer, bool late);

struct errands;

/* For errands_new: so that all that can be late together does not make others miss their time, after timeout_ms. */
uint32_t errands_wait_ms(uint32_t timeout_ms);
/* wait_ms: how long an outcome is waited for, and longer where the caller itself stood still. While n others are late, it is the
 * n+1st part of that. */
int errands_new(uint32_t wait_ms, errand_told_fn told, void *context, struct errands **ret);
/* Waits for none. */
void errands_free(struct errands *errands);

/* Copies what, but for what is errands.c's. May call told at once: if nothing can be done. */
void errands_begin(struct errands *errands, const struct errand *what);
/* The judge asks for what is under way FOR_NOTICE: it is told as well then. False: it is not under way, or was told. */
bool errands_ask(struct errands *errands, const struct record_id *id, uint64_t cookie, uint32_t token);

int errands_fd(const struct errands *errands); /* readable: errands_tell */
void errands_tell(struct errands *errands);
/* Until each has been told. */
void errands_wait(struct errands *errands);

struct workers *errands_workers(struct errands *errands);

#endif
