/* Small things that every module may use: cleanup attributes, explicit ownership transfer, hex and base64, safe text. */
#ifndef UTIL_H
#define UTIL_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* TAKE_PTR(p): the value of p, which becomes NULL: ownership moves to the reader. TAKE_FD likewise, leaving -1. */
#define TAKE_PTR(p)                         \
	({                                  \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})
#define TAKE_FD(fd)                \
	({                         \
		int taken_ = (fd); \
		(fd) = -1;         \
		taken_;            \
	})

/* CLEANUP(f): calls f(&variable) when it goes out of scope. */
#define CLEANUP(f) __attribute__((cleanup(f)))
static inline void free_cleanup(void *p)
{
	free(*(void **)p);
}
static inline void close_cleanup(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
static inline void fclose_cleanup(FILE **f)
{
	if (*f)
		fclose(*f);
}
static inline void closedir_cleanup(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}
#define CLEANUP_FREE CLEANUP(free_cleanup)
#define CLEANUP_CLOSE CLEANUP(close_cleanup)
#define CLEANUP_FCLOSE CLEANUP(fclose_cleanup)
#define CLEANUP_CLOSEDIR CLEANUP(closedir_cleanup)

/* Memory that cannot be had ends the process with a message: the agent holds little, and a half-made verdict is worse. */
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t count, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t len);
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* hex: lower or upper case digits, NUL-terminated; out has 2 * len + 1 bytes. */
void hex_encode(const uint8_t *data, size_t len, bool upper, char *out);
/* Exactly len bytes from 2 * len hex digits, either case; false (out undefined) on anything else. */
bool hex_decode(const char *text, size_t text_len, uint8_t *out, size_t len);

/* Canonical base64 (RFC 4648 4, padded, unused bits zero); spaces: white space in between is passed over. out has room for
 * len / 4 * 3 bytes. False (out undefined) on anything else. */
bool base64_decode(const char *text, size_t len, bool spaces, uint8_t *out, size_t *ret_len);

/* base64 of a SHA-256: 44 characters, canonical (RFC 4648 4, unused bits zero). */
enum { SHA256_BYTES = 32, PIN_CHARS = 44 };
void pin_encode(const uint8_t sha256[SHA256_BYTES], char out[PIN_CHARS + 1]);
bool pin_decode(const char *text, size_t len, uint8_t out[SHA256_BYTES]);

/* Attacker's bytes as one line of valid UTF-8: control characters (C0, DEL, C1, U+2028/2029, bidirectional marks, what YAML
 * does not take), NULs and invalid UTF-8 become \xNN (lower case), a backslash becomes two. New memory, NUL-terminated. */
char *text_escape(const void *data, size_t len);

/* Whole file into new memory, NUL-terminated after len bytes. -EFBIG beyond max; -errno. */
int file_read(const char *path, size_t max, char **ret, size_t *ret_len);
int fd_read_all(int fd, size_t max, char **ret, size_t *ret_len);

#endif
