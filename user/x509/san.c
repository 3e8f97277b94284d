/* Subject alternative names (RFC 5280 4.2.1.6) of a certificate (names.h).
 *
 * What a verifier might read is listed, even where the certificate breaks the rules (two extensions, bytes after the list):
 * a name left out would be a name that no policy sees. An extension that OpenSSL cannot read gives no name. At most SANS_MAX
 * are kept; the rest is counted. */
#include <string.h>

#include <openssl/x509v3.h>

#include "names.h"

static const char broken[] = "subjectAltName is broken";

static bool is_odd(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] < 0x20 || data[i] >= 0x7f)
			return true;
	return false;
}

static char *prefixed_hex(const char *prefix, const uint8_t *data, size_t len)
{
	char *text = xcalloc(strlen(prefix) + 2 * len + 1, 1);

	hex_encode(data, len, false, stpcpy(text, prefix));
	return text;
}

static struct san san_string(enum san_kind kind, const ASN1_STRING *value)
{
	const uint8_t *data = ASN1_STRING_get0_data(value);
	size_t len = (size_t)ASN1_STRING_length(value);

	return (struct san){.kind = kind, .text = text_escape(data, len), .odd = is_odd(data, len)};
}

static struct san san_ip(const ASN1_STRING *value)
{
	const uint8_t *data = ASN1_STRING_get0_data(value);
	size_t len = (size_t)ASN1_STRING_length(value);
	struct san san = {.kind = SAN_IP};

	/* A network (8 or 32 bytes) belongs into name constraints, and is as odd here as any other length. */
	if (len != 4 && len != 16) {
		san.odd = true;
		san.text = prefixed_hex("", data, len);
		return san;
	}
	san.address = address_from_bytes(data, len);
	san.text = xcalloc(ADDRESS_TEXT_MAX, 1);
	address_format(&san.address, san.text);
	return san;
}

static struct san san_other(const GENERAL_NAME *name)
{
	static const char *const prefixes[] = {
		[GEN_OTHERNAME] = "otherName:",
		[GEN_X400] = "x400Address:",
		[GEN_EDIPARTY] = "ediPartyName:",
		[GEN_RID] = "registeredID:",
	};
	bool known = name->type >= 0 && (size_t)name->type < ARRAY_SIZE(prefixes) && prefixes[name->type];
	const char *prefix = known ? prefixes[name->type] : "unknown:";
	unsigned char *der = NULL;
	int len = i2d_GENERAL_NAME(name, &der);
	struct san san = {.kind = SAN_OTHER, .text = prefixed_hex(prefix, der, len > 0 ? (size_t)len : 0)};

	OPENSSL_free(der);
	return san;
}

static struct san san_read(const GENERAL_NAME *name)
{
	switch (name->type) {
	case GEN_DNS:
		return san_string(SAN_DNS, name->d.dNSName);
	case GEN_EMAIL:
		return san_string(SAN_EMAIL, name->d.rfc822Name);
	case GEN_URI:
		return san_string(SAN_URI, name->d.uniformResourceIdentifier);
	case GEN_IPADD:
		return san_ip(name->d.iPAddress);
	case GEN_DIRNAME:
		return (struct san){.kind = SAN_DIRECTORY, .text = name_text(name->d.directoryName)};
	default:
		return san_other(name);
	}
}

void sans_read(const X509 *x509, struct certificate *certificate)
{
	int extensions = 0;

	for (int at = -1; (at = X509_get_ext_by_NID(x509, NID_subject_alt_name, at)) >= 0;) {
		const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(X509_get_ext(x509, at));
		const uint8_t *data = ASN1_STRING_get0_data(value), *p = data;
		int len = ASN1_STRING_length(value);
		GENERAL_NAMES *names = d2i_GENERAL_NAMES(NULL, &p, len);
		size_t count = names ? (size_t)sk_GENERAL_NAME_num(names) : 0;
		size_t room = SANS_MAX - certificate->sans_count, kept = count < room ? count : room;

		if (!names || p != data + len || ++extensions > 1)
			certificate->error = broken;
		certificate->sans = xrealloc(certificate->sans, certificate->sans_count + kept, sizeof(*certificate->sans));
		for (size_t i = 0; i < kept; i++)
			certificate->sans[certificate->sans_count++] = san_read(sk_GENERAL_NAME_value(names, (int)i));
		certificate->sans_total += count;
		GENERAL_NAMES_free(names);
	}
}
