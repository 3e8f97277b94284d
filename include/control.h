/* The control socket, over which a running agent answers `tlswarden status` and `tlswarden coverage`: a Unix stream of mode 0600, root's
 * alone. A request is one line, the answer one line, and then it is closed. What is said is the caller's affair. */
#ifndef CONTROL_H
#define CONTROL_H

extern const char control_usual_path[];

enum {
	CONTROL_REQUEST_MAX = 64, /* bytes of a request, its newline included; a longer one is answered by an error */
	CONTROL_CLIENTS_MAX = 32, /* at once; one more takes the place of the one that has done nothing for longest */
	CONTROL_IDLE_MS = 5000,   /* who has neither said nor read anything for so long is dropped */
};

struct control;

/* Makes the socket, and its directory if that is missing: from now on clients wait. What an agent that has ended left there is
 * replaced; -EADDRINUSE: another agent answers there. *ret_why, owned by the caller, says on failure what is wrong with the path. */
int control_open(const char *path, struct control **ret, char **ret_why);

/* Called in the server's own thread with the line, without its newline; returns new memory: the answer, with its newline. */
typedef char *(*control_answer_fn)(void *context, const char *request);
/* Starts the thread; NULL: nothing to start. */
int control_start(struct control *control, control_answer_fn answer, void *context);

/* Ends the thread, after the answer that it is making, and removes the socket. */
void control_free(struct control *control);

/* Every answer is an object that has this number under "control": keys may come anew without a change of it, none goes or changes. */
enum { CONTROL_FORMAT = 1 };
/* {"control":1,"error":"…"} and a newline: new memory. */
char *control_error(const char *text);

#endif
