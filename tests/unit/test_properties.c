/* Properties of names, addresses, networks and globs: thousands of random cases, each against a slow and obvious reference that
 * stands here. Characters are drawn from few, so that cases meet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <fnmatch.h>
#include <string.h>

#include "../../user/policy/name_keys.h"
#include "../../user/policy/path_glob.h"
#include "../../user/policy/policy_internal.h"
#include "random_case.h"

/* --- names ---------------------------------------------------------------------------------------------------------- */

enum { LABELS_MAX = 12, PATTERNS_MAX = 6 };

/* A name taken apart: lower case, without the final dot. */
struct labels {
	char text[LABELS_MAX][64];
	size_t count;
};

static bool labels_of(const char *name, struct labels *ret)
{
	size_t len = strlen(name), at = 0;

	*ret = (struct labels){.count = 1};
	if (len > 1 && name[len - 1] == '.')
		len--;
	if (len == 0 || len > DNS_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (name[i] != '.' && (!isgraph((unsigned char)name[i]) || name[i] == '\\'))
			return false;
		if (name[i] != '.') {
			ret->text[ret->count - 1][at++] = (char)tolower((unsigned char)name[i]);
			continue;
		}
		if (at == 0)
			return false;
		ret->count++;
		at = 0;
	}
	return at > 0;
}

/* Whether one label with stars stands for the other. one_star: as if all between the first and the last were one. */
static bool star_matches(const char *glob, const char *label, bool one_star)
{
	const char *last = strrchr(glob, '*');

	if (*glob == '\0')
		return *label == '\0';
	if (*glob != '*')
		return *glob == *label && star_matches(glob + 1, label + 1, one_star);
	for (const char *rest = one_star ? last + 1 : glob + 1;; label++) {
		if (star_matches(rest, label, one_star))
			return true;
		if (*label == '\0')
			return false;
	}
}

/* Is there a name for which both stand? claimed: the name is a certificate's, and a star in its first label is a wildcard. */
static bool pattern_has(const char *pattern, const char *text, bool claimed, bool one_star)
{
	size_t stars = strspn(pattern, "*"), above = stars ? 1 : 0;
	struct labels name, base;
	bool wild;

	assert_true(labels_of(stars ? pattern + stars + 1 : pattern, &base));
	if (!labels_of(text, &name))
		return false;
	wild = claimed && strchr(name.text[0], '*');
	if (stars == 2 ? name.count < base.count + 1 : name.count != base.count + above)
		return false;
	for (size_t i = 0; i < base.count; i++) {
		const char *want = base.text[base.count - 1 - i], *got = name.text[name.count - 1 - i];

		if (wild && i == name.count - 1 ? !star_matches(got, want, one_star) : strcmp(want, got) != 0)
			return false;
	}
	return true;
}

static char *random_labels(const char *const *words, size_t words_count)
{
	char *name = xstrdup(words[random_below(words_count)]);

	for (size_t more = random_below(4); more > 0; more--) {
		CLEANUP_FREE char *shorter = name;

		name = xasprintf("%s.%s", shorter, words[random_below(words_count)]);
	}
	return name;
}

static const char *random_pattern(struct arena *arena)
{
	static const char *const words[] = {"a", "b", "A", "ab", "aba", "x-1", "_s", "com"};
	static const char *const stars[] = {"", "", "*.", "**."};
	CLEANUP_FREE char *name = random_labels(words, ARRAY_SIZE(words));
	CLEANUP_FREE char *text = xasprintf("%s%s%s", stars[random_below(4)], name, random_below(4) ? "" : ".");

	assert_null(name_check(text));
	return arena_strndup(arena, text, strlen(text));
}

static char *random_name(void)
{
	static const char *const words[] = {"a",         "b",     "A",  "ab", "aba", "x-1",  "_s",   "com",    "a",
					    "b",         "*",     "a*", "*a", "a*a", "a**a", "a*b*", "*b*a*a", "**",
					    "x-1.com.a", "b.com", "",   " ",  "\\",  "\t",   "\xc3", "b\x7f"};
	static const char *const ends[] = {"", "", "", ".", ".."};
	CLEANUP_FREE char *name = random_labels(words, random_below(3) ? 20 : ARRAY_SIZE(words));

	return xasprintf("%s%s", name, ends[random_below(ARRAY_SIZE(ends))]);
}

struct key_list {
	struct {
		enum name_key key;
		uint64_t hash;
	} items[512];
	size_t count;
};

static void keep_key(void *context, enum name_key key, uint64_t hash)
{
	struct key_list *list = context;

	assert_true(list->count < ARRAY_SIZE(list->items));
	list->items[list->count].key = key;
	list->items[list->count++].hash = hash;
}

/* Whether the name asks for a key of the set: how an index finds the set. */
static bool share_a_key(const struct names *set, const char *name, bool claimed)
{
	struct key_list keys = {0}, questions = {0};

	names_keys(set, keep_key, &keys);
	names_questions(name, claimed, keep_key, &questions);
	for (size_t i = 0; i < keys.count; i++)
		for (size_t j = 0; j < questions.count; j++)
			if (keys.items[i].key == questions.items[j].key && keys.items[i].hash == questions.items[j].hash)
				return true;
	return false;
}

static void names(void **state)
{
	size_t matched = 0, claimed = 0;

	(void)state;
	random_start();
	for (int i = 0; i < 3000; i++) {
		CLEANUP(arena_freep) struct arena *arena = arena_new();
		const char *patterns[PATTERNS_MAX];
		size_t count = random_below(PATTERNS_MAX + 1);
		const struct names *set;

		for (size_t j = 0; j < count; j++)
			patterns[j] = random_pattern(arena);
		set = names_new(arena, patterns, count);
		for (int k = 0; k < 20; k++) {
			CLEANUP_FREE char *name = random_name();
			bool match = false, least = false, most = false, got;

			for (size_t j = 0; j < count; j++) {
				match |= pattern_has(patterns[j], name, false, false);
				least |= pattern_has(patterns[j], name, true, false);
				most |= pattern_has(patterns[j], name, true, true);
			}
			got = names_claimed(set, name);
			if (names_match(set, name) != match || (least && !got) || (got && !most))
				fail_msg("case %d: '%s'", i, name);
			if ((match && !share_a_key(set, name, false)) || (got && !share_a_key(set, name, true)))
				fail_msg("case %d: '%s' would not be looked for", i, name);
			matched += match;
			claimed += least;
		}
	}
	assert_true(matched > 1000 && claimed > matched);
}

/* Sets in which a partial wildcard is held against more names than it is compared with: it may claim too much, never too
 * little. And all that is said of one pattern is said of it among thousands. */
static void names_in_large_sets(void **state)
{
	enum { COUNT = 2000 };
	CLEANUP(arena_freep) struct arena *arena = arena_new();
	const char *patterns[COUNT];
	const struct names *set;

	(void)state;
	random_start();
	for (size_t i = 0; i < COUNT; i++)
		patterns[i] = random_pattern(arena);
	for (size_t i = 0; i < COUNT / 8; i++) {
		CLEANUP_FREE char *text = xasprintf("h%zu.many.test", i);

		patterns[random_below(COUNT)] = arena_strndup(arena, text, strlen(text));
	}
	set = names_new(arena, patterns, COUNT);
	for (int i = 0; i < 2000; i++) {
		CLEANUP_FREE char *other = random_name();
		CLEANUP_FREE char *child = xasprintf("h%zu%s.many.test", random_below(300), random_below(2) ? "*" : "");
		const char *name = random_below(2) ? other : child;
		bool match = false, least = false;

		for (size_t j = 0; j < COUNT; j++) {
			match |= pattern_has(patterns[j], name, false, false);
			least |= pattern_has(patterns[j], name, true, false);
		}
		assert_int_equal(names_match(set, name), match);
		assert_true(!least || names_claimed(set, name));
		assert_true(names_claimed(set, name) || !match);
	}
}

/* Around the longest name, with and without the final dot. */
static void names_of_any_length(void **state)
{
	(void)state;
	random_start();
	for (int i = 0; i < 2000; i++) {
		CLEANUP(arena_freep) struct arena *arena = arena_new();
		size_t len = 240 + random_below(20), dot;
		const char *base = "com", *patterns[] = {"**.com"};
		char name[300];

		memset(name, 'a', len);
		for (dot = 0; dot + 64 < len; dot += 1 + random_below(63))
			name[dot + random_below(2)] = dot ? '.' : 'a';
		strcpy(name + len, random_below(2) ? ".com" : ".com.");
		if (strstr(name, ".."))
			continue;
		assert_int_equal(names_match(names_new(arena, patterns, 1), name), len + 4 <= DNS_NAME_MAX);
		assert_int_equal(names_match(names_new(arena, &base, 1), name), false);
	}
}

/* --- addresses ------------------------------------------------------------------------------------------------------ */

/* Four numbers without leading zeros. */
static bool v4_reads(const char *text, size_t len, uint8_t *out)
{
	for (int i = 0; i < 4; i++) {
		size_t digits = 0;
		unsigned value = 0;

		for (; digits < len && isdigit((unsigned char)text[digits]) && digits < 4; digits++)
			value = value * 10 + (unsigned)(text[digits] - '0');
		if (digits == 0 || digits > 3 || value > 255 || (digits > 1 && text[0] == '0'))
			return false;
		out[i] = (uint8_t)value;
		text += digits;
		len -= digits;
		if (i < 3) {
			if (len == 0 || *text != '.')
				return false;
			text++;
			len--;
		}
	}
	return len == 0;
}

/* Groups between single colons, "" for none at all; the last may be an IPv4 address. The number of bytes, or -1. */
static int groups_read(const char *text, size_t len, bool last, uint8_t *out)
{
	int bytes = 0;

	for (bool more = len > 0; more;) {
		const char *colon = memchr(text, ':', len);
		size_t size = colon ? (size_t)(colon - text) : len;
		unsigned value = 0;

		if (bytes > 14)
			return -1;
		if (!colon && last && bytes <= 12 && v4_reads(text, size, out + bytes))
			return bytes + 4;
		if (size == 0 || size > 4)
			return -1;
		for (size_t i = 0; i < size; i++) {
			if (!isxdigit((unsigned char)text[i]))
				return -1;
			value = value * 16 +
				(unsigned)(isdigit((unsigned char)text[i]) ? text[i] - '0' : tolower(text[i]) - 'a' + 10);
		}
		out[bytes++] = (uint8_t)(value >> 8);
		out[bytes++] = (uint8_t)value;
		more = colon;
		text += size + 1;
		len -= colon ? size + 1 : size;
	}
	return bytes;
}

/* RFC 4291 2.2. */
static bool v6_reads(const char *text, uint8_t out[16])
{
	const char *gap = strstr(text, "::");
	uint8_t head[20], tail[20];
	int before, behind;

	memset(out, 0, 16);
	if (!gap)
		return groups_read(text, strlen(text), true, out) == 16;
	before = groups_read(text, (size_t)(gap - text), false, head);
	behind = groups_read(gap + 2, strlen(gap + 2), true, tail);
	if (before < 0 || behind < 0 || before + behind > 14)
		return false;
	memcpy(out, head, (size_t)before);
	memcpy(out + 16 - behind, tail, (size_t)behind);
	return true;
}

static struct address random_address(void)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint8_t bytes[16];
	size_t kind = random_below(3);

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = random_below(2) ? (uint8_t)random_bits() : random_below(4) ? 0 : 0xff;
	if (kind == 2)
		memcpy(bytes, mapped, sizeof(mapped));
	return address_from_bytes(bytes, kind ? 16 : 4);
}

/* In one of the ways to write it, the family as IPv6 if that is asked for. */
static void random_spelling(const struct address *address, bool as_v6, char out[64])
{
	const uint8_t *b = address->bytes;
	size_t at = 0;

	if (address->len == 4 && as_v6)
		sprintf(out, random_below(2) ? "::ffff:%u.%u.%u.%u" : "0:0:0::FFFF:%x%02x:%x%02x", b[0], b[1], b[2], b[3]);
	else if (random_below(2) || address->len == 4)
		address_format(address, out);
	else
		for (size_t i = 0; i < 16; i += 2)
			at += (size_t)sprintf(out + at, random_below(2) ? "%s%04X" : "%s%x", i ? ":" : "",
					      b[i] << 8 | b[i + 1]);
}

static void addresses(void **state)
{
	static const char some[] = "0123456789abfAFg:::...%/ -";
	size_t read = 0, refused = 0;

	(void)state;
	random_start();
	for (int i = 0; i < 40000; i++) {
		struct address address = random_address(), got = {0}, want = {0};
		char text[64];
		uint8_t bytes[16];

		random_spelling(&address, random_below(2), text);
		assert_true(address_parse(text, &got));
		assert_true(address_equal(&got, &address));
		for (size_t changes = 1 + random_below(3); changes > 0; changes--) {
			size_t len = strlen(text), at = random_below(len + 1);

			if (random_below(2) || len == 0)
				memmove(text + at + 1, text + at, len - at + 1);
			else if (at < len && random_below(2))
				memmove(text + at, text + at + 1, len - at);
			if (text[at])
				text[at] = some[random_below(sizeof(some) - 1)];
			else
				text[at + 1] = '\0';
		}
		if (v4_reads(text, strlen(text), bytes))
			want = address_from_bytes(bytes, 4);
		else if (v6_reads(text, bytes))
			want = address_from_bytes(bytes, 16);
		got = (struct address){0};
		if (address_parse(text, &got) != (want.len > 0) || !address_equal(&got, &want))
			fail_msg("'%s'", text);
		read += want.len > 0;
		refused += want.len == 0;
	}
	assert_true(read > 1000 && refused > 1000);
}

/* --- networks ------------------------------------------------------------------------------------------------------- */

static bool bit(const struct address *address, unsigned at)
{
	return address->bytes[at / 8] >> (7 - at % 8) & 1;
}

static bool contains(const struct network *network, const struct address *address)
{
	if (network->address.len != address->len)
		return false;
	for (unsigned i = 0; i < network->prefix; i++)
		if (bit(&network->address, i) != bit(address, i))
			return false;
	return true;
}

static struct network random_network(void)
{
	struct network network = {.address = random_address()};
	unsigned bits = 8U * network.address.len;

	network.prefix = (uint8_t)random_below(bits + 1);
	for (unsigned i = network.prefix; i < bits; i++)
		network.address.bytes[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	return network;
}

static void network_text(void **state)
{
	(void)state;
	random_start();
	for (int i = 0; i < 20000; i++) {
		struct network network = random_network(), got = {0};
		bool as_v6 = random_below(2) || network.address.len == 16;
		unsigned bits = as_v6 ? 128 : 32, prefix = network.prefix + (as_v6 && network.address.len == 4 ? 96 : 0);
		const char *why = NULL;
		char head[64], text[80];

		random_spelling(&network.address, as_v6, head);
		snprintf(text, sizeof(text), "%s/%u", head, prefix);
		assert_true(network_parse(text, &got, &why));
		assert_true(address_equal(&got.address, &network.address) && got.prefix == network.prefix);
		/* One bit behind the prefix. */
		if (prefix < bits) {
			unsigned at = network.prefix + (unsigned)random_below(bits - prefix);

			network.address.bytes[at / 8] |= (uint8_t)(0x80 >> at % 8);
			random_spelling(&network.address, as_v6, head);
			snprintf(text, sizeof(text), "%s/%u", head, prefix);
			assert_false(network_parse(text, &got, &why));
			assert_string_equal(why, "bits are set behind the prefix");
		}
		snprintf(text, sizeof(text), "%s/%u", head, bits + 1 + (unsigned)random_below(300));
		assert_false(network_parse(text, &got, &why));
	}
}

static void network_sets(void **state)
{
	enum { NETWORKS_MAX = 40 };
	size_t inside = 0, outside = 0;

	(void)state;
	random_start();
	for (int i = 0; i < 3000; i++) {
		struct network set[NETWORKS_MAX];
		size_t count = random_below(NETWORKS_MAX + 1);

		for (size_t j = 0; j < count; j++) {
			set[j] = random_network();
			if (set[j].prefix < 4 && random_below(8))
				set[j] = random_network();
		}
		networks_sort(set, count);
		for (int k = 0; k < 20; k++) {
			struct address address = random_address();
			bool want = false;

			/* Half of them near one of the set: one bit of it, or behind its prefix, is another. */
			if (count && random_below(2)) {
				unsigned at;

				address = set[random_below(count)].address;
				at = (unsigned)random_below(8U * address.len);
				address.bytes[at / 8] ^= (uint8_t)(0x80 >> at % 8);
			}
			for (size_t j = 0; j < count; j++) {
				assert_int_equal(network_contains(&set[j], &address), contains(&set[j], &address));
				want |= contains(&set[j], &address);
			}
			assert_int_equal(networks_have(set, count, &address), want);
			inside += want;
			outside += !want;
		}
	}
	assert_true(inside > 1000 && outside > 1000);
}

/* --- globs ---------------------------------------------------------------------------------------------------------- */

/* On every pattern that glob_check() takes, both agree; what fnmatch(3) knows besides ([:class:], [=x=] and [.x.]) it refuses. */
static void globs(void **state)
{
	static const char pattern_chars[] = "aabbcd/.*?[]!^-\\:=", text_chars[] = "aabbccd/.-]![^*\\\xff";
	size_t matched = 0, tried = 0;

	(void)state;
	random_start();
	for (int i = 0; i < 200000; i++) {
		char pattern[16] = "/", text[12] = "/";
		size_t pattern_len = random_below(12), text_len = random_below(8);
		bool want;

		if (random_below(2))
			pattern[0] = "*?["[random_below(3)];
		for (size_t j = 1; j < pattern_len; j++)
			pattern[j] = pattern_chars[random_below(sizeof(pattern_chars) - 1)];
		for (size_t j = 0; j < text_len; j++)
			text[j] = text_chars[random_below(sizeof(text_chars) - 1)];
		if (glob_check(pattern))
			continue;
		want = fnmatch(pattern, text, 0) == 0;
		if (glob_match(pattern, text) != want)
			fail_msg("'%s' and '%s': fnmatch says %d", pattern, text, want);
		tried++;
		matched += want;
	}
	assert_true(tried > 50000 && matched > 1000);
}

static void named_classes_are_refused(void **state)
{
	static const char *const patterns[] = {"/[[:digit:]]", "/[a[=b=]]", "/a[![.x.]]*", "*[]a[:]", "[\\\\[:]"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++)
		assert_string_equal(glob_check(patterns[i]), "classes like [:digit:] have no name here: write [0-9]");
	assert_null(glob_check("/[:digit:]"));
	assert_null(glob_check("/[a\\[:]"));
	assert_null(glob_check("/a[[]:x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(names_in_large_sets),
		cmocka_unit_test(names_of_any_length),
		cmocka_unit_test(addresses),
		cmocka_unit_test(network_text),
		cmocka_unit_test(network_sets),
		cmocka_unit_test(globs),
		cmocka_unit_test(named_classes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
