/* What `learn` writes of texts and amounts that are an attacker's, and of much at random: it parses, and accepts just what was
 * learned. */
#include <linux/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "learned_world.h"
#include "random_case.h"

/* --- hostile texts ---------------------------------------------------------------------------------------------------- */

static const struct {
	const char *bytes;
	size_t len;
} evil[] = {
#define EVIL(text)                     \
	{                              \
		text, sizeof(text) - 1 \
	}
	EVIL(""),
	EVIL("\"}\nrules: []\n"),
	EVIL("a\"}]\r\n  - id: x\n    match: [{any: true}]"),
	EVIL("'# comment \\\" {}[]&*!|>%@`"),
	EVIL("\xc2\x85new line\xe2\x80\xa8separator\xe2\x80\xa9"),
	EVIL("\xff\xfe\x80 not UTF-8 \x00 NUL \x1b[31m"),
	EVIL("\xef\xbb\xbf\xef\xbf\xbe\xef\xbf\xbf"),
	EVIL("tab\tand trailing backslash \\"),
	EVIL("true"),
	EVIL("Null"),
	EVIL("~"),
	EVIL("1234567890"),
	EVIL("0x1F"),
	EVIL("1e5"),
	EVIL("inf"),
	EVIL("NaN"),
	EVIL(".nan"),
	EVIL("-"),
	EVIL("<<"),
	EVIL("everything-else"),
	EVIL("issuers-seen"),
	EVIL("client certificates"),
	EVIL("r.2"),
	EVIL("R"),
	EVIL("r"),
	EVIL("@issuers-seen"),
	EVIL("\xd8\xb9\xd8\xb1\xd8\xa8\xd9\x8a \xe2\x80\xae gnihtemos"),
};

static void test_hostile_texts(void **state)
{
	enum { COUNT = ARRAY_SIZE(evil) + 1 };
	static struct certificate issuers[COUNT];
	CLEANUP(learned_freep) struct learned *learned = learned_new();
	CLEANUP_FREE char *text = NULL;
	struct learned_session of = session;
	struct policies *policies;
	char *escaped[COUNT], *names[COUNT], wide[4000];
	struct world w;

	(void)state;
	for (size_t i = 0; i + 2 < sizeof(wide); i += 2)
		memcpy(wide + i, "\xc3\xa9", 3);
	for (size_t i = 0; i < COUNT; i++) {
		const char *bytes = i < ARRAY_SIZE(evil) ? evil[i].bytes : wide;

		escaped[i] = text_escape(bytes, i < ARRAY_SIZE(evil) ? evil[i].len : strlen(wide));
		names[i] = xasprintf("n%zu.test", i);
		issuers[i] = (struct certificate){
			.parsed = true, .subject = escaped[i], .common_name = escaped[i], .issuer = escaped[i]};
		memset(issuers[i].spki_sha256, 100 + (int)i, SHA256_BYTES);
		world_set(&w);
		w.facts.server_name = names[i];
		w.facts.path[1] = &issuers[i];
		w.facts.path_count = 2;
		assert_true(learned_add(learned, &w.facts, bytes, NOW));
		w.facts.certs[0].certificate = &issuers[i];
		w.facts.server_name = escaped[i];
		w.facts.verify = VERIFY_FAILED;
		assert_false(learned_add(learned, &w.facts, bytes, NOW));
		of.host = bytes;
		CLEANUP_FREE char *so_far = written(learned, &of);
		policies_free(parse(so_far));
	}
	text = written(learned, &of);
	policies = parse(text);
	assert_int_equal(policies_info(policies, 0).rules, COUNT + 1);
	for (size_t i = 0; i < COUNT; i++) {
		world_set(&w);
		w.facts.server_name = names[i];
		w.facts.path[1] = &issuers[i];
		w.facts.path_count = 2;
		assert_accepted(policies, &w.facts, text);
		w.facts.path[1] = &issuers[(i + 1) % COUNT];
		assert_int_equal(broken(policies, &w.facts), 1);
	}
	policies_free(policies);
	for (size_t i = 0; i < COUNT; i++) {
		free(escaped[i]);
		free(names[i]);
	}
}

/* --- bounds ----------------------------------------------------------------------------------------------------------- */

static void certificate_number(struct certificate *certificate, uint32_t number)
{
	certificate_set(certificate, 0x55, "CN=numbered");
	memcpy(certificate->spki_sha256, &number, sizeof(number));
}

/* More names, addresses, keys, programs and refusals than are kept: what was learned is still accepted, the rest is told. */
static void test_too_many(void **state)
{
	enum { COUNT = 10000 };
	CLEANUP(learned_freep) struct learned *learned = learned_new();
	CLEANUP_FREE char *text = NULL;
	CLEANUP_FREE bool *taken = xcalloc(COUNT, sizeof(*taken));
	struct policies *policies = NULL;
	struct certificate other;
	char name[32];
	struct world w;

	(void)state;
	world_set(&w);
	w.facts.path_count = 2;
	for (int round = 0; round < 2; round++) {
		if (round == 1) {
			text = written(learned, &session);
			policies = parse(text);
		}
		for (uint32_t i = 0; i < COUNT; i++) {
			snprintf(name, sizeof(name), "n%u.test", (unsigned)i);
			w.facts.server_name = i % 2 ? name : NULL;
			w.facts.peer = (struct address){4, {10, 0, (uint8_t)(i >> 8), (uint8_t)i}};
			certificate_number(&w.issuer, i / 2);
			if (round == 0)
				taken[i] = learned_add(learned, &w.facts, name, NOW);
			else if (taken[i])
				assert_accepted(policies, &w.facts, text);
		}
	}
	assert_int_equal(learned_counts(learned).names, 4096);
	assert_in_range(learned_counts(learned).learned, 6000, COUNT - 1);
	assert_text(text, ": there was more than is kept\n");
	assert_text(text, "more verifications of others, not listed.\n");
	certificate_number(&other, COUNT);
	w.facts.path[1] = &other;
	w.facts.server_name = "n1.test";
	assert_int_equal(broken(policies, &w.facts), 1);
	policies_free(policies);
}

/* One name with more keys than are kept, by more programs than are shown. */
static void test_too_many_keys(void **state)
{
	enum { COUNT = 1000 };
	CLEANUP(learned_freep) struct learned *learned = learned_new();
	CLEANUP_FREE char *text = NULL;
	struct policies *policies;
	bool taken[COUNT];
	char program[32];
	struct world w;

	(void)state;
	world_set(&w);
	w.facts.path_count = 2;
	for (uint32_t i = 0; i < COUNT; i++) {
		snprintf(program, sizeof(program), "p%u", (unsigned)i);
		certificate_number(&w.issuer, i);
		certificate_number(&w.leaf, COUNT + i);
		taken[i] = learned_add(learned, &w.facts, program, NOW);
	}
	text = written(learned, &session);
	assert_text(text, ", by p0 (1), p1 (1), p10 (1) and 13 more and others (");
	policies = parse(text);
	for (uint32_t i = 0; i < COUNT; i++) {
		certificate_number(&w.issuer, i);
		assert_int_equal(broken(policies, &w.facts), taken[i] ? 0 : 1);
	}
	/* With a key that is known beside one that is not, it is learned still. */
	certificate_number(&w.root, 0);
	w.facts.path_count = 3;
	assert_true(learned_add(learned, &w.facts, "p", NOW));
	policies_free(policies);
}

/* --- properties ------------------------------------------------------------------------------------------------------- */

enum { POOL = 12, FACTS = 120, ROUNDS = 200 };

struct drawn {
	struct certificate certificates[POOL];
	struct facts facts[FACTS];
	int64_t at[FACTS];
	bool learned[FACTS];
};

static void draw(struct drawn *drawn)
{
	static const char *const names[] = {NULL,        NULL,     "a.test",    "b.test",   "A.TEST.",    "c.d.test",
					    "192.0.2.9", "*.test", "localhost", "x_y.test", "not a name", "a.test.test"};
	static const char *const subjects[] = {"CN=R1", "CN=R2", "CN=R1", "CN=true", "CN=9", "CN="};

	for (size_t i = 0; i < POOL; i++)
		certificate_set(&drawn->certificates[i], (uint8_t)(i + 1), subjects[i % ARRAY_SIZE(subjects)]);
	for (size_t i = 0; i < FACTS; i++) {
		struct facts *facts = &drawn->facts[i];

		*facts = (struct facts){
			.role = random_below(8) ? FACTS_ROLE_CLIENT : (enum facts_role)random_below(3),
			.library = random_below(2) ? LIBRARY_OPENSSL : LIBRARY_GNUTLS,
			.verify = random_below(6) ? VERIFY_OK : (enum verify_result)random_below(5),
			.server_name = names[random_below(ARRAY_SIZE(names))],
			.expected_host = names[random_below(ARRAY_SIZE(names))],
			.peer = {4, {192, 0, 2, (uint8_t)random_below(4)}},
			.peer_port = (uint16_t)(random_below(3) ? 443 : random_below(2) * 853),
			.truncated = random_below(20) == 0,
			.path_count = random_below(5),
			.certs_count = 1,
		};
		if (random_below(10) == 0)
			facts->peer = (struct address){16, {0x20, 1, 0xd, 0xb8, [15] = (uint8_t)random_below(2)}};
		if (random_below(20) == 0)
			facts->peer.len = 0;
		for (size_t k = 0; k < facts->path_count; k++)
			facts->path[k] = &drawn->certificates[random_below(POOL)];
		facts->certs[0].certificate = &drawn->certificates[0];
		drawn->at[i] = NOW + (int64_t)random_below(1000);
	}
}

static struct learned *learn(struct drawn *drawn, const size_t *order)
{
	struct learned *learned = learned_new();

	for (size_t i = 0; i < FACTS; i++) {
		size_t at = order ? order[i] : i;

		drawn->learned[at] = learned_add(learned, &drawn->facts[at], at % 3 ? "/bin/p" : "/bin/q", drawn->at[at]);
	}
	return learned;
}

/* Whatever was learned is accepted; the same with keys that were never seen is not. */
static void test_accepts_just_that(void **state)
{
	static struct drawn drawn;
	struct certificate leaf, issuer;
	size_t count = 0;

	(void)state;
	random_start();
	certificate_set(&leaf, 100, "CN=R1");
	certificate_set(&issuer, 101, "CN=R2");
	for (size_t round = 0; round < ROUNDS; round++) {
		draw(&drawn);
		CLEANUP(learned_freep) struct learned *learned = learn(&drawn, NULL);
		CLEANUP_FREE char *text = written(learned, &session);
		struct policies *policies = parse(text);

		for (size_t i = 0; i < FACTS; i++) {
			struct facts forged = drawn.facts[i];

			assert_int_equal(drawn.learned[i] &&
						 (forged.verify != VERIFY_OK || forged.truncated || !forged.path_count),
					 0);
			if (!drawn.learned[i])
				continue;
			count++;
			assert_accepted(policies, &drawn.facts[i], text);
			forged.path[0] = &leaf;
			forged.path[1] = &issuer;
			forged.path_count = 1 + random_below(2);
			assert_true(broken(policies, &forged) > 0);
		}
		policies_free(policies);
	}
	assert_true(count > ROUNDS * FACTS / 4);
}

/* The text without whole lines of comments: those show the certificates seen first or last. */
static void comments_drop(char *text)
{
	char *to = text;

	for (char *line = text, *end; *line; line = end) {
		end = strchrnul(line, '\n');
		end += *end == '\n';
		if (line[strspn(line, " ")] == '#')
			continue;
		memmove(to, line, (size_t)(end - line));
		to += end - line;
	}
	*to = '\0';
}

static void test_order_does_not_matter(void **state)
{
	static struct drawn drawn;
	size_t order[FACTS];

	(void)state;
	random_start();
	for (size_t round = 0; round < 20; round++) {
		draw(&drawn);
		for (size_t i = 0; i < FACTS; i++)
			order[i] = i;
		for (size_t i = FACTS - 1; i > 0; i--) {
			size_t other = random_below(i + 1), kept = order[i];

			order[i] = order[other];
			order[other] = kept;
		}
		CLEANUP(learned_freep) struct learned *one = learn(&drawn, NULL);
		CLEANUP(learned_freep) struct learned *two = learn(&drawn, order);
		CLEANUP_FREE char *first = written(one, &session), *second = written(two, &session);

		comments_drop(first);
		comments_drop(second);
		assert_string_equal(first, second);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hostile_texts),         cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_too_many_keys),         cmocka_unit_test(test_accepts_just_that),
		cmocka_unit_test(test_order_does_not_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
