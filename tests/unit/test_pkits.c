/* trust.h against NIST's PKITS: every test of tests/pkits/table.txt, with its own CRLs, with all CRLs at once, without any, and
 * amid a crowd of other CAs' certificates. The certificates are those of Debian's python3-cryptography-vectors; this program runs in the top directory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <string.h>

#include "fixture.h"
#include "trust.h"

#define DATA "/usr/lib/python3/dist-packages/cryptography_vectors/x509/PKITS_data"

enum { AT = 1590969600, /* 2020-06-01: the certificates are of 2010 to 2030 */ TESTS = 224, FILE_MAX = 1 << 20 };

/* What a row says; its texts are parts of the line. */
struct row {
	char *number, *name, *certs, *crls;
	bool valid, valid_without_crls;
};

static char *next_field(char **line)
{
	char *field = *line, *end = strstr(field, "|");

	if (end) {
		*end = '\0';
		*line = end + 1;
	} else {
		*line = field + strlen(field);
	}
	while (*field == ' ')
		field++;
	for (size_t len = strlen(field); len && strchr(" \n", field[len - 1]); len--)
		field[len - 1] = '\0';
	return field;
}

/* What is expected of us. */
static bool is_valid(const char *words)
{
	if (strcmp(words, "valid") != 0 && strcmp(words, "invalid") != 0 && strcmp(words, "valid (refused)") != 0)
		fail_msg("neither valid nor invalid: %s", words);
	return strcmp(words, "valid") == 0;
}

static struct row parse(char *line)
{
	struct row row = {.number = next_field(&line), .name = next_field(&line)};

	row.valid = is_valid(next_field(&line));
	row.valid_without_crls = is_valid(next_field(&line));
	row.certs = next_field(&line);
	row.crls = next_field(&line);
	return row;
}

static char *read_file(const char *directory, const char *name, const char *suffix, size_t *ret_len)
{
	CLEANUP_FREE char *path = xasprintf(DATA "/%s/%s%s", directory, name, suffix);
	char *data = NULL;

	if (file_read(path, FILE_MAX, &data, ret_len) < 0)
		fail_msg("%s cannot be read", path);
	return data;
}

static struct certificate *read_certificate(const char *name)
{
	size_t len = 0;
	CLEANUP_FREE char *der = read_file("certs", name, ".crt", &len);
	struct certificate *certificate = NULL;

	assert_int_equal(certificate_new((const uint8_t *)der, len, &certificate), 0);
	assert_true(certificate->parsed);
	return certificate;
}

static void add_crl(struct crls *crls, const char *name, const char *suffix)
{
	size_t len = 0;
	CLEANUP_FREE char *der = read_file("crls", name, suffix, &len);
	const char *why = NULL;

	if (crls_add(crls, der, len, &why) < 0)
		fail_msg("%s: %s", name, why);
}

static struct crls *all_crls(void)
{
	struct crls *crls = crls_new();
	struct dirent **names;
	int count = scandir(DATA "/crls", &names, NULL, alphasort);

	for (int i = 0; i < count; i++) {
		if (names[i]->d_name[0] != '.')
			add_crl(crls, names[i]->d_name, "");
		free(names[i]);
	}
	free(names);
	assert_true(crls_count(crls) > 170);
	return crls;
}

static struct trust_store *nist_store(void)
{
	size_t len = 0, skipped = 0;
	CLEANUP_FREE char *der = read_file("certs", "TrustAnchorRootCertificate", ".crt", &len);
	char base64[4096], *pem, *end = base64;
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct trust_store *store = NULL;

	assert_true(len && len / 3 * 4 + 8 < sizeof(base64));
	for (size_t i = 0; i < len; i += 3) {
		const uint8_t *p = (const uint8_t *)der + i;
		unsigned group = p[0] << 16 | (i + 1 < len ? p[1] : 0) << 8 | (i + 2 < len ? p[2] : 0);

		*end++ = digits[group >> 18];
		*end++ = digits[group >> 12 & 63];
		*end++ = i + 1 < len ? digits[group >> 6 & 63] : '=';
		*end++ = i + 2 < len ? digits[group & 63] : '=';
	}
	*end = '\0';
	pem = xasprintf("-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n", base64);
	assert_int_equal(trust_store_new(pem, strlen(pem), &store, &skipped), 0);
	free(pem);
	return store;
}

static size_t ask(const struct trust_store *store, const struct crls *crls, const struct facts *facts, bool want,
		  const struct row *row, const char *what)
{
	struct trust_result result;

	if (trust_check(store, crls, facts, AT, &result) == want) {
		assert_int_equal(result.trusted, want);
		assert_true(want ? result.chain_count > 1 && !result.why : result.why && result.chain_count == 0);
		return 0;
	}
	print_error("%s %s, %s: expected %s, was %s (%s, depth %zu)\n", row->number, row->name, what,
		    want ? "valid" : "invalid", want ? "not" : "so", result.why ? result.why : "no reason", result.depth);
	return 1;
}

struct world {
	struct trust_store *store;
	struct crls *crls;               /* all */
	struct certificate *crowd[1024]; /* all that are no leaves */
	size_t crowd_count;
};

static int is_ca(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && !strstr(entry->d_name, "EE.crt");
}

static void world_new(struct world *world)
{
	struct dirent **names;
	int count = scandir(DATA "/certs", &names, is_ca, alphasort);

	world->store = nist_store();
	world->crls = all_crls();
	for (int i = 0; i < count; i++) {
		char *end = strstr(names[i]->d_name, ".crt");

		assert_non_null(end);
		*end = '\0';
		assert_true(world->crowd_count < ARRAY_SIZE(world->crowd));
		world->crowd[world->crowd_count++] = read_certificate(names[i]->d_name);
		free(names[i]);
	}
	free(names);
	assert_true(world->crowd_count > FACTS_CERTS_MAX);
}

static void world_clear(struct world *world)
{
	for (size_t i = 0; i < world->crowd_count; i++)
		certificate_free(world->crowd[i]);
	trust_store_free(world->store);
	crls_free(world->crls);
}

/* As facts, with others between the leaf and the rest; from: which ones. */
static struct facts amid_others(const struct world *world, const struct facts *facts, size_t from)
{
	struct facts many = {.certs_count = FACTS_CERTS_MAX};
	size_t others = FACTS_CERTS_MAX - facts->certs_count;

	many.certs[0] = facts->certs[0];
	for (size_t i = 0; i < others; i++)
		many.certs[1 + i].certificate = world->crowd[(from + i) % world->crowd_count];
	for (size_t i = 1; i < facts->certs_count; i++)
		many.certs[others + i] = facts->certs[i];
	return many;
}

static size_t run(const struct world *world, struct row *row, size_t number)
{
	CLEANUP(crls_freep) struct crls *own = crls_new();
	struct certificate *certs[FACTS_CERTS_MAX];
	struct facts facts = {0}, many;
	size_t wrong = 0;
	char *save = NULL;

	for (char *name = strtok_r(row->certs, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
		certs[facts.certs_count] = read_certificate(name);
		facts.certs[facts.certs_count] = (struct fact_cert){.certificate = certs[facts.certs_count],
								    .presented = true};
		facts.certs_count++;
	}
	add_crl(own, "TrustAnchorRootCRL", ".crl");
	for (char *name = strtok_r(row->crls, " ", &save); name; name = strtok_r(NULL, " ", &save))
		add_crl(own, name, ".crl");
	wrong += ask(world->store, own, &facts, row->valid, row, "with its CRLs");
	wrong += ask(world->store, world->crls, &facts, row->valid, row, "with all CRLs");
	wrong += ask(world->store, NULL, &facts, row->valid_without_crls, row, "without CRLs");
	for (size_t from = number % FACTS_CERTS_MAX; from < world->crowd_count; from += FACTS_CERTS_MAX / 2) {
		many = amid_others(world, &facts, from);
		wrong += ask(world->store, own, &many, row->valid, row, "with its CRLs amid others");
		wrong += ask(world->store, NULL, &many, row->valid_without_crls, row, "without CRLs amid others");
	}
	for (size_t i = 0; i < facts.certs_count; i++)
		certificate_free(certs[i]);
	return wrong;
}

static void test_pkits(void **state)
{
	CLEANUP(world_clear) struct world world = {0};
	CLEANUP_FCLOSE FILE *table = fopen("tests/pkits/table.txt", "re");
	CLEANUP_FREE char *line = NULL;
	size_t room = 0, wrong = 0, count = 0;

	(void)state;
	world_new(&world);
	assert_non_null(table);
	while (getline(&line, &room, table) > 0) {
		struct row row;

		if (line[0] == '#' || line[0] == '\n')
			continue;
		row = parse(line);
		wrong += run(&world, &row, count);
		count++;
	}
	assert_int_equal(wrong, 0);
	assert_int_equal(count, TESTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pkits),
	};

	certificate_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
