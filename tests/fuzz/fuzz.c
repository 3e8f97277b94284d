/* What the fuzz targets share (fuzz.h): how a broken promise ends, parcels, and checks of single certificates. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "certificate.h"

void promise_broken(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
	abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	certificate_init();
	return 0;
}

/* Written apart from text_escape, which it checks. */
static size_t character(const uint8_t *p)
{
	if (p[0] < 0x20 || p[0] == 0x7f)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] == 0xc2 && p[1] < 0xa0)
		return 0;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		return (p[1] & 0xc0) == 0x80 ? 2 : 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] >= 0x90) || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80)
		return 0;
	if (memcmp(p, "\xe2\x80\xa8", 3) == 0 || memcmp(p, "\xe2\x80\xa9", 3) == 0)
		return 0;
	if (p[0] >= 0xe0 && p[0] <= 0xef)
		return 3;
	return p[0] >= 0xf0 && p[0] <= 0xf4 && (p[3] & 0xc0) == 0x80 ? 4 : 0;
}

bool is_line(const char *text)
{
	const uint8_t *p = (const uint8_t *)text;

	while (p && *p) {
		size_t len = character(p);

		if (len == 0)
			return false;
		p += len;
	}
	return p != NULL;
}

size_t parcels_read(const uint8_t *data, size_t len, struct parcel parcels[PARCELS_MAX])
{
	size_t count = 0;

	while (count < PARCELS_MAX && len >= PARCEL_HEADER) {
		size_t wanted = (size_t)data[1] << 8 | data[2], rest = len - PARCEL_HEADER;
		struct parcel *parcel = &parcels[count++];

		*parcel = (struct parcel){data[0], data + PARCEL_HEADER, wanted < rest ? wanted : rest};
		data += PARCEL_HEADER + parcel->len;
		len = rest - parcel->len;
	}
	return count;
}

/* Writes the parcels one after the other; those that no longer fit are left out. */
static size_t parcels_write(uint8_t *data, size_t max, const struct parcel *parcels, size_t count)
{
	uint8_t *out = malloc(max ? max : 1);
	size_t at = 0;

	for (size_t i = 0; out && i < count && at + PARCEL_HEADER + parcels[i].len <= max; i++) {
		out[at] = parcels[i].flags;
		out[at + 1] = (uint8_t)(parcels[i].len >> 8);
		out[at + 2] = (uint8_t)parcels[i].len;
		memcpy(out + at + PARCEL_HEADER, parcels[i].data, parcels[i].len);
		at += PARCEL_HEADER + parcels[i].len;
	}
	if (out)
		memcpy(data, out, at);
	free(out);
	return at;
}

size_t parcels_mutate(uint8_t *data, size_t len, size_t max, unsigned seed, bool der)
{
	static uint8_t changed[PARCEL_MAX];
	struct parcel parcels[PARCELS_MAX], spare;
	size_t count = parcels_read(data, len, parcels), one, other;

	if (count == 0 || seed % 32 == 31)
		return LLVMFuzzerMutate(data, len, max);
	one = seed / 32 % count;
	other = seed / 2048 % count;
	switch (seed % 8) {
	case 0:
		parcels[one].flags ^= (uint8_t)(1U << (seed / 2048 % 8));
		break;
	case 1:
		spare = parcels[one];
		parcels[one] = parcels[other];
		parcels[other] = spare;
		break;
	case 2:
		memmove(&parcels[one], &parcels[one + 1], (--count - one) * sizeof(*parcels));
		break;
	case 3:
		if (count < PARCELS_MAX)
			parcels[count++] = parcels[one];
		break;
	default:
		memcpy(changed, parcels[one].data, parcels[one].len);
		parcels[one].len = (der ? der_mutate(changed, parcels[one].len, sizeof(changed), seed / 8) :
					  LLVMFuzzerMutate(changed, parcels[one].len, sizeof(changed)));
		parcels[one].data = changed;
	}
	return parcels_write(data, max, parcels, count);
}

static void check_san(const struct san *san)
{
	HOLDS(is_line(san->text));
	HOLDS(san->kind == SAN_IP || san->address.len == 0);
	HOLDS(san->address.len == 0 || san->address.len == 4 || san->address.len == 16);
	HOLDS(san->kind != SAN_IP || san->odd == (san->address.len == 0));
	/* A name that is not odd is text as it stands, with each backslash twice. */
	for (const char *p = san->text; san->kind == SAN_DNS && !san->odd && *p; p++) {
		HOLDS(*p >= 0x20 && *p < 0x7f);
		if (*p == '\\')
			HOLDS(*++p == '\\');
	}
}

static void check_parsed(const struct certificate *c)
{
	static const uint8_t zero[SHA256_BYTES];

	HOLDS(c->x509 && is_line(c->subject) && is_line(c->issuer) && is_line(c->serial));
	HOLDS(!c->common_name || is_line(c->common_name));
	HOLDS(!c->organization || is_line(c->organization));
	HOLDS(strspn(c->serial, "-0123456789ABCDEF") == strlen(c->serial) && !strchr(c->serial + (*c->serial != 0), '-'));
	HOLDS(c->key_algorithm && c->signature_algorithm && is_line(c->signature_algorithm));
	HOLDS(c->sans_count <= SANS_MAX && c->sans_count <= c->sans_total);
	HOLDS(memcmp(c->spki_sha256, zero, sizeof(zero)) != 0);
	HOLDS(c->is_ca || !c->may_sign);
	HOLDS(c->path_len >= -1);
	HOLDS(!c->has_twin || memcmp(c->twin_sha256, c->sha256, SHA256_BYTES) != 0);
	for (size_t i = 0; i < c->sans_count; i++)
		check_san(&c->sans[i]);
}

void certificate_check(const struct certificate *c)
{
	uint8_t sha256[SHA256_BYTES];

	HOLDS(c->refs == 1 && c->der && c->der_len);
	HOLDS(EVP_Digest(c->der, c->der_len, sha256, NULL, EVP_sha256(), NULL) == 1);
	HOLDS(memcmp(sha256, c->sha256, SHA256_BYTES) == 0);
	HOLDS(ERR_peek_error() == 0);
	HOLDS(!c->error || is_line(c->error));
	if (c->parsed)
		check_parsed(c);
	else
		HOLDS(c->error && !c->x509 && !c->subject && !c->sans && !c->sans_count);
}

char *pem_of(const struct certificate *certificate)
{
	CLEANUP_FREE char *text = xcalloc(certificate->der_len / 3 * 4 + 8, 1);

	EVP_EncodeBlock((unsigned char *)text, certificate->der, (int)certificate->der_len);
	return xasprintf("-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n", text);
}
