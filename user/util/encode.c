/* Hexadecimal text, base64 (RFC 4648 4), and SPKI pins: base64 of exactly a SHA-256.
 *
 * Input is what people write in policies and PEM files, so nothing is lenient: one pin has one spelling, and what does not
 * decode to exactly the bytes asked for is refused. */
#include "util.h"

#include <string.h>

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void hex_encode(const uint8_t *data, size_t len, bool upper, char *out)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[data[i] >> 4];
		out[2 * i + 1] = digits[data[i] & 15];
	}
	out[2 * len] = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool hex_decode(const char *text, size_t text_len, uint8_t *out, size_t len)
{
	if (text_len % 2 || text_len / 2 != len)
		return false;
	for (size_t i = 0; i < len; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

void pin_encode(const uint8_t sha256[SHA256_BYTES], char out[PIN_CHARS + 1])
{
	uint8_t padded[SHA256_BYTES + 1] = {0};

	memcpy(padded, sha256, SHA256_BYTES);
	for (size_t i = 0; i < PIN_CHARS / 4; i++) {
		uint32_t group = (uint32_t)padded[3 * i] << 16 | (uint32_t)padded[3 * i + 1] << 8 | padded[3 * i + 2];

		for (int j = 0; j < 4; j++)
			out[4 * i + (size_t)j] = base64_digits[group >> (18 - 6 * j) & 63];
	}
	out[PIN_CHARS - 1] = '=';
	out[PIN_CHARS] = '\0';
}

static int base64_digit(char c)
{
	const char *at = c ? strchr(base64_digits, c) : NULL;

	return at ? (int)(at - base64_digits) : -1;
}

bool base64_decode(const char *text, size_t len, bool spaces, uint8_t *out, size_t *ret_len)
{
	size_t digits = 0, padding = 0, count = 0;
	uint32_t bits = 0;

	for (size_t i = 0; i < len; i++) {
		int digit = base64_digit(text[i]);

		if (spaces && text[i] && strchr(" \t\r\n", text[i]))
			continue;
		if (text[i] == '=') {
			padding++;
			continue;
		}
		if (digit < 0 || padding)
			return false;
		bits = bits << 6 | (uint32_t)digit;
		if (++digits % 4 == 0) {
			out[count++] = (uint8_t)(bits >> 16);
			out[count++] = (uint8_t)(bits >> 8);
			out[count++] = (uint8_t)bits;
		}
	}
	if ((digits + padding) % 4 || padding > 2)
		return false;
	/* The bits that belong to no byte: anything but zero would be a second spelling of the same bytes. */
	if ((padding == 1 && bits & 0x3) || (padding == 2 && bits & 0xf))
		return false;
	if (padding == 1)
		out[count++] = (uint8_t)(bits >> 10);
	if (padding)
		out[count++] = (uint8_t)(bits >> (padding == 1 ? 2 : 4));
	*ret_len = count;
	return true;
}

bool pin_decode(const char *text, size_t len, uint8_t out[SHA256_BYTES])
{
	uint8_t bytes[PIN_CHARS / 4 * 3];
	size_t count;

	if (len != PIN_CHARS || !base64_decode(text, len, false, bytes, &count) || count != SHA256_BYTES)
		return false;
	memcpy(out, bytes, SHA256_BYTES);
	return true;
}
