/* SipHash-2-4-128 against OpenSSL's, whole words only, and against the published vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/types.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "random_case.h"
#include "siphash.h"
#include "util.h"

enum { INPUT_MAX = 4096, KEY_BYTES = 16, VALUE_BYTES = 16 };

static struct siphash_key key_of(const uint8_t bytes[KEY_BYTES])
{
	struct siphash_key key;

	_Static_assert(sizeof(key) == KEY_BYTES, "a key is its two words");
	memcpy(&key, bytes, sizeof(key));
	return key;
}

static void ours(const uint8_t key_bytes[KEY_BYTES], const uint8_t *data, size_t len, uint8_t ret[VALUE_BYTES])
{
	struct siphash_key key = key_of(key_bytes);
	struct siphash_value value;
	struct siphash s;

	siphash_begin(&s, &key);
	for (size_t i = 0; i < len; i += 8) {
		__u64 word;

		memcpy(&word, data + i, sizeof(word));
		siphash_add(&s, word);
	}
	value = siphash_end(&s);
	memcpy(ret, &value, VALUE_BYTES);
}

static void theirs(EVP_MAC_CTX *ctx, const uint8_t key[KEY_BYTES], const uint8_t *data, size_t len, uint8_t ret[VALUE_BYTES])
{
	size_t size = VALUE_BYTES, written = 0;
	OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size), OSSL_PARAM_construct_end()};

	assert_int_equal(EVP_MAC_init(ctx, key, KEY_BYTES, params), 1);
	assert_int_equal(EVP_MAC_update(ctx, data, len), 1);
	assert_int_equal(EVP_MAC_final(ctx, ret, &written, VALUE_BYTES), 1);
	assert_int_equal(written, VALUE_BYTES);
}

static EVP_MAC_CTX *context_new(void)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
	EVP_MAC_CTX *ctx;

	assert_non_null(mac);
	ctx = EVP_MAC_CTX_new(mac);
	assert_non_null(ctx);
	EVP_MAC_free(mac);
	return ctx;
}

static void random_fill(uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)random_below(256);
}

static void it_is_what_openssl_computes(void **state)
{
	EVP_MAC_CTX *ctx = context_new();
	CLEANUP_FREE uint8_t *data = xcalloc(INPUT_MAX, 1);

	(void)state;
	random_start();
	for (size_t len = 0; len <= INPUT_MAX; len += 8) {
		uint8_t key[KEY_BYTES], a[VALUE_BYTES], b[VALUE_BYTES];

		random_fill(key, sizeof(key));
		random_fill(data, len);
		ours(key, data, len, a);
		theirs(ctx, key, data, len, b);
		assert_memory_equal(a, b, VALUE_BYTES);
	}
	EVP_MAC_CTX_free(ctx);
}

/* Key 00 01 … 0f, input 00 01 … : of the reference code's table, the lengths that are whole words. */
static void the_published_vectors(void **state)
{
	static const char *const vectors[] = {
		"a3817f04ba25a8e66df67214c7550293", "3b62a9ba6258f5610f83e264f31497b4", "6ee2a4ca67b054bbfd3315bf85230577",
		"2db479ae78bd50d8882a8a178a6132ad", "7c3956ca5eeafc3e363e9d556546eb68", "df6a301e95c95dad97ae0cc8c6913bd8",
		"f7e5aef549f782cf379055a608269b16", "1938f2cf72d54ee97e94166fa91d2a36",
	};
	uint8_t key[KEY_BYTES], data[8 * ARRAY_SIZE(vectors)];

	(void)state;
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		uint8_t value[VALUE_BYTES];
		char hex[2 * VALUE_BYTES + 1];

		ours(key, data, 8 * i, value);
		hex_encode(value, VALUE_BYTES, false, hex);
		assert_string_equal(hex, vectors[i]);
	}
}

/* What was added to a copy leaves the other as it was. */
static void a_copy_goes_its_own_way(void **state)
{
	const struct siphash_key key = {1, 2};
	struct siphash whole, copy;
	struct siphash_value a, b, c;

	(void)state;
	siphash_begin(&whole, &key);
	siphash_add(&whole, 7);
	copy = whole;
	a = siphash_end(&copy);
	siphash_add(&whole, 8);
	b = siphash_end(&whole);
	siphash_begin(&copy, &key);
	siphash_add(&copy, 7);
	c = siphash_end(&copy);
	assert_memory_equal(&a, &c, sizeof(a));
	assert_memory_not_equal(&a, &b, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_what_openssl_computes),
		cmocka_unit_test(the_published_vectors),
		cmocka_unit_test(a_copy_goes_its_own_way),
	};
	return cmocka_run_group_tests_name("siphash", tests, NULL, NULL);
}
