/* See output.h. */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "channel.h"
#include "util.h"

int output_open(const char *path)
{
	int fd = strcmp(path, "-") != 0 ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640) :
					  fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		fprintf(stderr, "tlswarden: %s: %s\n", path, strerror(errno));
	return fd;
}

void output_renew(const char *path, int channel)
{
	struct message message = {.tag = MESSAGE_OUTPUT};
	int fd CLEANUP_CLOSE = -1;

	if (strcmp(path, "-") == 0)
		return;
	fd = output_open(path);
	if (fd < 0 || message_offer(channel, &message, fd) < 0)
		fprintf(stderr, "tlswarden: events go on to the old file\n");
}

/* What `learn` writes to is new, and so never somebody's policy. */
int output_make(const char *path, struct stat *ret)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0640);

	if (fd < 0 && errno == EEXIST)
		fprintf(stderr, "tlswarden: %s: there is such a file already, and it is not overwritten: name another\n",
			path);
	else if (fd < 0 || fstat(fd, ret) < 0)
		fprintf(stderr, "tlswarden: %s: %s\n", path, strerror(errno));
	return fd;
}

/* Half a policy is none. */
void output_unmake(const char *path, const struct stat *made)
{
	struct stat there;

	if (made->st_ino && lstat(path, &there) == 0 && there.st_ino == made->st_ino && there.st_dev == made->st_dev)
		unlink(path);
}
