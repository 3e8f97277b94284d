/* Whether a certificate is that of a name somebody asked for (peer_name.h): RFC 9525 6.
 *
 * The certificate is an attacker's, and so may be the name, which an application passed on: neither is shortened, repaired or
 * guessed at. Only letters, digits, '-' and '_' make a label, so text that was escaped, a zone ("%eth0"), brackets or a star
 * in the name that was asked for matches nothing; and a name whose last label is a number, but which is no address, is taken
 * for one by some resolvers (127.1, 0x7f.0x1), so no dNSName stands for it. Costs one comparison for each SAN. */
#include "peer_name.h"

#include <string.h>

enum { NAME_CHARS_MAX = 253, LABEL_CHARS_MAX = 63 }; /* RFC 1035 2.3.4; a longer name matches nothing */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_label(const char *label, size_t len)
{
	if (len == 0 || len > LABEL_CHARS_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = lower(label[i]);

		if (!((c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_'))
			return false;
	}
	return true;
}

static bool is_number(const char *label, size_t len)
{
	bool hex = len >= 2 && label[0] == '0' && lower(label[1]) == 'x';

	for (size_t i = hex ? 2 : 0; i < len; i++)
		if (!is_digit(label[i]) && !(hex && lower(label[i]) >= 'a' && lower(label[i]) <= 'f'))
			return false;
	return true;
}

/* Whether len characters are a DNS name without a final dot that no resolver takes for an address. */
static bool is_dns_name(const char *name, size_t len)
{
	if (len > NAME_CHARS_MAX)
		return false;
	for (size_t start = 0;;) {
		const char *dot = memchr(name + start, '.', len - start);
		size_t end = dot ? (size_t)(dot - name) : len;

		if (!is_label(name + start, end - start))
			return false;
		if (!dot)
			return !is_number(name + start, end - start);
		start = end + 1;
	}
}

static bool same_text(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

/* name: is_dns_name; so a pattern that has its characters has its form. */
static bool dns_matches(const char *pattern, const char *name, size_t len)
{
	size_t pattern_len = strlen(pattern);

	if (strncmp(pattern, "*.", 2) == 0) {
		const char *dot = memchr(name, '.', len);
		size_t label_len = dot ? (size_t)(dot - name) : len;

		pattern++;
		pattern_len--;
		/* The star stands for the name's first label; a dot must be left in what follows. */
		if (!strchr(pattern + 1, '.'))
			return false;
		name += label_len;
		len -= label_len;
	}
	return pattern_len == len && same_text(pattern, name, len);
}

bool peer_name_matches(const struct certificate *leaf, const char *name)
{
	size_t len = strlen(name);
	struct address address;
	bool is_address = address_parse(name, &address);

	/* Two subjectAltNames, or bytes behind the list: verifiers differ in what they read of it. */
	if (leaf->error)
		return false;
	if (len > 1 && name[len - 1] == '.')
		len--;
	if (!is_address && !is_dns_name(name, len))
		return false;
	for (size_t i = 0; i < leaf->sans_count; i++) {
		const struct san *san = &leaf->sans[i];

		if (san->odd)
			continue;
		if (is_address ? san->kind == SAN_IP && address_equal(&san->address, &address) :
				 san->kind == SAN_DNS && dns_matches(san->text, name, len))
			return true;
	}
	return false;
}
