/* See control.h. Owns the socket, its file, and the thread that serves it, so that no client can hold up the warden.
 *
 * Believes nobody but root, and of him one line. No client waits for another but while an answer is made; one that says nothing or does
 * not read costs a place, and that for some time only. Bounds: control.h. */
#include "control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../event/object.h"
#include "control_socket.h"
#include "moment.h"
#include "util.h"

enum { BREATH_MS = 100 /* when there is no descriptor left for a client: until the next try */ };

static const uint64_t IDLE_NS = CONTROL_IDLE_MS * 1000000ULL;

const char control_usual_path[] = "/run/tlswarden/control.sock";

struct client {
	int fd;
	uint64_t active_ns; /* when it last said or read something */
	char request[CONTROL_REQUEST_MAX];
	size_t have;
	char *answer; /* NULL: it has not asked yet */
	size_t len, sent;
};

struct control {
	struct control_socket socket;
	int stop; /* eventfd */
	control_answer_fn answer;
	void *context;
	pthread_t thread;
	bool running;
	struct client clients[CONTROL_CLIENTS_MAX];
	size_t count;
};

char *control_error(const char *text)
{
	struct json *answer = object_begin();

	object_count(answer, "control", CONTROL_FORMAT);
	object_raw(answer, "error", text, TEXT_MAX);
	return object_line(answer);
}

/* --- clients -------------------------------------------------------------------------------------------------------- */

static void client_drop(struct control *control, size_t index)
{
	struct client *client = &control->clients[index];

	close(client->fd);
	free(client->answer);
	control->count--;
	memmove(client, client + 1, (control->count - index) * sizeof(*client));
}

static void client_answer(struct control *control, struct client *client)
{
	char *end = memchr(client->request, '\n', client->have);

	if (end) {
		*end = '\0';
		client->answer = control->answer(control->context, client->request);
	} else {
		client->answer = control_error("the request is too long");
	}
	client->len = strlen(client->answer);
	client->active_ns = now_ns();
}

/* False: it has got its answer, or there is nobody any more. */
static bool client_serve(struct control *control, struct client *client)
{
	ssize_t n;

	if (!client->answer) {
		n = recv(client->fd, client->request + client->have, sizeof(client->request) - client->have, MSG_DONTWAIT);
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		client->have += (size_t)n;
		client->active_ns = now_ns();
		if (memchr(client->request, '\n', client->have) || client->have == sizeof(client->request))
			client_answer(control, client);
		return true;
	}
	n = send(client->fd, client->answer + client->sent, client->len - client->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN;
	client->sent += (size_t)n;
	client->active_ns = now_ns();
	return client->sent < client->len;
}

/* There is at least one. */
static size_t client_idle(const struct control *control)
{
	size_t idle = 0;

	for (size_t i = 1; i < control->count; i++)
		if (control->clients[i].active_ns < control->clients[idle].active_ns)
			idle = i;
	return idle;
}

static bool is_root(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == 0;
}

static void client_accept(struct control *control)
{
	int fd = accept4(control->socket.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			poll(NULL, 0, BREATH_MS);
		return;
	}
	if (!is_root(fd)) {
		close(fd);
		return;
	}
	if (control->count == CONTROL_CLIENTS_MAX)
		client_drop(control, client_idle(control));
	control->clients[control->count++] = (struct client){.fd = fd, .active_ns = now_ns()};
}

/* --- the thread ----------------------------------------------------------------------------------------------------- */

/* Until somebody's time is up; -1: there is nobody. */
static int wait_ms(const struct control *control)
{
	uint64_t idle_ns;

	if (!control->count)
		return -1;
	idle_ns = now_ns() - control->clients[client_idle(control)].active_ns;
	return idle_ns < IDLE_NS ? (int)((IDLE_NS - idle_ns) / 1000000 + 1) : 0;
}

static void *control_main(void *context)
{
	struct control *control = context;
	struct pollfd watched[2 + CONTROL_CLIENTS_MAX];

	for (;;) {
		size_t count = control->count;

		watched[0] = (struct pollfd){.fd = control->stop, .events = POLLIN};
		watched[1] = (struct pollfd){.fd = control->socket.fd, .events = POLLIN};
		for (size_t i = 0; i < count; i++)
			watched[2 + i] = (struct pollfd){.fd = control->clients[i].fd,
							 .events = control->clients[i].answer ? POLLOUT : POLLIN};
		if (poll(watched, 2 + count, wait_ms(control)) < 0)
			continue;
		if (watched[0].revents)
			return NULL;
		/* From the end, as one that is dropped makes those behind it move up. */
		for (size_t i = count; i-- > 0;)
			if (watched[2 + i].revents ? !client_serve(control, &control->clients[i]) :
						     now_ns() - control->clients[i].active_ns >= IDLE_NS)
				client_drop(control, i);
		if (watched[1].revents)
			client_accept(control);
	}
}

/* --- life ------------------------------------------------------------------------------------------------------------ */

int control_open(const char *path, struct control **ret, char **ret_why)
{
	struct control_socket socket;
	int err = control_socket_open(path, CONTROL_CLIENTS_MAX, &socket, ret_why);

	if (err)
		return err;
	*ret = xcalloc(1, sizeof(**ret));
	(*ret)->socket = socket;
	(*ret)->stop = -1;
	return 0;
}

int control_start(struct control *control, control_answer_fn answer, void *context)
{
	int err;

	if (!control)
		return 0;
	control->answer = answer;
	control->context = context;
	control->stop = eventfd(0, EFD_CLOEXEC);
	if (control->stop < 0)
		return -errno;
	err = pthread_create(&control->thread, NULL, control_main, control);
	control->running = err == 0;
	return -err;
}

void control_free(struct control *control)
{
	if (!control)
		return;
	if (control->running) {
		eventfd_write(control->stop, 1);
		pthread_join(control->thread, NULL);
	}
	control_socket_close(&control->socket);
	while (control->count)
		client_drop(control, control->count - 1);
	if (control->stop >= 0)
		close(control->stop);
	free(control);
}
