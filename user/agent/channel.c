/* Messages between the two halves: see channel.h. Owns nothing. */
#include "channel.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "util.h"

/* Of the warden's end. The usual room is for a dozen of the largest messages; more than that it may have to tell at once of
 * connections that the kernel condemned. */
static void room_make(int end)
{
	const int bytes = CHANNEL_BYTES;

	if (setsockopt(end, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(end, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

int channel_new(int ret_ends[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_ends) < 0)
		return -errno;
	room_make(ret_ends[0]);
	return 0;
}

/* As much of a message as its tag needs, without exe and cgroup; 0: there is no such tag. */
static size_t message_size(uint32_t tag)
{
#define SIZE_WITH(member) (offsetof(struct message, member) + sizeof(((struct message *)NULL)->member))
	switch (tag) {
	case MESSAGE_LIBRARY:
	case MESSAGE_UNSUPPORTED:
	case MESSAGE_DETACHED:
		return SIZE_WITH(library);
	case MESSAGE_STARTED:
	case MESSAGE_POLICIES:
	case MESSAGE_POLICY_REJECTED:
	case MESSAGE_LOST_MAPPINGS:
	case MESSAGE_OUTPUT:
	case MESSAGE_STOP:
	case MESSAGE_VERIFIED:
	case MESSAGE_POLICIES_TAKEN:
	case MESSAGE_FORGET:
		return SIZE_WITH(text);
	case MESSAGE_PROCESS_IS:
	case MESSAGE_PROCESS:
		return offsetof(struct message, process.exe);
	case MESSAGE_KILLED:
		return offsetof(struct message, killed.process.exe);
	case MESSAGE_GATE:
		return SIZE_WITH(gate);
	case MESSAGE_GATE_TIMEOUT:
		return SIZE_WITH(timeout);
	case MESSAGE_KILL:
		return SIZE_WITH(kill);
	case MESSAGE_RELEASE:
		return SIZE_WITH(release);
	default:
		return 0;
	}
}

/* Which has exe and cgroup; NULL: none. */
static struct message_process *process_in(struct message *message)
{
	switch (message->tag) {
	case MESSAGE_PROCESS_IS:
	case MESSAGE_PROCESS:
		return &message->process;
	case MESSAGE_KILLED:
		return &message->killed.process;
	default:
		return NULL;
	}
}

void message_begin(struct message *ret, uint32_t tag)
{
	struct message_process *process;

	memset(ret, 0, message_size(tag));
	ret->tag = tag;
	process = process_in(ret);
	if (process)
		process->exe[0] = process->cgroup[0] = '\0';
}

static void text_copy(char *ret, const char *text, size_t room)
{
	size_t len = strnlen(text, room - 1);

	memcpy(ret, text, len);
	ret[len] = '\0';
}

void message_process_copy(struct message_process *ret, const struct message_process *process)
{
	memcpy(ret, process, offsetof(struct message_process, exe));
	text_copy(ret->exe, process->exe, MESSAGE_PATH);
	text_copy(ret->cgroup, process->cgroup, MESSAGE_CGROUP);
}

enum { PARTS = 5 }; /* of a message: what is always there, and two texts with their ends */

static struct iovec part(const void *data, size_t len)
{
	return (struct iovec){.iov_base = (void *)data, .iov_len = len};
}

/* How many. */
static size_t message_parts(const struct message *message, struct iovec ret[PARTS])
{
	const struct message_process *process = process_in((struct message *)message);

	ret[0] = part(message, message_size(message->tag));
	if (!process)
		return 1;
	ret[1] = part(process->exe, strnlen(process->exe, MESSAGE_PATH - 1));
	ret[2] = part("", 1);
	ret[3] = part(process->cgroup, strnlen(process->cgroup, MESSAGE_CGROUP - 1));
	ret[4] = part("", 1);
	return PARTS;
}

static int send_with(int channel, const struct message *message, int passed_fd, int flags)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct iovec parts[PARTS];
	struct msghdr msg = {.msg_iov = parts, .msg_iovlen = message_parts(message, parts)};
	ssize_t sent;

	if (passed_fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &passed_fd, sizeof(int));
	}
	do
		sent = sendmsg(channel, &msg, MSG_NOSIGNAL | flags);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

int message_send(int channel, const struct message *message, int passed_fd)
{
	return send_with(channel, message, passed_fd, 0);
}

int message_offer(int channel, const struct message *message, int passed_fd)
{
	return send_with(channel, message, passed_fd, MSG_DONTWAIT);
}

static int passed_fd_take(struct msghdr *msg)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(msg);
	int fd = -1;

	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(header), sizeof(int));
	return fd;
}

/* Of which size bytes came. Brings what was sent behind the exe to its place; false: they are not two texts with an end. */
static bool names_place(struct message_process *process, size_t size)
{
	size_t exe_size = strnlen(process->exe, size) + 1, rest;

	if (exe_size > size || exe_size > MESSAGE_PATH)
		return false;
	rest = size - exe_size;
	if (rest == 0 || rest > MESSAGE_CGROUP || memchr(process->exe + exe_size, '\0', rest) != process->exe + size - 1)
		return false;
	memmove(process->cgroup, process->exe + exe_size, rest);
	return true;
}

/* Of which got bytes came, enough for a tag. */
static bool is_whole(struct message *message, size_t got)
{
	size_t size = message_size(message->tag);
	struct message_process *process = process_in(message);

	if (!size || got < size || (!process && got > size))
		return false;
	return !process || names_place(process, got - size);
}

static void texts_end(struct message *message)
{
	struct message_process *process = process_in(message);

	if (process)
		process->user[MESSAGE_USER - 1] = '\0';
	message->text[MESSAGE_TEXT - 1] = '\0';
	switch (message->tag) {
	case MESSAGE_LIBRARY:
	case MESSAGE_UNSUPPORTED:
	case MESSAGE_DETACHED:
		message->library.version[VERSION_MAX - 1] = '\0';
		message->library.path[MESSAGE_PATH - 1] = '\0';
		if (message->library.build_id_len > BUILD_ID_MAX)
			message->library.build_id_len = 0;
		break;
	case MESSAGE_KILL:
		message->kill.ruleset[MESSAGE_RULE - 1] = '\0';
		message->kill.rule[MESSAGE_RULE - 1] = '\0';
		break;
	}
}

int message_receive(int channel, bool wait, struct message *ret, int *ret_fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct iovec iov = {.iov_base = ret, .iov_len = sizeof(*ret)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	int fd CLEANUP_CLOSE = -1;
	ssize_t got;

	do
		got = recvmsg(channel, &msg, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == ECONNRESET ? 0 : -errno;
	fd = passed_fd_take(&msg);
	if (got == 0)
		return 0;
	if ((size_t)got < offsetof(struct message, text) || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
	    !is_whole(ret, (size_t)got))
		return -EPROTO;
	texts_end(ret);
	if (ret_fd)
		*ret_fd = TAKE_FD(fd);
	return 1;
}
