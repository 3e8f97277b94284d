/* The listening end of the control socket, and the file that it is reached by. */
#ifndef CONTROL_SOCKET_H
#define CONTROL_SOCKET_H

#include <sys/stat.h>

struct control_socket {
	int fd; /* listening, nonblocking */
	char *path;
	struct stat made; /* the file: another agent's may have taken its place */
};

/* As control_open. */
int control_socket_open(const char *path, int backlog, struct control_socket *ret, char **ret_why);
void control_socket_close(struct control_socket *socket);

#endif
