/* What the file holds: how many texts there are, and of each its name and itself; how many contents, and of each its error and
 * itself. A number is a u64, a string its length and its bytes.
 *
 * The reader believes the writer no length that the file is too short for. */
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

static int put_number(int fd, uint64_t number)
{
	return put(fd, &number, sizeof(number));
}

static int put_string(int fd, const char *text, uint64_t len)
{
	int err = put_number(fd, len);

	return err ? err : put(fd, text, len);
}

static int put_texts(int fd, const struct policy_texts *texts)
{
	int err = put_number(fd, texts->count);

	for (size_t i = 0; i < texts->count && !err; i++) {
		err = put_string(fd, texts->sources[i].file, strlen(texts->sources[i].file));
		if (!err)
			err = put_string(fd, texts->sources[i].text, texts->sources[i].len);
	}
	return err;
}

static int put_contents(int fd, const struct policy_contents *contents)
{
	int err = put_number(fd, contents->count);

	for (size_t i = 0; i < contents->count && !err; i++) {
		err = put_number(fd, contents->items[i].data ? 0 : (uint64_t)contents->items[i].error);
		if (!err)
			err = put_string(fd, contents->items[i].data, contents->items[i].data ? contents->items[i].len : 0);
	}
	return err;
}

int policy_pack(const struct policy_texts *texts, const struct policy_contents *contents)
{
	int fd CLEANUP_CLOSE = memfd_create("policies", MFD_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = put_texts(fd, texts);
	if (!err)
		err = put_contents(fd, contents);
	if (!err && lseek(fd, 0, SEEK_SET) < 0)
		err = -errno;
	return err ? err : TAKE_FD(fd);
}

/* --- reading -------------------------------------------------------------------------------------------------------- */

struct pack {
	int fd;
	uint64_t left; /* bytes that were not taken yet */
};

static bool take(struct pack *pack, void *ret, uint64_t len)
{
	if (len > pack->left)
		return false;
	for (uint64_t done = 0; done < len;) {
		ssize_t got = read(pack->fd, (char *)ret + done, len - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		done += (uint64_t)got;
	}
	pack->left -= len;
	return true;
}

static bool take_number(struct pack *pack, uint64_t *ret)
{
	return take(pack, ret, sizeof(*ret));
}

/* Ended by a NUL that does not count. */
static bool take_string(struct pack *pack, char **ret, size_t *ret_len)
{
	CLEANUP_FREE char *text = NULL;
	uint64_t len;

	if (!take_number(pack, &len) || len > pack->left)
		return false;
	text = xrealloc(NULL, len + 1, 1);
	if (!take(pack, text, len))
		return false;
	text[len] = '\0';
	*ret = TAKE_PTR(text);
	*ret_len = len;
	return true;
}

static bool take_texts(struct pack *pack, struct policy_texts *ret)
{
	uint64_t count;

	/* Each takes two numbers at least. */
	if (!take_number(pack, &count) || count > pack->left / (2 * sizeof(uint64_t)))
		return false;
	ret->sources = xcalloc(count ? count : 1, sizeof(*ret->sources));
	for (; ret->count < count; ret->count++) {
		struct policy_source *source = &ret->sources[ret->count];
		CLEANUP_FREE char *file = NULL;
		size_t file_len;
		char *text;

		if (!take_string(pack, &file, &file_len) || !take_string(pack, &text, &source->len))
			return false;
		source->file = TAKE_PTR(file);
		source->text = text;
	}
	return true;
}

static bool take_contents(struct pack *pack, struct policy_contents *ret)
{
	uint64_t count;

	if (!take_number(pack, &count) || count > pack->left / (2 * sizeof(uint64_t)))
		return false;
	ret->items = xcalloc(count ? count : 1, sizeof(*ret->items));
	for (; ret->count < count; ret->count++) {
		struct policy_content *content = &ret->items[ret->count];
		CLEANUP_FREE char *data = NULL;
		uint64_t error;

		if (!take_number(pack, &error) || !take_string(pack, &data, &content->len))
			return false;
		content->error = (int)error;
		if (!error)
			content->data = TAKE_PTR(data);
	}
	return true;
}

int policy_unpack(int fd, struct policy_texts *ret_texts, struct policy_contents *ret_contents)
{
	CLEANUP(policy_texts_clear) struct policy_texts texts = {};
	CLEANUP(policy_contents_clear) struct policy_contents contents = {};
	off_t size = lseek(fd, 0, SEEK_END);
	struct pack pack = {.fd = fd, .left = (uint64_t)size};

	if (size < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	if (!take_texts(&pack, &texts) || !take_contents(&pack, &contents) || pack.left)
		return -EPROTO;
	*ret_texts = texts;
	*ret_contents = contents;
	texts = (struct policy_texts){};
	contents = (struct policy_contents){};
	return 0;
}
