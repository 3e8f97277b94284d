/* X.509 certificates (certificate.h): OpenSSL parses, this file takes down the facts.
 *
 * Trusts nothing of the bytes: whatever they say, a certificate comes out, at worst one that is not parsed. Bounded by
 * CERTIFICATE_DER_MAX; OpenSSL bounds what its keys may cost. Hashes are over what was signed as it stands, never over a
 * re-encoding: what the agent pins is what the application saw. Only what is around that, which a peer may write in many ways,
 * is brought into one form (usual.c). OpenSSL's error queue is left empty. */
#include "certificate.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "der.h"
#include "key.h"
#include "names.h"

struct link_memo {
	uint8_t issuer[SHA256_BYTES];
	bool set, proven;
};

void sha256(const uint8_t *data, size_t len, uint8_t out[SHA256_BYTES])
{
	/* Fails only where memory does; then as util.h has it. */
	if (!SHA256(data, len, out))
		abort();
}

static int64_t seconds(const ASN1_TIME *time, int64_t unreadable)
{
	struct tm tm = {0};

	if (!time || ASN1_TIME_to_tm(time, &tm) != 1)
		return unreadable;
	return timegm(&tm); /* 64 bits: any year of four digits */
}

static char *serial_text(const ASN1_INTEGER *serial)
{
	BIGNUM *number = ASN1_INTEGER_to_BN(serial, NULL);
	char *hex = number ? BN_bn2hex(number) : NULL;
	char *text = xstrdup(hex ? hex : "");

	OPENSSL_free(hex);
	BN_free(number);
	return text;
}

static void read_facts(X509 *x509, struct certificate *certificate)
{
	const X509_NAME *subject = X509_get_subject_name(x509), *issuer = X509_get_issuer_name(x509);

	certificate->subject = name_text(subject);
	certificate->issuer = name_text(issuer);
	certificate->common_name = name_attribute(subject, NID_commonName);
	certificate->organization = name_attribute(subject, NID_organizationName);
	certificate->self_issued = X509_NAME_cmp(subject, issuer) == 0;
	certificate->serial = serial_text(X509_get0_serialNumber(x509));
	certificate->not_before = seconds(X509_get0_notBefore(x509), INT64_MIN);
	certificate->not_after = seconds(X509_get0_notAfter(x509), INT64_MAX);
	signature_read(x509, certificate);
	authority_read(x509, certificate);
	key_read(x509, certificate);
	twin_read(x509, certificate);
	sans_read(x509, certificate);
}

/* A certificate of which only the bytes are known. Takes der over. */
static struct certificate *unparsed(uint8_t *der, size_t len, const char *error)
{
	struct certificate *certificate = xcalloc(1, sizeof(*certificate));

	*certificate = (struct certificate){.der = der, .der_len = len, .error = error, .refs = 1};
	certificate->memo = xcalloc(1, sizeof(*certificate->memo));
	sha256(der, len, certificate->sha256);
	return certificate;
}

/* The certificate and its X509, put into the usual form if they are not. */
static X509 *make_usual(struct certificate *certificate, X509 *x509)
{
	size_t len = 0;
	uint8_t *usual = certificate_usual(x509, certificate->der, certificate->der_len, &len);
	const uint8_t *p = usual;
	X509 *again = usual && len <= CERTIFICATE_DER_MAX ? d2i_X509(NULL, &p, (long)len) : NULL;

	if (!again) {
		free(usual);
		return x509;
	}
	X509_free(x509);
	free(certificate->der);
	certificate->der = usual;
	certificate->der_len = len;
	sha256(usual, len, certificate->sha256);
	return again;
}

int certificate_new(const uint8_t *der, size_t len, struct certificate **ret)
{
	struct certificate *certificate;
	const uint8_t *p;
	X509 *x509;

	if (len == 0 || len > CERTIFICATE_DER_MAX)
		return -EINVAL;
	certificate = unparsed(memcpy(xcalloc(len, 1), der, len), len, NULL);
	p = certificate->der;
	x509 = d2i_X509(NULL, &p, (long)len);
	if (!x509) {
		certificate->error = "not an X.509 certificate";
	} else if (p != certificate->der + len) {
		certificate->error = "bytes after the certificate";
		X509_free(x509);
	} else {
		certificate->parsed = true;
		certificate->x509 = make_usual(certificate, x509);
		read_facts(certificate->x509, certificate);
	}
	ERR_clear_error();
	*ret = certificate;
	return 0;
}

static uint8_t *append(uint8_t *at, const uint8_t *data, size_t len)
{
	if (len)
		memcpy(at, data, len);
	return at + len;
}

uint8_t *certificate_join(const struct der_element *tbs, const struct der_element *algorithm, const uint8_t *signature,
			  size_t signature_len, unsigned unused_bits, size_t *ret_len)
{
	uint8_t outer[DER_HEADER_MAX], bits[DER_HEADER_MAX + 1], *der, *at;
	size_t outer_len, bits_len, content;

	bits_len = der_header(DER_BIT_STRING, 1 + signature_len, bits);
	bits[bits_len++] = (uint8_t)unused_bits;
	content = tbs->whole_len + algorithm->whole_len + bits_len + signature_len;
	outer_len = der_header(DER_SEQUENCE, content, outer);
	at = der = xcalloc(outer_len + content, 1);
	at = append(at, outer, outer_len);
	at = append(at, tbs->whole, tbs->whole_len);
	at = append(at, algorithm->whole, algorithm->whole_len);
	at = append(at, bits, bits_len);
	append(at, signature, signature_len);
	*ret_len = outer_len + content;
	return der;
}

int certificate_new_from_parts(const uint8_t *tbs, size_t tbs_len, const uint8_t *signature, size_t signature_len,
			       unsigned unused_bits, struct certificate **ret)
{
	const struct der_element whole = {.whole = tbs, .whole_len = tbs_len};
	CLEANUP_FREE uint8_t *der = NULL;
	struct der_tbs parts;
	size_t len;

	if (tbs_len == 0 || tbs_len > CERTIFICATE_DER_MAX || signature_len > CERTIFICATE_DER_MAX - tbs_len)
		return -EINVAL;
	if (!der_tbs(tbs, tbs_len, &parts) || unused_bits > 7) {
		der = xcalloc(tbs_len + signature_len, 1);
		append(append(der, tbs, tbs_len), signature, signature_len);
		*ret = unparsed(TAKE_PTR(der), tbs_len + signature_len, "TBSCertificate is broken");
		return 0;
	}
	der = certificate_join(&whole, &parts.algorithm, signature, signature_len, unused_bits, &len);
	return certificate_new(der, len, ret);
}

struct certificate *certificate_ref(struct certificate *certificate)
{
	certificate->refs++;
	return certificate;
}

void certificate_free(struct certificate *certificate)
{
	if (!certificate || --certificate->refs > 0)
		return;
	for (size_t i = 0; i < certificate->sans_count; i++)
		free(certificate->sans[i].text);
	free(certificate->sans);
	free(certificate->der);
	free(certificate->subject);
	free(certificate->issuer);
	free(certificate->common_name);
	free(certificate->organization);
	free(certificate->serial);
	free(certificate->memo);
	NAME_CONSTRAINTS_free(certificate->constraints);
	X509_free(certificate->x509);
	free(certificate);
}

void certificate_freep(struct certificate **certificate)
{
	certificate_free(*certificate);
}

bool certificate_names_chain(const struct certificate *subject, const struct certificate *issuer)
{
	return subject->x509 && issuer->x509 &&
	       X509_NAME_cmp(X509_get_issuer_name(subject->x509), X509_get_subject_name(issuer->x509)) == 0;
}

bool certificate_issued_by(const struct certificate *subject, const struct certificate *issuer)
{
	struct link_memo *memo = subject->memo;
	EVP_PKEY *key;

	if (!certificate_names_chain(subject, issuer))
		return false;
	if (memo->set && memcmp(memo->issuer, issuer->sha256, SHA256_BYTES) == 0)
		return memo->proven;
	key = X509_get0_pubkey(issuer->x509);
	memo->proven = key && X509_verify(subject->x509, key) == 1;
	memo->set = true;
	memcpy(memo->issuer, issuer->sha256, SHA256_BYTES);
	ERR_clear_error();
	return memo->proven;
}
