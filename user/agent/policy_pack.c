/* Texts as length-prefixed bytes: u64 name length, name, u64 text length, text, and so on to the end. */
#include "policy_pack.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "util.h"

static int put(int fd, const void *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t written = write(fd, (const char *)data + done, len - done);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		done += (size_t)written;
	}
	return 0;
}

static int put_text(int fd, const char *text, uint64_t len)
{
	int err = put(fd, &len, sizeof(len));
	return err ? err : put(fd, text, len);
}

int policy_texts_pack(const struct policy_texts *texts)
{
	int fd CLEANUP_CLOSE = memfd_create("policies", MFD_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < texts->count && !err; i++) {
		err = put_text(fd, texts->sources[i].file, strlen(texts->sources[i].file));
		if (!err)
			err = put_text(fd, texts->sources[i].text, texts->sources[i].len);
	}
	if (!err && lseek(fd, 0, SEEK_SET) < 0)
		err = -errno;
	return err ? err : TAKE_FD(fd);
}

/* Takes the next text from *at; NULL if there is none whole. */
static char *take_text(const char *data, size_t len, size_t *at, size_t *ret_len)
{
	uint64_t size;
	char *text;

	if (len - *at < sizeof(size))
		return NULL;
	memcpy(&size, data + *at, sizeof(size));
	*at += sizeof(size);
	if (len - *at < size)
		return NULL;
	text = xstrndup("", 0);
	text = xrealloc(text, size + 1, 1);
	memcpy(text, data + *at, size);
	text[size] = '\0';
	*at += size;
	*ret_len = size;
	return text;
}

int policy_texts_unpack(int fd, struct policy_texts *ret)
{
	char *data CLEANUP_FREE = NULL;
	size_t len, at = 0, file_len;
	int err = fd_read_all(fd, (size_t)POLICY_FILE_MAX * 4, &data, &len);

	if (err)
		return err;
	while (at < len) {
		char *file = take_text(data, len, &at, &file_len), *text;
		size_t text_len = 0;
		text = file ? take_text(data, len, &at, &text_len) : NULL;
		if (!text) {
			free(file);
			policy_texts_clear(ret);
			return -EPROTO;
		}
		ret->sources = xrealloc(ret->sources, ret->count + 1, sizeof(*ret->sources));
		ret->sources[ret->count++] = (struct policy_source){.file = file, .text = text, .len = text_len};
	}
	return 0;
}
