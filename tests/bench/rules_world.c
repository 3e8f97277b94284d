/* What the bench of many rules is about: rules for hosts, domains, networks, keys and certificates in the shares that a large
 * policy might have them in, and verifications that are about one of them or none. Nothing in it is a certificate's DER: judging
 * looks at facts. */
#include "rules_world.h"

#include <stdio.h>
#include <string.h>

enum {
	SEED = 1,
	CAS = 50, /* sets of issuers, of CA_KEYS keys each */
	CA_KEYS = 3,
};

static const unsigned shares[SUBJECTS] = {35, 10, 15, 10, 10, 10, 5, 5}; /* per cent */

static uint64_t random_state = SEED;

/* SplitMix64. */
static uint64_t random_bits(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

unsigned below(unsigned bound)
{
	return (unsigned)(random_bits() % bound);
}

static void random_key(uint8_t key[SHA256_BYTES])
{
	for (size_t i = 0; i < SHA256_BYTES; i++)
		key[i] = (uint8_t)random_bits();
}

/* --- policies --------------------------------------------------------------------------------------------------------------- */

static uint8_t cas[CAS][CA_KEYS][SHA256_BYTES];

static void random_name(char name[64])
{
	static const char *const words[] = {"api",  "www", "mail", "db",  "cache", "edge", "auth", "cdn",
					    "node", "vpn", "git",  "log", "shop",  "pay",  "img",  "ws"};

	snprintf(name, 64, "%s-%u.%s.%s%u.example", words[below(16)], below(1000000), words[below(16)], words[below(16)],
		 below(2000));
}

static struct address random_address(void)
{
	struct address address = {.len = below(4) ? 4 : 16};

	for (size_t i = 0; i < address.len; i++)
		address.bytes[i] = (uint8_t)random_bits();
	address.bytes[0] = address.len == 16 ? 0x20 : (uint8_t)(1 + below(223));
	return address;
}

/* The address's network, of a usual size. */
static void print_network(FILE *file, struct address address)
{
	static const unsigned v4[] = {24, 25, 26, 27, 28, 32}, v6[] = {48, 56, 64, 128};
	unsigned prefix = address.len == 4 ? v4[below(6)] : v6[below(4)];
	char text[ADDRESS_TEXT_MAX];

	for (unsigned bit = prefix; bit < 8U * address.len; bit++)
		address.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	address_format(&address, text);
	fprintf(file, "\"%s/%u\"", text, prefix);
}

static void print_sets(FILE *file)
{
	char pin[PIN_CHARS + 1];

	fprintf(file, "sets:\n  keys:\n");
	for (size_t i = 0; i < CAS; i++) {
		fprintf(file, "    cas-%zu:\n", i);
		for (size_t k = 0; k < CA_KEYS; k++) {
			pin_encode(cas[i][k], pin);
			fprintf(file, "      - {name: \"CA %zu-%zu\", spki_sha256: \"%s\"}\n", i, k, pin);
		}
	}
}

static void print_rule(FILE *file, size_t number, const struct about *about)
{
	char pin[PIN_CHARS + 1], hex[2 * SHA256_BYTES + 1];
	bool forbids = about->subject == ABOUT_KEY || about->subject == ABOUT_DIGEST;

	fprintf(file, "  - id: rule-%zu\n    description: number %zu of many\n    match: [", number, number);
	switch (about->subject) {
	case ABOUT_HOST:
		fprintf(file, "{server_name: \"%s\"}", about->name);
		break;
	case ABOUT_DOMAIN:
		fprintf(file, "{server_name: [\"%s\", \"**.%s\"]}", about->name, about->name);
		break;
	case ABOUT_SAN:
		fprintf(file, "{san_dns: \"%s\"}", about->name);
		break;
	case ABOUT_SAN_IP:
		fprintf(file, "{san_ip: ");
		print_network(file, about->address);
		fprintf(file, "}");
		break;
	case ABOUT_PEER:
		fprintf(file, "{peer_ip: ");
		print_network(file, about->address);
		fprintf(file, ", peer_port: [443, 853]}");
		break;
	case ABOUT_BOTH:
		fprintf(file, "{server_name: \"%s\"}, {san_dns: \"%s\"}, {peer_ip: ", about->name, about->name);
		print_network(file, about->address);
		fprintf(file, "}");
		break;
	default:
		fprintf(file, "{any: true}");
	}
	pin_encode(about->key, pin);
	hex_encode(about->key, SHA256_BYTES, false, hex);
	fprintf(file, "]\n");
	if (!forbids)
		fprintf(file, "    require: {issuer_in: \"@cas-%u\"}\n", below(CAS));
	else if (about->subject == ABOUT_KEY)
		fprintf(file, "    forbid: {key_in: [{name: \"key %zu\", spki_sha256: \"%s\"}]}\n", number, pin);
	else
		fprintf(file, "    forbid: {cert_sha256_in: [\"%s\"]}\n", hex);
	fprintf(file, "    action: kill\n    severity: high\n");
}

static struct about random_about(void)
{
	struct about about = {.subject = 0};
	unsigned n = below(100);

	while (n >= shares[about.subject])
		n -= shares[about.subject++];
	random_name(about.name);
	about.address = random_address();
	random_key(about.key);
	return about;
}

char *policy_text(size_t count, struct about *abouts, size_t *ret_len)
{
	char *text = NULL;
	FILE *file = open_memstream(&text, ret_len);

	fprintf(file, "version: 1\nname: bench\nmode: enforce\n");
	print_sets(file);
	fprintf(file, "rules:\n");
	for (size_t i = 0; i < count; i++) {
		abouts[i] = random_about();
		print_rule(file, i, &abouts[i]);
	}
	fclose(file);
	return text;
}

char *shared_text(size_t count, bool forbids, size_t *ret_len)
{
	char *text = NULL, name[64], pin[PIN_CHARS + 1];
	FILE *file = open_memstream(&text, ret_len);
	uint8_t key[SHA256_BYTES];

	fprintf(file, "version: 1\nname: bench\nsets:\n  names:\n    shared: [host.shared.example");
	for (size_t i = 0; i < SHARED_NAMES; i++) {
		random_name(name);
		fprintf(file, ", %s", name);
	}
	fprintf(file, "]\nrules:\n");
	for (size_t i = 0; i < count; i++) {
		random_key(key);
		pin_encode(key, pin);
		fprintf(file, "  - {id: r%zu, match: [{server_name: \"@shared\"}], %s: {key_in: [{spki_sha256: \"%s\"}]}}\n",
			i, forbids ? "forbid" : "require", pin);
	}
	fclose(file);
	return text;
}

/* --- facts ------------------------------------------------------------------------------------------------------------------ */

static void make_certificate(struct certificate *certificate)
{
	*certificate = (struct certificate){.parsed = true, .subject = (char *)"CN=CA", .serial = (char *)"01"};
	random_key(certificate->sha256);
	random_key(certificate->spki_sha256);
	memcpy(certificate->key_sha256, certificate->spki_sha256, SHA256_BYTES);
}

/* Makes the facts be about what the rule is about. */
static void aim(struct verification *v, const struct about *about)
{
	switch (about->subject) {
	case ABOUT_SAN_IP:
		v->sans[v->certs[0].sans_count] = (struct san){
			.kind = SAN_IP, .text = (char *)"", .address = about->address};
		v->certs[0].sans_total = ++v->certs[0].sans_count;
		break;
	case ABOUT_PEER:
		v->facts.peer = about->address;
		break;
	case ABOUT_KEY:
		memcpy(v->certs[1].spki_sha256, about->key, SHA256_BYTES);
		break;
	case ABOUT_DIGEST:
		memcpy(v->certs[0].sha256, about->key, SHA256_BYTES);
		break;
	default:
		snprintf(v->names[0], sizeof(v->names[0]), "%s", about->name);
	}
}

void make_verification(struct verification *v, const struct about *about)
{
	size_t sans = 1 + below(SANS);

	memset(v, 0, sizeof(*v));
	for (size_t i = 0; i < ARRAY_SIZE(v->certs); i++)
		make_certificate(&v->certs[i]);
	memcpy(v->certs[1].spki_sha256, cas[below(CAS)][below(CA_KEYS)], SHA256_BYTES);
	for (size_t i = 0; i < sans; i++) {
		random_name(v->names[i]);
		v->sans[i] = (struct san){.kind = SAN_DNS, .text = v->names[i]};
	}
	v->certs[0].sans = v->sans;
	v->certs[0].sans_count = v->certs[0].sans_total = sans;
	v->facts = (struct facts){
		.role = FACTS_ROLE_CLIENT,
		.library = LIBRARY_OPENSSL,
		.verify_mode = "peer",
		.server_name = v->names[0],
		.peer = random_address(),
		.peer_port = 443,
		.exe = "/usr/bin/curl",
		.user = "www-data",
		.uid = 33,
		.certs = {{&v->certs[0], true, true, true}, {&v->certs[1], true, true, true}},
		.certs_count = 2,
		.path = {&v->certs[0], &v->certs[1], &v->certs[2]},
		.path_count = 3,
	};
	if (about)
		aim(v, about);
	snprintf(v->subject, sizeof(v->subject), "CN=%s", v->names[0]);
	v->certs[0].subject = v->subject;
	v->certs[0].common_name = v->names[0];
}

void world_start(void)
{
	for (size_t i = 0; i < CAS; i++)
		for (size_t k = 0; k < CA_KEYS; k++)
			random_key(cas[i][k]);
}
