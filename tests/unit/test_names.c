/* Name patterns: user/policy/name_set.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "name_set.h"
#include "util.h"

static bool matches(const char *pattern, const char *name)
{
	CLEANUP(arena_freep) struct arena *arena = arena_new();

	assert_null(name_check(pattern));
	return names_match(names_new(arena, &pattern, 1), name);
}

static bool claims(const char *pattern, const char *name)
{
	CLEANUP(arena_freep) struct arena *arena = arena_new();

	assert_null(name_check(pattern));
	return names_claimed(names_new(arena, &pattern, 1), name);
}

static void exact(void **state)
{
	(void)state;
	assert_true(matches("example.com", "example.com"));
	assert_true(matches("Example.COM.", "eXample.com"));
	assert_true(matches("example.com", "example.com."));
	assert_false(matches("example.com", "example.com.."));
	assert_false(matches("example.com", "www.example.com"));
	assert_false(matches("example.com", "com"));
	assert_false(matches("example.com", "xexample.com"));
	assert_false(matches("example.com", "example.com.evil.test"));
	assert_false(matches("example.com", ""));
	assert_false(matches("example.com", "."));
	assert_true(matches("localhost", "LOCALHOST"));
	assert_true(matches("_dns.resolver-1.test", "_dns.resolver-1.test"));
}

static void wildcards(void **state)
{
	(void)state;
	assert_true(matches("*.example.com", "www.example.com"));
	assert_false(matches("*.example.com", "example.com"));
	assert_false(matches("*.example.com", "a.b.example.com"));
	assert_false(matches("*.example.com", ".example.com"));
	assert_false(matches("*.example.com", "wwwexample.com"));
	assert_true(matches("**.example.com", "www.example.com"));
	assert_true(matches("**.example.com", "a.b.c.example.com."));
	assert_false(matches("**.example.com", "example.com"));
	assert_false(matches("**.example.com", "a..example.com"));
	assert_false(matches("**.example.com", "a.badexample.com"));
	/* In a name that somebody asked for, a star is no wildcard. */
	assert_false(matches("www.example.com", "*.example.com"));
	assert_true(matches("*.example.com", "*.example.com"));
}

static void odd_names_never_match(void **state)
{
	char longest[300];

	(void)state;
	assert_false(matches("**.example.com", "www\\x00.example.com"));
	assert_false(matches("**.example.com", "\\\\.example.com"));
	assert_false(matches("**.example.com", "w w.example.com"));
	assert_false(matches("**.example.com", "w\tw.example.com"));
	assert_false(matches("**.example.com", "m\xc3\xbcnchen.example.com"));
	assert_false(claims("**.example.com", "*\\x00.example.com"));
	assert_false(claims("**.example.com", "*\x7f.example.com"));

	memset(longest, 'a', sizeof(longest));
	strcpy(longest + 241, ".example.com");
	assert_int_equal(strlen(longest), DNS_NAME_MAX);
	assert_true(matches("**.example.com", longest));
	strcpy(longest + 242, ".example.com");
	assert_false(matches("**.example.com", longest));
}

static void certificates_claim(void **state)
{
	(void)state;
	assert_true(claims("www.example.com", "www.example.com"));
	assert_false(claims("www.example.com", "example.com"));
	assert_true(claims("www.example.com", "*.example.com"));
	assert_true(claims("www.example.com", "*.EXAMPLE.com."));
	assert_false(claims("www.example.com", "*.www.example.com"));
	assert_false(claims("www.example.com", "*.com"));
	assert_false(claims("example.com", "*.example.com"));
	assert_true(claims("*.example.com", "*.example.com"));
	assert_true(claims("**.example.com", "*.example.com"));
	assert_true(claims("**.example.com", "*.b.example.com"));
	assert_false(claims("*.example.com", "*.b.example.com"));
	assert_false(claims("**.b.example.com", "*.example.com"));
	assert_true(claims("example.com", "*.com"));
	assert_true(claims("localhost", "*"));
	assert_false(claims("example.com", "*"));
}

static void partial_wildcards_claim(void **state)
{
	(void)state;
	assert_true(claims("www.example.com", "w*.example.com"));
	assert_true(claims("www.example.com", "*w.example.com"));
	assert_true(claims("www.example.com", "w*w.example.com"));
	assert_true(claims("www.example.com", "www*.example.com"));
	assert_true(claims("www.example.com", "w**w.example.com"));
	assert_false(claims("www.example.com", "ww*ww.example.com"));
	assert_false(claims("www.example.com", "m*.example.com"));
	assert_false(claims("www.example.com", "*m.example.com"));
	assert_true(claims("*.example.com", "m*.example.com"));
	/* Elsewhere than in the first label a star has no meaning. */
	assert_false(claims("www.example.com", "www.*.com"));
	assert_false(claims("www.example.com", "*.*.com"));
	assert_false(claims("www.example.com", "www.e*.com"));
}

static void large_sets(void **state)
{
	enum { COUNT = 20000 };
	CLEANUP(arena_freep) struct arena *arena = arena_new();
	CLEANUP_FREE const char **patterns = xcalloc(COUNT, sizeof(char *));
	static const char *const prefixes[] = {"", "*.", "**."};
	struct names *names;

	(void)state;
	for (unsigned i = 0; i < COUNT; i++) {
		CLEANUP_FREE char *text = xasprintf("%sh%u.d%u.test", prefixes[i % 3], i, i % 7);

		patterns[i] = arena_strndup(arena, text, strlen(text));
	}
	names = names_new(arena, patterns, COUNT);
	for (unsigned i = 0; i < COUNT; i++) {
		CLEANUP_FREE char *base = xasprintf("h%u.d%u.test", i, i % 7), *one = xasprintf("x.%s", base);
		CLEANUP_FREE char *two = xasprintf("y.%s", one), *beside = xasprintf("h%u.d%u.test", i, i % 7 + 1);

		assert_int_equal(names_match(names, base), i % 3 == 0);
		assert_int_equal(names_match(names, one), i % 3 != 0);
		assert_int_equal(names_match(names, two), i % 3 == 2);
		assert_false(names_match(names, beside));
	}
	assert_true(names_claimed(names, "*.d3.test"));
	assert_false(names_claimed(names, "*.d8.test"));
	/* More names than a partial wildcard is compared with: it counts as claimed. */
	assert_true(names_claimed(names, "zz*.d3.test"));
}

static void same_text_different_kinds(void **state)
{
	static const char *const patterns[] = {"**.example.com", "example.com", "EXAMPLE.com.", "*.example.com"};
	CLEANUP(arena_freep) struct arena *arena = arena_new();
	struct names *names = names_new(arena, patterns, 4), *one = names_new(arena, patterns + 3, 1);
	struct names *none = names_new(arena, NULL, 0);

	(void)state;
	assert_true(names_match(names, "example.com"));
	assert_true(names_match(names, "a.example.com"));
	assert_true(names_match(names, "a.b.example.com"));
	assert_false(names_match(one, "example.com"));
	assert_false(names_match(none, "example.com"));
	assert_false(names_claimed(none, "*.example.com"));
}

static void patterns_refused(void **state)
{
	static const struct {
		const char *pattern, *why;
	} bad[] = {
		{"", "a name cannot have an empty label"},
		{".", "a name cannot have an empty label"},
		{"a..b", "a name cannot have an empty label"},
		{".example.com", "a name cannot have an empty label"},
		{"*.", "a name cannot have an empty label"},
		{"*", "a wildcard needs a name behind it: *.example.com"},
		{"**", "a wildcard needs a name behind it: *.example.com"},
		{"w*.example.com", "a wildcard must be the whole first label: *.example.com or **.example.com"},
		{"***.example.com", "a wildcard must be the whole first label: *.example.com or **.example.com"},
		{"*.*.example.com", "a wildcard must be the whole first label: *.example.com or **.example.com"},
		{"b\xc3\xbc"
		 "cher.example",
		 "write an international name as A-labels (xn--…)"},
		{"192.0.2.1", "this is an IP address: use san_ip or peer_ip"},
		{"2001:db8::1", "this is an IP address: use san_ip or peer_ip"},
		{"https://example.com", "a name consists of letters, digits, '-', '_' and dots"},
		{"exa mple.com", "a name consists of letters, digits, '-', '_' and dots"},
		{"a123456789012345678901234567890123456789012345678901234567890123.example",
		 "a label has more than 63 characters"},
	};
	char longest[3 * 60 + 60 + 20];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_non_null(name_check(bad[i].pattern));
		assert_string_equal(name_check(bad[i].pattern), bad[i].why);
	}
	memset(longest, 'a', sizeof(longest));
	for (size_t i = 50; i < sizeof(longest); i += 50)
		longest[i] = '.';
	longest[sizeof(longest) - 1] = '\0';
	assert_string_equal(name_check(longest), "a name has at most 253 characters");
	longest[DNS_NAME_MAX] = '\0';
	assert_null(name_check(longest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact),
		cmocka_unit_test(wildcards),
		cmocka_unit_test(odd_names_never_match),
		cmocka_unit_test(certificates_claim),
		cmocka_unit_test(partial_wildcards_claim),
		cmocka_unit_test(large_sets),
		cmocka_unit_test(same_text_different_kinds),
		cmocka_unit_test(patterns_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
