/* Whole files into memory (util.h).
 *
 * The size that fstat gives is not believed: /proc files say 0, others grow. Reads until the end or the caller's bound;
 * beyond it nothing is given (-EFBIG), for half a policy is worse than none. A pipe is read as long as somebody holds its other
 * end, but nobody waits for one who might open it: without him it is empty. */
#include "util.h"

#include <errno.h>
#include <fcntl.h>

int fd_read_all(int fd, size_t max, char **ret, size_t *ret_len)
{
	CLEANUP_FREE char *text = NULL;
	size_t len = 0, room = 0;

	for (;;) {
		ssize_t n;

		if (room - len < 2) {
			room = room ? room * 2 : 4096;
			text = xrealloc(text, room, 1);
		}
		n = read(fd, text + len, room - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max)
			return -EFBIG;
	}
	text[len] = '\0';
	*ret_len = len;
	*ret = TAKE_PTR(text);
	return 0;
}

int file_read(const char *path, size_t max, char **ret, size_t *ret_len)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 || fcntl(fd, F_SETFL, 0) < 0)
		return -errno;
	return fd_read_all(fd, max, ret, ret_len);
}
