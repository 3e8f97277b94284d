/* Test certificates made by tests/fixtures/make.sh, for any unit test. Include after cmocka.h. Defines no function that is
 * unused where it is included: all are static inline. */
#ifndef FIXTURE_H
#define FIXTURE_H

#include <string.h>

#include "certificate.h"
#include "util.h"

struct fixture_chain {
	struct certificate **certs;
	size_t count;
};

static inline char *fixture_text(const char *file, size_t *ret_len)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", FIXTURES, file);
	char *text = NULL;

	assert_int_equal(file_read(path, 16 << 20, &text, ret_len), 0);
	return text;
}

static inline struct fixture_chain fixture_chain(const char *file)
{
	struct fixture_chain chain = {0};
	CLEANUP_FREE char *text = NULL;
	size_t len = 0;

	text = fixture_text(file, &len);
	assert_int_equal(certificates_from_pem(text, len, &chain.certs, &chain.count), 0);
	return chain;
}

static inline void fixture_chain_clear(struct fixture_chain *chain)
{
	certificates_free(chain->certs, chain->count);
	*chain = (struct fixture_chain){0};
}

/* The first certificate of the file. */
static inline struct certificate *fixture_certificate(const char *file)
{
	struct fixture_chain chain = fixture_chain(file);
	struct certificate *first = TAKE_PTR(chain.certs[0]);

	fixture_chain_clear(&chain);
	return first;
}

#endif
