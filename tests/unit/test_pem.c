/* pem.h and certificates_from_pem: which blocks are taken, and what a broken one does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "fixture.h"
#include "pem.h"

#define CLEANUP_CHAIN CLEANUP(fixture_chain_clear)

static void test_pem(void **state)
{
	CLEANUP_CHAIN struct fixture_chain chain = fixture_chain("big.chain.pem"), some = {0};
	CLEANUP_FREE char *leaf = NULL, *key = NULL, *text = NULL, *broken = NULL;
	size_t leaf_len = 0, key_len = 0;

	(void)state;
	assert_int_equal(chain.count, 12);
	for (size_t i = 0; i < chain.count; i++)
		assert_true(chain.certs[i]->parsed && chain.certs[i]->der_len > 16384);
	leaf = fixture_text("good-leaf.pem", &leaf_len);
	key = fixture_text("good-leaf.key", &key_len);
	text = xasprintf("subject=x\n%s%sbetween\n%s", key, leaf, leaf);
	assert_int_equal(certificates_from_pem(text, strlen(text), &some.certs, &some.count), 0);
	assert_int_equal(some.count, 2);
	assert_int_equal(certificates_from_pem(key, key_len, &some.certs, &some.count), -ENODATA);
	assert_int_equal(certificates_from_pem("", 0, &some.certs, &some.count), -ENODATA);
	assert_int_equal(certificates_from_pem(leaf, leaf_len - 5, &some.certs, &some.count), -EBADMSG);
	broken = xasprintf("%s%s", leaf, "-----BEGIN CERTIFICATE-----\nAA*A\n-----END CERTIFICATE-----\n");
	assert_int_equal(certificates_from_pem(broken, strlen(broken), &some.certs, &some.count), -EBADMSG);
	assert_int_equal(some.count, 2);
}

static void test_pem_goes_on_behind_a_broken_block(void **state)
{
	static const char text[] =
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n"
		"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
	struct pem_text rest = {text, sizeof(text) - 1};
	CLEANUP_FREE uint8_t *der = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(pem_next(&rest, &der, &len), -EBADMSG);
	assert_int_equal(pem_next(&rest, &der, &len), 1);
	assert_int_equal(len, 3);
	assert_memory_equal(der, "\1\2\3", 3);
	assert_int_equal(pem_next(&rest, &der, &len), -EBADMSG); /* empty */
	assert_int_equal(pem_next(&rest, &der, &len), 0);
	assert_int_equal(rest.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pem),
		cmocka_unit_test(test_pem_goes_on_behind_a_broken_block),
	};

	certificate_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
