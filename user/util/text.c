/* Attacker's bytes made safe to print (util.h, text_escape).
 *
 * Trusts nothing of its input. Gives one line of valid UTF-8 that no terminal, log reader or YAML parser takes for more
 * than text, and that can be told back into the bytes: only \\ and \xNN begin with a backslash. At most four times as long
 * as the input. */
#include "util.h"

#include <string.h>

/* Length of the UTF-8 sequence at p (RFC 3629: shortest form, no surrogates, up to U+10FFFF) and its code point; 0 if there
 * is none. */
static size_t utf8_decode(const uint8_t *p, size_t len, uint32_t *ret_code)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t code;
	size_t need;

	if (p[0] < 0x80) {
		*ret_code = p[0];
		return 1;
	}
	if ((p[0] & 0xe0) == 0xc0)
		need = 2;
	else if ((p[0] & 0xf0) == 0xe0)
		need = 3;
	else if ((p[0] & 0xf8) == 0xf0)
		need = 4;
	else
		return 0;
	if (need > len)
		return 0;
	code = p[0] & (0x7fU >> need);
	for (size_t i = 1; i < need; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3fU);
	}
	if (code < smallest[need] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret_code = code;
	return need;
}

static bool code_is_unsafe(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code <= 0x9f) ||      /* C0, DEL, C1 */
	       code == 0x2028 || code == 0x2029 ||                   /* line and paragraph separator */
	       code == 0x061c || code == 0x200e || code == 0x200f || /* bidirectional marks */
	       (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || code == 0xfeff ||
	       (code & 0xfffe) == 0xfffe; /* byte order mark, noncharacters: not in YAML */
}

char *text_escape(const void *data, size_t len)
{
	const uint8_t *p = data;
	char *out, *at;

	if (len > SIZE_MAX / 4 - 1) /* cannot be in memory */
		len = SIZE_MAX / 4 - 1;
	out = at = xcalloc(4 * len + 1, 1);
	while (len > 0) {
		uint32_t code = 0;
		size_t bytes = utf8_decode(p, len, &code);
		bool plain = bytes > 0 && !code_is_unsafe(code);

		if (bytes == 0)
			bytes = 1;
		for (size_t i = 0; i < bytes; i++) {
			if (plain && p[i] == '\\')
				at = stpcpy(at, "\\\\");
			else if (plain)
				*at++ = (char)p[i];
			else
				at += sprintf(at, "\\x%02x", p[i]);
		}
		p += bytes;
		len -= bytes;
	}
	*at++ = '\0';
	return xrealloc(out, (size_t)(at - out), 1);
}
