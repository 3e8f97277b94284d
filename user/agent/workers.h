/* A small pool of threads for what a hostile process can make wait as long as it likes: whatever takes a lock that the
 * process may hold (of its socket, of its directory in /proc, of its exec) waits for it uninterruptibly. One thread adds
 * work and takes what is done; the others only see their own work. */
#ifndef WORKERS_H
#define WORKERS_H

#include <stdbool.h>
#include <stdint.h>

enum {
	WORKERS_MAX = 32,
	OWNER_MAX = 4,                   /* of them for one process at once; what more there is of it waits */
	UNWAITED_MAX = 8,                /* of them for what nobody waits for */
	QUEUE_MAX = 4096,                /* work that waits; beyond it, -ENOBUFS */
	OWNER_QUEUE_MAX = QUEUE_MAX / 8, /* likewise, of one process */
};

/* The first member of the one piece of memory, from malloc(3), that the work is: what it needs is in there, a copy. */
struct work {
	/* In a thread of the pool. It has a table of descriptors to itself, with no more than 0, 1 and 2 of the caller's. */
	void (*run)(struct work *work);
	uint32_t owner; /* the process that may hold it up; 0: none may */
	bool unwaited;  /* nobody waits for it: freed when it is done, and other work goes before it */
	bool unhurried; /* done, it does not make the descriptor readable: it is taken with others, or when its owner looks */
	bool joins;     /* in a batch it goes to one thread with the others of its owner that join */
	struct work *next;
};

struct workers;

int workers_new(struct workers **ret);
/* Ends idle threads, and waits for no other: those keep what is theirs, and go with the process. What was not taken is
 * freed. */
void workers_free(struct workers *workers);

/* Takes the work, if it is 0. -ENOBUFS: there is too much; -EAGAIN: there is no thread. */
int workers_add(struct workers *workers, struct work *work);

/* Between them threads are not woken, but once for all that joins. What a thread has not begun of a batch when the next one
 * opens, as the process holds it up, goes to any thread. */
void workers_batch_open(struct workers *workers);
void workers_batch_close(struct workers *workers);

/* Somebody waits for it now. It has not been taken. */
void workers_hurry(struct workers *workers, struct work *work);

int workers_fd(const struct workers *workers); /* readable: workers_take. The pool's */
bool workers_told(struct workers *workers);    /* is it? */
/* What is done and not unwaited, the caller's again; NULL: no more. */
struct work *workers_take(struct workers *workers);

#endif
