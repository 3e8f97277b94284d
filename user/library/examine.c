/* Looking at one file.
 *
 * Most executable files on a host have nothing to do with TLS. So before a file is asked, which costs a process, its bytes
 * are searched for names (traces.h). Nothing is parsed here but the first bytes of the header.
 *
 * Asking takes some 15 ms of processor time, and on a host with containers the same library lies there many times. So
 * answers are also kept by content: a file of the same size and the same SHA-256 gives the same answer. The bytes that are
 * hashed must be those that are asked, or whoever can write to a file would swap them in between and have its own
 * answer kept for a genuine library: so both are done with a sealed copy, in memory. A copy is made only if there was a
 * candidate of that size before; the first of its kind is asked as it is, and that answer is not kept. */
#include "examine.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "traces.h"
#include "util.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

enum {
	PIECE = 256 << 10,
	COPY_MAX = 64 << 20, /* larger files are asked each time */
	KEPT_MAX = 64,       /* answers; the one longest unused makes room */
	SIZES_MAX = 256,     /* sizes of candidates; the oldest makes room, and its like is asked once more */
};

struct kept {
	int64_t size; /* 0: empty */
	uint8_t sha256[SHA256_BYTES];
	uint64_t used;
	struct library_answer answer;
};

struct contents {
	pthread_mutex_t lock;
	struct kept kept[KEPT_MAX];
	int64_t sizes[SIZES_MAX];
	size_t sizes_at;
	uint64_t clock;
};

void contents_new(struct contents **ret)
{
	struct contents *contents = xcalloc(1, sizeof(*contents));

	pthread_mutex_init(&contents->lock, NULL);
	*ret = contents;
}

void contents_free(struct contents *contents)
{
	if (!contents)
		return;
	pthread_mutex_destroy(&contents->lock);
	free(contents);
}

/* Was there one of that size? Now there was. */
static bool size_seen(struct contents *contents, int64_t size)
{
	bool seen = false;

	pthread_mutex_lock(&contents->lock);
	for (size_t i = 0; i < SIZES_MAX && !seen; i++)
		seen = contents->sizes[i] == size;
	if (!seen)
		contents->sizes[contents->sizes_at++ % SIZES_MAX] = size;
	pthread_mutex_unlock(&contents->lock);
	return seen;
}

static bool answer_find(struct contents *contents, int64_t size, const uint8_t sha256[SHA256_BYTES],
			struct library_answer *ret)
{
	bool found = false;

	pthread_mutex_lock(&contents->lock);
	for (size_t i = 0; i < KEPT_MAX && !found; i++) {
		struct kept *kept = &contents->kept[i];
		found = kept->size == size && memcmp(kept->sha256, sha256, SHA256_BYTES) == 0;
		if (!found)
			continue;
		kept->used = ++contents->clock;
		*ret = kept->answer;
	}
	pthread_mutex_unlock(&contents->lock);
	return found;
}

static void answer_keep(struct contents *contents, int64_t size, const uint8_t sha256[SHA256_BYTES],
			const struct library_answer *answer)
{
	struct kept *oldest = &contents->kept[0];

	pthread_mutex_lock(&contents->lock);
	for (size_t i = 1; i < KEPT_MAX; i++)
		if (contents->kept[i].used < oldest->used)
			oldest = &contents->kept[i];
	*oldest = (struct kept){.size = size, .used = ++contents->clock, .answer = *answer};
	memcpy(oldest->sha256, sha256, SHA256_BYTES);
	pthread_mutex_unlock(&contents->lock);
}

static void digest_cleanup(EVP_MD_CTX **digest)
{
	EVP_MD_CTX_free(*digest);
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t written = write(fd, data, len);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		data += written;
		len -= (size_t)written;
	}
	return 0;
}

/* A sealed copy in memory and its SHA-256; -errno. The file must be as long as it was. */
static int copy_make(int fd, int64_t size, const atomic_bool *stop, uint8_t ret_sha256[SHA256_BYTES], int *ret_fd)
{
	CLEANUP(digest_cleanup) EVP_MD_CTX *digest = EVP_MD_CTX_new();
	char *piece CLEANUP_FREE = xcalloc(1, PIECE);
	int copy CLEANUP_CLOSE = memfd_create("tlswarden-content", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	int64_t at = 0;

	if (copy < 0 && errno == EINVAL) /* before 6.3 */
		copy = memfd_create("tlswarden-content", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (copy < 0)
		return -errno;
	if (!digest || EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1)
		return -ENOMEM;
	while (at < size) {
		ssize_t got = pread(fd, piece, PIECE, at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EAGAIN;
		if (atomic_load(stop))
			return -ECANCELED;
		if (at + got > size)
			got = (ssize_t)(size - at);
		if (EVP_DigestUpdate(digest, piece, (size_t)got) != 1)
			return -ENOMEM;
		int err = write_all(copy, piece, (size_t)got);
		if (err)
			return err;
		at += got;
	}
	if (EVP_DigestFinal_ex(digest, ret_sha256, NULL) != 1)
		return -ENOMEM;
	if (fcntl(copy, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return -errno;
	*ret_fd = TAKE_FD(copy);
	return 0;
}

/* One that did not answer is asked again: it may have been the machine's fault. */
static int ask_copy(struct contents *contents, int fd, int64_t size, const atomic_bool *stop, struct library_answer *ret)
{
	uint8_t sha256[SHA256_BYTES];
	int copy CLEANUP_CLOSE = -1;
	int err = copy_make(fd, size, stop, sha256, &copy);

	if (err)
		return err == -ECANCELED ? err : library_ask(fd, ret);
	if (answer_find(contents, size, sha256, ret))
		return 0;
	err = library_ask(copy, ret);
	if (!err)
		answer_keep(contents, size, sha256, ret);
	return err;
}

static int content_ask(struct contents *contents, int fd, int64_t size, const atomic_bool *stop, struct library_answer *ret)
{
	int err;

	if (size > 0 && size <= COPY_MAX && size_seen(contents, size))
		err = ask_copy(contents, fd, size, stop, ret);
	else
		err = library_ask(fd, ret);
	if (err == -ECANCELED)
		return err;
	if (err) {
		struct library_answer none = {};
		snprintf(none.reason, sizeof(none.reason), "it did not answer: %s",
			 err == -ETIMEDOUT ? "no end in time" :
			 err == -EPROTO    ? "it died, or its answer makes no sense" :
					     strerror(-err));
		*ret = none;
	}
	return 0;
}

/* Not asked, so what it has must be guessed: by its code's texts, or its name. */
static bool is_library(const char *path, uint32_t traces)
{
	static const char *const names[] = {"libcrypto.so", "libssl.so", "libgnutls.so"};
	const char *base = strrchr(path, '/');

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strncmp(base ? base + 1 : path, names[i], strlen(names[i])) == 0)
			return true;
	return traces & (TRACE_OPENSSL_TEXT | TRACE_GNUTLS_TEXT);
}

static bool is_elf32(int fd)
{
	unsigned char ident[EI_NIDENT];

	return pread(fd, ident, sizeof(ident), 0) == (ssize_t)sizeof(ident) && memcmp(ident, ELFMAG, SELFMAG) == 0 &&
	       ident[EI_CLASS] == ELFCLASS32;
}

int examine_file(struct contents *contents, int fd, const char *path, const atomic_bool *stop, struct examination *ret)
{
	struct examination found = {};
	struct stat stat;
	int err = fstat(fd, &stat) < 0 ? -errno : traces_search(fd, stat.st_size, &found.traces);

	if (err)
		return err;
	found.bits32 = is_elf32(fd);
	if (found.traces & TRACE_ASKABLE && !found.bits32) {
		err = content_ask(contents, fd, stat.st_size, stop, &found.answer);
		if (err)
			return err;
	} else if (found.traces & TRACE_ASKABLE && is_library(path, found.traces)) {
		snprintf(found.answer.reason, sizeof(found.answer.reason), "%s", LIBRARY_32_BITS);
	}
	*ret = found;
	return 0;
}
