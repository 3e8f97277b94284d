/* A library file that may verify certificates, and what it answered when asked where its fields are.
 *
 * library_ask() runs the file's own accessors in a confined process (see user/library/ask.c); nothing in the answer is
 * trusted: library_answer_check() refuses offsets and sites out of range. Functions return 0 or -errno. */
#ifndef LIBRARY_H
#define LIBRARY_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"

/* Functions that probes sit on. */
enum site {
	SITE_X509_VERIFY_CERT,
	SITE_SSL_DO_HANDSHAKE, /* in the libssl; SSL_connect and SSL_accept call it. Only if the next two are not known */
	SITE_SSL_CONNECT, /* what goes on with a handshake, whoever drives it (SSL_read, too): the libssl's own functions, */
	SITE_SSL_ACCEPT,  /* not exported under any name, found by asking */
	SITE_GNUTLS_HANDSHAKE,
	SITE_GNUTLS_VERIFY_PEERS, /* gnutls_certificate_verify_peers: verify_peers2 and 3 and the automatic one call it */
	SITE_GNUTLS_REAUTH,       /* a server asks for a certificate after the handshake (TLS 1.3) */
	SITE_GNUTLS_DEINIT,
	SITE_COUNT,
};
extern const char *const site_names[SITE_COUNT];

/* What a file can answer for. A libcrypto has PART_CRYPTO, a libssl PART_SSL, a static program both. */
enum part { PART_CRYPTO = 1, PART_SSL = 2, PART_GNUTLS = 4 };

enum { BUILD_ID_MAX = 32, VERSION_MAX = 64, REASON_MAX = 160 };

struct library_answer {
	uint32_t parts;            /* enum part, those that answered completely */
	uint32_t wanted;           /* enum part, those whose functions the file has: wanted & ~parts did not answer */
	uint64_t site[SITE_COUNT]; /* file offset for the uprobe, 0 if the function is not there */
	char version[VERSION_MAX]; /* what the library says of itself: "3.0.22", "3.7.9" */
	uint8_t build_id[BUILD_ID_MAX];
	uint32_t build_id_len;
	char reason[REASON_MAX];       /* why wanted & ~parts did not answer, or why nothing is wanted; or empty */
	struct openssl_layout openssl; /* valid as far as parts says */
	struct gnutls_layout gnutls;
};

/* The reason of a file that only uses such functions of another, or names them: nothing to report. */
#define LIBRARY_NOT_CONCERNED "it has none of the functions that verify certificates"

/* Asks the ELF file open at fd, whose mapping is made from it: a child process of its own, without privilege, network or
 * files, killed after ASK_TIMEOUT_MS, to which is added what it had to wait for a processor, up to ASK_WAITED_MAX_MS. *ret
 * is set also when parts is 0; its reason then says why. -ETIMEDOUT: it did not end; -EPROTO: it died or gave nonsense;
 * other -errno: it could not be started. The caller keeps fd, and must not let another thread reap the child.
 * /proc/self/exe must answer the command `ask-library` with library_answer_main. */
enum { ASK_TIMEOUT_MS = 3000, ASK_WAITED_MAX_MS = 60000 };
int library_ask(int fd, struct library_answer *ret);

/* The layout of a libcrypto with its libssl (or of a file that is both, given twice). */
struct library_layout library_pair_layout(const struct library_answer *crypto, const struct library_answer *ssl);

/* Range checks on an answer: 0 or -EPROTO. Pure. */
int library_answer_check(const struct library_answer *answer, uint64_t file_size);

/* The confined half, run by the hidden command `ask-library` with the file on fd 3 and the answer's pipe on fd 4. */
int library_answer_main(void);

/* Picks, from the first bytes of an x86-64 function, the offset of the first instruction that the kernel emulates and
 * before which neither the stack pointer nor an argument register changed; 0 if there is none early on. Pure. */
size_t site_pick(const uint8_t *code, size_t len);
/* The same for a function of which only the first argument is to be known. */
size_t site_pick_first(const uint8_t *code, size_t len);

#endif
