/* A few threads that look at files, as that can take ASK_TIMEOUT_MS for one: a hostile library may loop. The finder gives them
 * inquiries and takes those that are done; nothing else of the finder's is seen by them. */
#ifndef ASKERS_H
#define ASKERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "catalog.h"
#include "examine.h"
#include "probes.h"

enum {
	ASKERS_COUNT = 4,
	ASKERS_A_SOURCE = 2, /* of them for files of one source at once; others never wait for those */
	WAITING_MAX =
		512, /* examinations, each with a descriptor; beyond it the oldest of the source with most is given up */
	CHECKS_MAX = 128, /* that wait; beyond it, -ENOBUFS */
};

enum inquiry_kind { INQUIRY_EXAMINE, INQUIRY_CHECK };

struct inquiry {
	enum inquiry_kind kind;
	int fd[2];  /* its own; [1] may be -1 */
	char *path; /* INQUIRY_EXAMINE */
	dev_t device; /* with owner: the source. Whoever makes many hostile files makes them on file systems of his, or as himself */
	uid_t owner;
	struct catalog_file *file;     /* INQUIRY_EXAMINE: whose */
	struct attachment *attachment; /* INQUIRY_CHECK: whose; NULL: nobody's any more */
	uint32_t slot;                 /* INQUIRY_CHECK */
	uint64_t site[2][SITE_COUNT];
	int result; /* of examine_file, or probes_check; -ECANCELED: given up */
	struct examination found;
	struct inquiry *next;
};

struct inquiry *inquiry_new(enum inquiry_kind kind);
void inquiry_free(struct inquiry *inquiry); /* closes what it has */

struct askers;

/* wake: an eventfd, written to whenever an inquiry is done. probes, wake: the caller's. -EAGAIN: there are no threads. */
int askers_new(struct probes *probes, int wake, struct askers **ret);
/* Waits for a check that is under way, and for nothing else: who is still waiting for a library's answer goes with the
 * process. */
void askers_free(struct askers *askers);

/* Takes the inquiry, if it is 0, as it always is for an examination. The newest of a source goes first, sources take turns, and
 * checks come when nothing else waits. */
int askers_add(struct askers *askers, struct inquiry *inquiry);
/* One that is done, the caller's again; NULL: no more for now. */
struct inquiry *askers_take(struct askers *askers);
/* Examinations that are waiting, under way, or not taken yet. */
unsigned askers_examining(struct askers *askers);
/* Nothing is, checks included. */
bool askers_idle(struct askers *askers);
/* Forgets the checks of that attachment that have not begun; one under way loses it. */
void askers_drop(struct askers *askers, const struct attachment *attachment);

#endif
