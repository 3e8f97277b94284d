/* Properties of text: escaping, base64, pins, hex and timestamps, thousands of random cases each, against OpenSSL, libyaml and
 * the C library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <iconv.h>
#include <string.h>
#include <time.h>
#include <yaml.h>

#include <openssl/evp.h>

#include "../../user/policy/policy_internal.h"
#include "random_case.h"
#include "util.h"

enum { BYTES_MAX = 96 };

/* --- escaped text ---------------------------------------------------------------------------------------------------- */

/* Code points of valid UTF-8 as the C library sees it; -1 if it is not valid. */
static int codes_of(const char *text, size_t len, uint32_t *out)
{
	iconv_t to = iconv_open("UCS-4LE", "UTF-8");
	char *in = (char *)text, *at = (char *)out;
	size_t room = sizeof(*out) * 4 * BYTES_MAX, left = len;
	size_t r;

	assert_true(to != (iconv_t)-1);
	r = iconv(to, &in, &left, &at, &room);
	iconv_close(to);
	if (r == (size_t)-1)
		return -1;
	/* It goes on where RFC 3629 stops. */
	for (const uint32_t *code = out; (const char *)code < at; code++)
		if (*code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000))
			return -1;
	return (int)((at - (char *)out) / 4);
}

/* What util.h says must not be there. */
static bool is_unsafe(uint32_t code)
{
	static const uint32_t unsafe[] = {0x2028, 0x2029, 0x61c,  0x200e, 0x200f, 0x202a, 0x202b, 0x202c,
					  0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069, 0xfeff};

	for (size_t i = 0; i < ARRAY_SIZE(unsafe); i++)
		if (code == unsafe[i])
			return true;
	return code < ' ' || (code >= 0x7f && code < 0xa0) || (code & 0xffff) >= 0xfffe;
}

/* UTF-8 of any number of up to 21 bits, a code point or not. */
static size_t utf8_put(uint32_t code, uint8_t *out)
{
	if (code < 0x80) {
		out[0] = (uint8_t)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (uint8_t)(0xc0 | code >> 6);
		out[1] = (uint8_t)(0x80 | (code & 63));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (uint8_t)(0xe0 | code >> 12);
		out[1] = (uint8_t)(0x80 | (code >> 6 & 63));
		out[2] = (uint8_t)(0x80 | (code & 63));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | code >> 18);
	out[1] = (uint8_t)(0x80 | (code >> 12 & 63));
	out[2] = (uint8_t)(0x80 | (code >> 6 & 63));
	out[3] = (uint8_t)(0x80 | (code & 63));
	return 4;
}

/* wild: not only valid UTF-8. */
static size_t random_text(uint8_t out[BYTES_MAX], bool wild)
{
	static const uint32_t edges[] = {
		0,      9,      10,     13,     27,     '\\',   '"',    '\'',    0x7f,    0x80,    0x85,     0x9f,    0xa0,
		0x61c,  0x7ff,  0x800,  0x200d, 0x200e, 0x2028, 0x2029, 0x202a,  0x202e,  0x2030,  0x2065,   0x2066,  0x2069,
		0xd7ff, 0xe000, 0xfdd0, 0xfeff, 0xfffd, 0xfffe, 0xffff, 0x10000, 0x1fffe, 0x1f512, 0x10fffd, 0x10ffff};
	size_t len = 0, end = random_below(BYTES_MAX - 4);

	while (len < end) {
		switch (random_below(wild ? 6 : 3)) {
		case 0:
			len += utf8_put(' ' + (uint32_t)random_below(95), out + len);
			break;
		case 1:
			len += utf8_put(edges[random_below(ARRAY_SIZE(edges))], out + len);
			break;
		case 2:
			len += utf8_put((uint32_t)random_below(0xd800) >> random_below(16), out + len);
			break;
		case 3: /* surrogates, and beyond the last code point */
			len += utf8_put(random_below(2) ? 0xd800 + (uint32_t)random_below(0x800) :
							  0x110000 + (uint32_t)random_below(0xf0000),
					out + len);
			break;
		case 4: /* one byte too long */
			out[len++] = 0xc0 | (uint8_t)random_below(2);
			out[len++] = 0x80 | (uint8_t)random_below(64);
			break;
		default:
			out[len++] = (uint8_t)random_bits();
		}
	}
	return len;
}

static size_t unescaped(const char *text, uint8_t *out)
{
	size_t len = 0;

	for (; *text; text++) {
		if (*text != '\\') {
			out[len++] = (uint8_t)*text;
		} else if (text[1] == '\\') {
			out[len++] = '\\';
			text++;
		} else {
			assert_int_equal(text[1], 'x');
			assert_int_equal(strspn(text + 2, "0123456789abcdef") >= 2, 1);
			assert_true(hex_decode(text + 2, 2, out + len++, 1));
			text += 3;
		}
	}
	return len;
}

/* As a plain flow of YAML a reader gets the same text, in quotes of either kind. */
static void expect_yaml(const char *text)
{
	yaml_parser_t parser;
	yaml_token_t token;
	char source[8 * BYTES_MAX + 4], *at = source;

	*at++ = '\'';
	for (const char *c = text; *c; c++) {
		if (*c == '\'')
			*at++ = '\'';
		*at++ = *c;
	}
	*at++ = '\'';
	assert_int_equal(yaml_parser_initialize(&parser), 1);
	yaml_parser_set_input_string(&parser, (const uint8_t *)source, (size_t)(at - source));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(yaml_parser_scan(&parser, &token), 1);
		if (i == 1) {
			assert_int_equal(token.type, YAML_SCALAR_TOKEN);
			assert_string_equal((const char *)token.data.scalar.value, text);
		}
		yaml_token_delete(&token);
	}
	yaml_parser_delete(&parser);
}

static void escaped_text(void **state)
{
	(void)state;
	random_start();
	for (int i = 0; i < 30000; i++) {
		uint32_t codes[4 * BYTES_MAX], in_codes[4 * BYTES_MAX];
		uint8_t bytes[BYTES_MAX], back[4 * BYTES_MAX];
		size_t len = random_text(bytes, i % 3), want = len;
		CLEANUP_FREE char *text = text_escape(bytes, len);
		int count = codes_of(text, strlen(text), codes), in_count = codes_of((const char *)bytes, len, in_codes);

		assert_true(count >= 0 && strlen(text) <= 4 * len);
		for (int j = 0; j < count; j++)
			assert_false(is_unsafe(codes[j]));
		assert_int_equal(unescaped(text, back), len);
		assert_memory_equal(back, bytes, len);
		expect_yaml(text);
		/* What is safe stays as it is: nothing is escaped without need. */
		if (in_count < 0)
			continue;
		for (int j = 0; j < in_count; j++) {
			uint8_t sequence[4];

			if (in_codes[j] == '\\')
				want++;
			else if (is_unsafe(in_codes[j]))
				want += 3 * utf8_put(in_codes[j], sequence);
		}
		assert_int_equal(strlen(text), want);
	}
}

/* --- base64, pins, hex ----------------------------------------------------------------------------------------------- */

static size_t random_bytes(uint8_t out[BYTES_MAX])
{
	size_t len = random_below(BYTES_MAX - 3);

	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)random_bits();
	return len;
}

/* Changes, inserts or drops a few characters. text has room for three more. */
static void spoil(char *text, const char *with)
{
	for (size_t changes = 1 + random_below(3); changes > 0; changes--) {
		size_t len = strlen(text), at = random_below(len + 1), way = random_below(3);

		if (way == 0 && at < len)
			text[at] = with[random_below(strlen(with))];
		else if (way == 1 && at < len)
			memmove(text + at, text + at + 1, len - at);
		else if (way == 2) {
			memmove(text + at + 1, text + at, len - at + 1);
			text[at] = with[random_below(strlen(with))];
		}
	}
}

/* Right is what OpenSSL decodes and would write in exactly that way again. */
static void expect_base64(const char *text)
{
	uint8_t want[3 * BYTES_MAX] = {0}, got[3 * BYTES_MAX];
	char again[4 * BYTES_MAX];
	size_t len = strlen(text), got_len = 0, padding = len - strcspn(text, "=");
	int want_len = len % 4 ? -1 : len ? EVP_DecodeBlock(want, (const uint8_t *)text, (int)len) : 0;

	if (want_len >= 0 && padding <= 2) {
		want_len -= (int)padding;
		EVP_EncodeBlock((uint8_t *)again, want, want_len);
		want_len = len && strcmp(again, text) ? -1 : want_len;
	} else {
		want_len = -1;
	}
	if (base64_decode(text, len, false, got, &got_len) != (want_len >= 0))
		fail_msg("'%s'", text);
	if (want_len < 0)
		return;
	assert_int_equal(got_len, want_len);
	assert_memory_equal(got, want, got_len);
}

static void base64(void **state)
{
	(void)state;
	random_start();
	for (int i = 0; i < 30000; i++) {
		uint8_t bytes[BYTES_MAX], back[3 * BYTES_MAX];
		size_t len = random_bytes(bytes), back_len = 0, at = 0;
		char text[2 * BYTES_MAX], spaced[4 * BYTES_MAX];

		*text = '\0';
		EVP_EncodeBlock((uint8_t *)text, bytes, (int)len);
		expect_base64(text);
		for (const char *c = text;; c++) {
			while (random_below(6) == 0 && at < sizeof(spaced) - 8)
				spaced[at++] = " \t\r\n"[random_below(4)];
			if (!*c)
				break;
			spaced[at++] = *c;
		}
		assert_true(base64_decode(spaced, at, true, back, &back_len));
		assert_int_equal(back_len, len);
		assert_memory_equal(back, bytes, len);
		spoil(text, "ABYZabyz0189+/==-_ \n\x80");
		expect_base64(text);
	}
}

static void pins(void **state)
{
	(void)state;
	random_start();
	for (int i = 0; i < 30000; i++) {
		uint8_t hash[SHA256_BYTES], back[SHA256_BYTES];
		char pin[PIN_CHARS + 4], want[PIN_CHARS + 1], again[PIN_CHARS + 1];

		for (size_t j = 0; j < sizeof(hash); j++)
			hash[j] = (uint8_t)random_bits();
		pin_encode(hash, pin);
		EVP_EncodeBlock((uint8_t *)want, hash, sizeof(hash));
		assert_string_equal(pin, want);
		assert_true(pin_decode(pin, strlen(pin), back));
		assert_memory_equal(back, hash, sizeof(hash));
		/* One key, one spelling: whatever else is taken is another key's own pin. */
		spoil(pin, "ABYZabyz0189+/==");
		if (pin_decode(pin, strlen(pin), back)) {
			pin_encode(back, again);
			assert_string_equal(pin, again);
		}
	}
}

static void hex(void **state)
{
	(void)state;
	random_start();
	for (int i = 0; i < 20000; i++) {
		uint8_t bytes[BYTES_MAX], back[BYTES_MAX + 2];
		size_t len = random_bytes(bytes);
		char text[2 * BYTES_MAX + 4];
		bool right;

		hex_encode(bytes, len, random_below(2), text);
		for (size_t j = 0; j < len; j++) {
			char two[3];

			snprintf(two, sizeof(two), "%02x", bytes[j]);
			assert_int_equal(strncasecmp(two, text + 2 * j, 2), 0);
		}
		assert_true(hex_decode(text, strlen(text), back, len));
		assert_memory_equal(back, bytes, len);
		spoil(text, "09afAFgG xX\x80");
		right = strlen(text) == 2 * len && strspn(text, "0123456789abcdefABCDEF") == strlen(text);
		assert_int_equal(hex_decode(text, strlen(text), back, len), right);
	}
}

/* --- timestamps ------------------------------------------------------------------------------------------------------ */

static void timestamps(void **state)
{
	const int64_t last = 253402300799; /* the end of 9999 */

	(void)state;
	random_start();
	for (int i = 0; i < 50000; i++) {
		time_t at = (time_t)(random_bits() % (uint64_t)(last + 1));
		int64_t got = -7;
		char text[48];
		struct tm tm;

		gmtime_r(&at, &tm);
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
		strcat(text, random_below(2) ? "Z" : random_below(2) ? ".5Z" : ".123456789Z");
		assert_true(timestamp_parse(text, &got));
		assert_int_equal(got, at);
		got = -7;
		text[random_below(strlen(text) + 1)] = "019:-T.Zz+ "[random_below(11)];
		if (!timestamp_parse(text, &got))
			assert_int_equal(got, -7);
	}
}

/* Numbers that are a date, and such as are none: the C library's calendar turns those into others. */
static void dates(void **state)
{
	size_t right = 0, wrong = 0;

	(void)state;
	random_start();
	for (int i = 0; i < 50000; i++) {
		static const int years[] = {1600, 1900, 1969, 1970, 1999, 2000, 2024, 2100, 2400, 9999};
		int year = random_below(2) ? years[random_below(10)] : (int)random_below(10000);
		int month = (int)random_below(14), day = (int)(random_below(3) ? 26 + random_below(8) : random_below(34));
		int hour = (int)random_below(26), minute = (int)random_below(62), second = (int)random_below(62);
		struct tm tm = {.tm_year = year - 1900,
				.tm_mon = month - 1,
				.tm_mday = day,
				.tm_hour = hour,
				.tm_min = minute,
				.tm_sec = second};
		time_t at = timegm(&tm);
		bool want = year >= 1970 && tm.tm_year == year - 1900 && tm.tm_mon == month - 1 && tm.tm_mday == day &&
			    tm.tm_hour == hour && tm.tm_min == minute && tm.tm_sec == second;
		int64_t got = -7;
		char text[64];

		snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02dZ", year, month, day, hour, minute, second);
		if (timestamp_parse(text, &got) != want)
			fail_msg("%s", text);
		assert_int_equal(got, want ? at : -7);
		right += want;
		wrong += !want;
	}
	assert_true(right > 1000 && wrong > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escaped_text), cmocka_unit_test(base64),     cmocka_unit_test(pins),
		cmocka_unit_test(hex),          cmocka_unit_test(timestamps), cmocka_unit_test(dates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
