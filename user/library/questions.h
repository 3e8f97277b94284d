/* The questions put to each kind of library; run in the confined half, after the last door has been shut. */
#ifndef QUESTIONS_H
#define QUESTIONS_H

#include "elf_file.h"
#include "image.h"
#include "library.h"
#include "onehot.h"
#include "util.h"

struct questions {
	const struct elf_file *elf;
	struct image image;
	uint8_t *object, *second; /* two made-up objects, to be filled anew for each question */
	char *reason;             /* REASON_MAX bytes: the first question that went without an answer */
};

/* A field with a plain accessor: it takes the object and returns the field's value. */
struct accessor {
	const char *name;
	unsigned width; /* 4: int, 8: pointer */
	size_t at;      /* of the answer in the layout: a __u16 */
};

/* True if the library has the function; otherwise the reason is noted. */
bool question_function(struct questions *questions, const char *name, void **ret);
/* True if r is 0; otherwise the reason is noted: the accessor's name, and none or several fields fit. */
bool question_answered(struct questions *questions, const char *name, int r);
/* Asks each; stops at the first without an answer. */
bool question_accessors(struct questions *questions, const struct accessor *accessors, size_t count, void *layout);
/* The string that a function returns for that argument, cut at size. Empty if it is not printable. */
bool question_version(struct questions *questions, const char *name, long argument, char *out, size_t size);

bool openssl_ask_crypto(struct questions *questions, struct openssl_layout *ret, char version[VERSION_MAX]);
bool openssl_ask_ssl(struct questions *questions, struct openssl_layout *ret);
/* Where the functions are that go on with a handshake, as addresses in the file; 0: not known. */
struct handshake_functions {
	uint64_t connect, accept;
};
/* Optional: what a finished handshake is told by. Without an answer to all that is needed ret stays as it is. */
void openssl_ask_finished(const struct questions *questions, struct openssl_layout *ret,
			  struct handshake_functions *ret_functions);
/* Part of openssl_ask_ssl, and optional: without an answer ret stays as it is. */
void openssl_ask_hello(const struct questions *questions, struct openssl_layout *ret);
bool gnutls_ask(struct questions *questions, struct gnutls_layout *ret, char version[VERSION_MAX]);
/* Parts of gnutls_ask; the second is optional: what goes without an answer stays as it is. */
bool gnutls_ask_name(struct questions *questions, struct gnutls_layout *ret);
void gnutls_ask_session(const struct questions *questions, struct gnutls_layout *ret);

/* What the libraries' imports are bound to, for image_relocate. */
extern const struct binding openssl_bindings[], gnutls_bindings[];
extern const size_t openssl_bindings_count, gnutls_bindings_count;

#endif
