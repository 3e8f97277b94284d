/* util.h: encodings are strict and exact, text from the network is safe, files are bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "util.h"

static void test_hex(void **state)
{
	static const uint8_t data[] = {0x00, 0x1f, 0xa0, 0xff};
	uint8_t back[4];
	char text[9];

	(void)state;
	hex_encode(data, 4, false, text);
	assert_string_equal(text, "001fa0ff");
	hex_encode(data, 4, true, text);
	assert_string_equal(text, "001FA0FF");
	hex_encode(data, 0, true, text);
	assert_string_equal(text, "");
	assert_true(hex_decode("001fA0Ff", 8, back, 4));
	assert_memory_equal(back, data, 4);
	assert_false(hex_decode("001fa0f", 7, back, 4));
	assert_false(hex_decode("001fa0f", 7, back, 3));
	assert_false(hex_decode("001fa0ff00", 10, back, 4));
	assert_false(hex_decode("001fa0fg", 8, back, 4));
	assert_false(hex_decode("001fa0 f", 8, back, 4));
	assert_true(hex_decode("", 0, back, 0));
}

static void test_pin(void **state)
{
	/* SHA-256 of nothing. */
	static const char hex[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	static const char pin[] = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
	uint8_t sha256[SHA256_BYTES], back[SHA256_BYTES];
	char text[PIN_CHARS + 1];

	(void)state;
	assert_true(hex_decode(hex, strlen(hex), sha256, sizeof(sha256)));
	pin_encode(sha256, text);
	assert_string_equal(text, pin);
	assert_true(pin_decode(pin, PIN_CHARS, back));
	assert_memory_equal(back, sha256, SHA256_BYTES);
	memset(sha256, 0xff, sizeof(sha256));
	pin_encode(sha256, text);
	assert_string_equal(text, "//////////////////////////////////////////8=");
}

static void test_pin_has_one_spelling(void **state)
{
	static const char *const bad[] = {
		"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=", /* unused bits set */
		"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",  /* no padding */
		"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFUA", /* 33 bytes */
		"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuF==", /* 31 bytes */
		"47DEQpj8HBSa-/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", /* base64url */
		"47DEQpj8HBSa /TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
		"=7DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
		"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
		"",
		"=",
	};
	uint8_t sha256[SHA256_BYTES];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(pin_decode(bad[i], strlen(bad[i]), sha256));
	assert_false(pin_decode("47DEQpj8HBSa+/TImW+5\0CeuQeRkm5NMpJWZG3hSuFU=", PIN_CHARS, sha256));
}

static void test_base64(void **state)
{
	uint8_t out[16];
	size_t len;

	(void)state;
	assert_true(base64_decode("Zm9v\r\n YmE=\n", 12, true, out, &len));
	assert_int_equal(len, 5);
	assert_memory_equal(out, "fooba", 5);
	assert_true(base64_decode("Zg==", 4, false, out, &len));
	assert_int_equal(len, 1);
	assert_true(base64_decode("", 0, false, out, &len));
	assert_int_equal(len, 0);
	assert_false(base64_decode("Zm9v\n", 5, false, out, &len));
	assert_false(base64_decode("Zm9", 3, false, out, &len));
	assert_false(base64_decode("Z===", 4, false, out, &len));
	assert_false(base64_decode("====", 4, false, out, &len));
	assert_false(base64_decode("Zg==Zg==", 8, false, out, &len));
	assert_false(base64_decode("Zh==", 4, false, out, &len));
	assert_false(base64_decode("Zm9v\0Zm9", 8, true, out, &len));
}

static void escapes(const char *data, size_t len, const char *want)
{
	CLEANUP_FREE char *text = text_escape(data, len);

	assert_string_equal(text, want);
}
#define ESCAPES(literal, want) escapes(literal, sizeof(literal) - 1, want)

static void test_escape_keeps_text(void **state)
{
	(void)state;
	ESCAPES("", "");
	ESCAPES("plain, \"quoted\" text ~", "plain, \"quoted\" text ~");
	ESCAPES("Gru\xc3\x9f \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x94\x92",
		"Gru\xc3\x9f \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x94\x92");
}

static void test_escape_unsafe(void **state)
{
	(void)state;
	ESCAPES("a\0b", "a\\x00b");
	ESCAPES("a\nb\r\t\x1b[2J\x7f", "a\\x0ab\\x0d\\x09\\x1b[2J\\x7f");
	ESCAPES("\\x41", "\\\\x41");
	ESCAPES("\xc2\x85\xc2\x9b\xc2\xa0", "\\xc2\\x85\\xc2\\x9b\xc2\xa0");   /* C1; a hard space is text */
	ESCAPES("\xe2\x80\xa8\xe2\x80\xa9", "\\xe2\\x80\\xa8\\xe2\\x80\\xa9"); /* U+2028, U+2029 */
	ESCAPES("\xe2\x80\xae\xe2\x81\xa6\xd8\x9c", "\\xe2\\x80\\xae\\xe2\\x81\\xa6\\xd8\\x9c");
	ESCAPES("\xef\xbb\xbf\xef\xbf\xbf", "\\xef\\xbb\\xbf\\xef\\xbf\\xbf"); /* U+FEFF, U+FFFF */
}

static void test_escape_invalid_utf8(void **state)
{
	(void)state;
	ESCAPES("a\xff"
		"b",
		"a\\xffb");
	ESCAPES("\xc3", "\\xc3"); /* cut */
	ESCAPES("\xe2\x82", "\\xe2\\x82");
	ESCAPES("\xf0\x9f\x94", "\\xf0\\x9f\\x94");
	ESCAPES("\xc0\xaf", "\\xc0\\xaf"); /* overlong */
	ESCAPES("\xe0\x80\xaf", "\\xe0\\x80\\xaf");
	ESCAPES("\xf0\x80\x80\xaf", "\\xf0\\x80\\x80\\xaf");
	ESCAPES("\xed\xa0\x80", "\\xed\\xa0\\x80");          /* surrogate */
	ESCAPES("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* beyond U+10FFFF */
	ESCAPES("\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80");
	ESCAPES("\xc3(\x80", "\\xc3(\\x80");
}

static void test_memory(void **state)
{
	CLEANUP_FREE char *none = xcalloc(0, 0);
	CLEANUP_FREE char *cut = xstrndup("certificate", 4);
	CLEANUP_FREE char *whole = xstrndup("abc", 100);
	CLEANUP_FREE char *text = xasprintf("%s-%d", "a", 7);
	CLEANUP_FREE char *copy = xstrdup(text);
	char *taken = copy;

	(void)state;
	assert_non_null(none);
	assert_string_equal(cut, "cert");
	assert_string_equal(whole, "abc");
	assert_string_equal(copy, "a-7");
	none = xrealloc(none, 0, 8);
	assert_non_null(none);
	assert_ptr_equal(TAKE_PTR(copy), taken);
	assert_null(copy);
	copy = taken;
}

static void test_file_read(void **state)
{
	char path[] = "/tmp/test_util.XXXXXX";
	CLEANUP_CLOSE int fd = mkstemp(path);
	CLEANUP_FREE char *text = NULL;
	size_t len = 4711;
	int r;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "one\0two", 7), 7);
	r = file_read(path, 6, &text, &len);
	assert_int_equal(r, -EFBIG);
	assert_null(text);
	assert_int_equal(len, 4711);
	r = file_read(path, 7, &text, &len);
	unlink(path);
	assert_int_equal(r, 0);
	assert_int_equal(len, 7);
	assert_memory_equal(text, "one\0two", 8);
	assert_int_equal(file_read(path, 7, &text, &len), -ENOENT);
	assert_int_equal(file_read("/tmp", 7, &text, &len), -EISDIR);
}

static void test_file_without_a_size(void **state)
{
	CLEANUP_FREE char *text = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(file_read("/proc/self/status", 1 << 20, &text, &len), 0);
	assert_int_equal(strlen(text), len);
	assert_non_null(strstr(text, "Pid:"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_pin),
		cmocka_unit_test(test_pin_has_one_spelling),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_escape_keeps_text),
		cmocka_unit_test(test_escape_unsafe),
		cmocka_unit_test(test_escape_invalid_utf8),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_file_read),
		cmocka_unit_test(test_file_without_a_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
