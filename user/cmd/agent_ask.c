/* See agent_ask.h. Believes only a socket of root's: what a stranger says of this host is not shown. */
#include "agent_ask.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "cmd.h"
#include "config.h"
#include "control.h"
#include "util.h"

enum {
	SILENCE_MS = 20000,     /* longer than an agent looks for libraries: FINDER_WAIT_MS */
	ANSWER_MAX = 256 << 20, /* some hundred thousand processes */
	DEPTH_MAX = 16,
};

static const struct option long_options[] = {
	{"json", no_argument, NULL, 'j'},
	{"all", no_argument, NULL, 'a'},
	{"control", required_argument, NULL, 'c'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

int ask_options_take(int argc, char **argv, bool all, struct ask_options *ret)
{
	struct ask_options options = {};
	bool good = true;
	int option;

	optind = 0;
	while (good && (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		options.json |= option == 'j';
		options.all |= option == 'a';
		options.help |= option == 'h';
		if (option == 'c')
			options.control = optarg;
		good = option != '?' && (option != 'a' || all);
		if (option == 'a' && !all)
			fprintf(stderr, "tlswarden %s: there is no option --all\n", argv[0]);
	}
	if (good && optind < argc)
		fprintf(stderr, "tlswarden %s: %s: what is this? A socket is named with --control\n", argv[0], argv[optind]);
	if (!good || optind < argc) {
		fprintf(stderr, "Try: tlswarden %s --help\n", argv[0]);
		return EXIT_USAGE;
	}
	*ret = options;
	return EXIT_FINE;
}

/* --- asking --------------------------------------------------------------------------------------------------------- */

static int say(const char *command, const char *path, const char *what)
{
	CLEANUP_FREE char *safe = text_escape(path, strlen(path));

	fprintf(stderr, "tlswarden %s: %s: %s\n", command, safe, what);
	return EXIT_CANNOT;
}

static int say_unreachable(const char *command, const char *path, int error)
{
	if (error == ENOENT || error == ENOTDIR)
		return say(
			command, path,
			"no agent answers there. Start one, as with `systemctl start tlswarden` or `tlswarden run`, or name its "
			"socket with --control");
	if (error == ECONNREFUSED)
		return say(command, path,
			   "the agent that made this socket has ended. Start it again, or name another with --control");
	if (error == EACCES || error == EPERM)
		return say(command, path, "only root may ask the agent: run this as root");
	return say(command, path, error == EAGAIN ? "too many ask it at once: try again" : strerror(error));
}

static bool is_roots(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == 0;
}

static int reach(const char *command, const char *path, int *ret)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct timeval patience = {.tv_sec = SILENCE_MS / 1000};

	if (strlen(path) >= sizeof(address.sun_path))
		return say_unreachable(command, path, ENAMETOOLONG);
	memcpy(address.sun_path, path, strlen(path));
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return say_unreachable(command, path, errno);
	if (!is_roots(fd))
		return say(command, path, "who answers there is not root, and is not believed");
	*ret = TAKE_FD(fd);
	return EXIT_FINE;
}

/* All that comes until the other side closes. 0 or -errno. */
static int receive(int fd, char **ret, size_t *ret_len)
{
	CLEANUP_FREE char *text = NULL;
	size_t len = 0, room = 0;

	for (;;) {
		struct pollfd watched = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (room - len < 2) {
			room = room ? room * 2 : 1 << 16;
			text = xrealloc(text, room, 1);
		}
		if (poll(&watched, 1, SILENCE_MS) == 0)
			return -ETIMEDOUT;
		n = recv(fd, text + len, room - len - 1, 0);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		len += n > 0 ? (size_t)n : 0;
		if (len > ANSWER_MAX)
			return -EFBIG;
	}
	text[len] = '\0';
	*ret = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

static struct json_object *read_json(const char *text, size_t len)
{
	struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
	struct json_object *object = tokener ? json_tokener_parse_ex(tokener, text, (int)len) : NULL;

	if (tokener)
		json_tokener_free(tokener);
	if (object && !json_object_is_type(object, json_type_object)) {
		json_object_put(object);
		object = NULL;
	}
	return object;
}

static int ask_at(const char *command, const char *path, const char *request, char **ret_line, struct json_object **ret)
{
	CLEANUP_FREE char *line = xasprintf("%s\n", request), *text = NULL;
	CLEANUP_CLOSE int fd = -1;
	struct json_object *object;
	size_t len = 0;
	int code = reach(command, path, &fd), err;

	if (code)
		return code;
	/* Where it cannot be sent, the answer says why, or there is none. */
	if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0 && errno != EPIPE)
		return say_unreachable(command, path, errno);
	err = receive(fd, &text, &len);
	if (err == -ETIMEDOUT)
		return say(command, path,
			   "the agent there does not answer: has it been stopped, or is this host very busy?");
	if (err)
		return say(command, path, strerror(-err));
	object = read_json(text, len);
	if (!object || answer_count(object, "control") != CONTROL_FORMAT || answer_get(object, "error")) {
		code = say(command, path,
			   answer_get(object, "error") ? answer_text(object, "error") :
							 "what answers there is no agent of this version");
		json_object_put(object);
		return code;
	}
	*ret_line = TAKE_PTR(text);
	*ret = object;
	return EXIT_FINE;
}

int agent_ask(const char *command, const char *control, const char *request, char **ret_line, struct json_object **ret)
{
	CLEANUP(config_clear) struct config config;

	config_init(&config);
	/* One that cannot be read has been complained of, and does not keep anybody from asking. */
	if (!control && access(config_usual_path, R_OK) == 0 && config_read(config_usual_path, &config) == EXIT_FINE)
		control = config.control;
	if (control && strcmp(control, "none") == 0)
		return say(command, config_usual_path, "it says that the agent has no control socket");
	return ask_at(command, control ? control : control_usual_path, request, ret_line, ret);
}

/* --- answers -------------------------------------------------------------------------------------------------------- */

struct json_object *answer_get(struct json_object *object, const char *path)
{
	while (object && *path) {
		size_t len = strcspn(path, ".");
		CLEANUP_FREE char *key = xstrndup(path, len);

		if (!json_object_is_type(object, json_type_object) || !json_object_object_get_ex(object, key, &object))
			return NULL;
		path += len + (path[len] == '.');
	}
	return object;
}

const char *answer_text(struct json_object *object, const char *path)
{
	struct json_object *value = answer_get(object, path);

	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

uint64_t answer_count(struct json_object *object, const char *path)
{
	struct json_object *value = answer_get(object, path);

	return json_object_is_type(value, json_type_int) ? json_object_get_uint64(value) : 0;
}

size_t answer_length(struct json_object *list)
{
	return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}
