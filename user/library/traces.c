/* Searches a file for many texts in one pass.
 *
 * Horspool's search for a set of needles, as Wu and Manber describe it: the last four bytes of a window as wide as the shortest
 * needle tell by how much it may move on, mostly by its whole width. So the time hardly depends on the number of needles,
 * and most bytes are never looked at. The tables are made for each file, which takes microseconds.
 *
 * Every text but the names was found in stripped programs and libraries of Debian, and is the code's own: the text of an error,
 * the name of a source file or a function; nothing that a program has which only calls such code, or names it.
 */
#include "traces.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "util.h"

enum {
	PIECE = 256 << 10, /* read at a time: stays in a processor's cache */
	BLOCK = 4,         /* bytes looked at for each move */
	SHIFTS_BITS = 13,
	SHIFTS = 1 << SHIFTS_BITS,
	LENGTH_MAX = 80, /* of a needle, its NUL included; a longer one would not be found, as a unit test would tell */
};

/* In two parts, so that our own file has none of them. */
#define TEXT(head, tail, trace)                                    \
	{                                                          \
		head, tail, sizeof(head) + sizeof(tail) - 2, trace \
	}
/* With the NUL that ends it in a table of names; before it may stand anything, as linkers let names share their ends. */
#define NAME(head, tail, trace)                                    \
	{                                                          \
		head, tail, sizeof(head) + sizeof(tail) - 1, trace \
	}

static const struct needle {
	const char *head, *tail;
	size_t len;
	uint32_t trace;
} needles[] = {
	NAME("X509_", "verify_cert", TRACE_X509_VERIFY),
	NAME("SSL_get_", "verify_mode", TRACE_SSL),
	NAME("gnutls_", "handshake", TRACE_GNUTLS),
	/* OpenSSL from 1.1.0 on, with and without the names of its source files; LibreSSL, OpenSSL 1.0.2; BoringSSL, AWS-LC. */
	TEXT("ssl/statem/", "statem_clnt.c", TRACE_OPENSSL_TEXT),
	TEXT("tls_process_", "server_certificate", TRACE_OPENSSL_TEXT),
	TEXT("ssl3_get_", "server_certificate", TRACE_OPENSSL_TEXT),
	TEXT("ssl/handshake_", "client.cc", TRACE_OPENSSL_TEXT),
	TEXT("An unexpected TLS handshake ", "packet was received.", TRACE_GNUTLS_TEXT),
	/* From the table of functions that the run-time keeps; and without it (gccgo, or names made unreadable). */
	TEXT("crypto/tls.(*Conn)", ".verifyServerCertificate", TRACE_GO),
	TEXT("tls: server's certificate contains ", "an unsupported type of public key", TRACE_GO),
	TEXT("received corrupt ", "message of type ", TRACE_RUSTLS),
	TEXT("presented server name ", "type wasn't supported", TRACE_RUSTLS),
	TEXT("Peer reports negotiation not in ", "compliance with export regulations.", TRACE_NSS),
	TEXT("The certificate has been ", "revoked (is on a CRL)", TRACE_MBEDTLS),
	TEXT("! Certificate ", "verification flags", TRACE_MBEDTLS),
	TEXT("ASN CRL no signer error ", "to confirm failure", TRACE_WOLFSSL),
	TEXT("DTLS trying to send too ", "much in single datagram error", TRACE_WOLFSSL),
	TEXT("java/lang/invoke/", "MethodHandleNatives", TRACE_JAVA),
};

/* Which file has which of them, in the order in which they are told. */
static const struct {
	uint32_t trace;
	const char *name, *why;
} foreign[] = {
	{TRACE_GO, "Go's crypto/x509", "Go's own crypto/x509 verifies certificates, not OpenSSL or GnuTLS"},
	{TRACE_RUSTLS, "rustls", "rustls verifies certificates, not OpenSSL or GnuTLS"},
	{TRACE_JAVA, "Java", "Java's own classes verify certificates, not OpenSSL or GnuTLS"},
	{TRACE_NSS, "NSS", "NSS verifies certificates, not OpenSSL or GnuTLS"},
	{TRACE_MBEDTLS, "Mbed TLS", "Mbed TLS verifies certificates, not OpenSSL or GnuTLS"},
	{TRACE_WOLFSSL, "wolfSSL", "wolfSSL verifies certificates, not OpenSSL or GnuTLS"},
	{TRACE_OPENSSL_TEXT, "OpenSSL without symbols",
	 "it has OpenSSL's code, but not the names of its functions: it was stripped"},
	{TRACE_GNUTLS_TEXT, "GnuTLS without symbols",
	 "it has GnuTLS's code, but not the names of its functions: it was stripped"},
};

struct search {
	char texts[ARRAY_SIZE(needles)][LENGTH_MAX]; /* the needles */
	size_t width, longest;                       /* of the shortest and the longest */
	size_t full;                                 /* the widest move */
	uint8_t shifts[SHIFTS]; /* by a block's hash: how far the window may move; 0: a needle may fill it */
};

static uint32_t block_hash(const char *block)
{
	uint32_t value;

	memcpy(&value, block, BLOCK);
	return value * 0x9e3779b1u >> (32 - SHIFTS_BITS);
}

/* How far the window may move whose last block is one of the needle's. */
static void shifts_lower(struct search *search, const char *text)
{
	for (size_t at = 0; at + BLOCK <= search->width; at++) {
		uint8_t *shift = &search->shifts[block_hash(text + at)];
		size_t move = search->width - BLOCK - at;

		if (move < *shift)
			*shift = (uint8_t)move;
	}
}

static void search_prepare(struct search *search)
{
	search->width = SIZE_MAX;
	search->longest = 0;
	memset(search->texts, 0, sizeof(search->texts));
	for (size_t i = 0; i < ARRAY_SIZE(needles); i++) {
		size_t head = strlen(needles[i].head);

		memcpy(search->texts[i], needles[i].head, head);
		memcpy(search->texts[i] + head, needles[i].tail, needles[i].len - head);
		if (needles[i].len < search->width)
			search->width = needles[i].len;
		if (needles[i].len > search->longest)
			search->longest = needles[i].len;
	}
	search->full = search->width - BLOCK + 1;
	memset(search->shifts, (int)search->full, sizeof(search->shifts));
	for (size_t i = 0; i < ARRAY_SIZE(needles); i++)
		shifts_lower(search, search->texts[i]);
}

/* Those that begin at start, where len bytes are. */
static uint32_t traces_at(const struct search *search, const char *start, size_t len)
{
	uint32_t found = 0;

	for (size_t i = 0; i < ARRAY_SIZE(needles); i++)
		if (needles[i].len <= len && memcmp(start, search->texts[i], needles[i].len) == 0)
			found |= needles[i].trace;
	return found;
}

static size_t shift_at(const struct search *search, const char *end)
{
	return search->shifts[block_hash(end - BLOCK)];
}

/* Four windows in a row without a needle. Taken together, as none of these looks has to wait for another: twice as fast. */
static bool four_full(const struct search *search, const char *end)
{
	size_t full = search->full;

	return shift_at(search, end) + shift_at(search, end + full) + shift_at(search, end + 2 * full) +
		       shift_at(search, end + 3 * full) ==
	       4 * full;
}

static uint32_t piece_search(const struct search *search, const char *piece, size_t len)
{
	uint32_t found = 0;

	for (size_t end = search->width; end <= len;) {
		size_t shift;

		while (end + 3 * search->full <= len && four_full(search, piece + end))
			end += 4 * search->full;
		if (end > len)
			break;
		shift = shift_at(search, piece + end);
		if (shift == 0) {
			found |= traces_at(search, piece + end - search->width, len - (end - search->width));
			shift = 1;
		}
		end += shift;
	}
	return found;
}

int traces_search(int fd, int64_t size, uint32_t *ret)
{
	struct search search;
	char *piece CLEANUP_FREE = NULL;
	uint32_t found = 0;
	size_t kept = 0;

	search_prepare(&search);
	piece = xcalloc(1, PIECE + search.longest);
	for (int64_t at = 0; at < size && at < TRACES_BYTES_MAX;) {
		ssize_t got = pread(fd, piece + kept, PIECE, at);
		size_t filled;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		at += got;
		filled = kept + (size_t)got;
		found |= piece_search(&search, piece, filled);
		/* One may lie across two pieces. */
		kept = filled < search.longest - 1 ? filled : search.longest - 1;
		memmove(piece, piece + filled - kept, kept);
	}
	*ret = found;
	return 0;
}

static size_t foreign_find(uint32_t traces)
{
	size_t i = 0;

	if (traces & (TRACE_X509_VERIFY | TRACE_SSL))
		traces &= ~(uint32_t)TRACE_OPENSSL_TEXT;
	if (traces & TRACE_GNUTLS)
		traces &= ~(uint32_t)TRACE_GNUTLS_TEXT;
	while (i < ARRAY_SIZE(foreign) && !(traces & foreign[i].trace))
		i++;
	return i;
}

const char *traces_name(uint32_t traces)
{
	size_t i = foreign_find(traces);

	return i < ARRAY_SIZE(foreign) ? foreign[i].name : NULL;
}

const char *traces_why(uint32_t traces)
{
	size_t i = foreign_find(traces);

	return i < ARRAY_SIZE(foreign) ? foreign[i].why : NULL;
}
