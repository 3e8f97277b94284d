/* Facts of one X.509 certificate (RFC 5280), from DER bytes that are an attacker's. Runs only without privilege. */
#ifndef CERTIFICATE_H
#define CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "util.h"

enum san_kind { SAN_DNS, SAN_IP, SAN_EMAIL, SAN_URI, SAN_DIRECTORY, SAN_OTHER };

struct san {
	enum san_kind kind;
	char *text;             /* escaped (text_escape); SAN_IP: the address, or hex if odd; SAN_DIRECTORY: as subject;
	                           * SAN_OTHER: "type:hex" of the DER GeneralName, e.g. "otherName:…" */
	bool odd;               /* the name had a NUL, a control or a non-ASCII byte: it matches no policy name; SAN_IP: it
	                           * has neither 4 nor 16 bytes */
	struct address address; /* SAN_IP with 4 or 16 bytes */
};

/* sans beyond SANS_MAX are not listed; sans_total says how many there were. */
enum { CERTIFICATE_DER_MAX = 65536 + 8192, SANS_MAX = 4096 };

struct certificate {
	uint8_t *der; /* as it was given, but for what is around its signed part: that is in one form (usual.c) */
	size_t der_len;
	uint8_t sha256[SHA256_BYTES];      /* of der */
	uint8_t twin_sha256[SHA256_BYTES]; /* of the same with the other ECDSA signature that is as good (twin.c) */
	bool has_twin;
	bool parsed;                       /* false: not X.509, and only der, sha256 and error are set */
	const char *error;                 /* static string, when !parsed; or what of a parsed one is broken (its
	                                      * subjectAltName: then sans has only what could be read), else NULL */
	uint8_t spki_sha256[SHA256_BYTES]; /* of the DER SubjectPublicKeyInfo, as in the certificate */
	uint8_t key_sha256[SHA256_BYTES]; /* the same of the key's usual encoding (key.c): one key, one hash. All zero if the
	                                      * key does not decode */
	char *subject, *issuer;           /* RFC 2253 text, escaped: \xNN instead of its \NN; "" for an empty name */
	char *common_name;                /* of the subject, the last one, escaped; NULL if none */
	char *organization;               /* of the subject, escaped; NULL if none */
	char *serial;                     /* upper-case hex, "-" in front if negative */
	int64_t not_before, not_after;    /* seconds since 1970; INT64_MIN / INT64_MAX if not readable */
	struct san *sans;
	size_t sans_count, sans_total;
	const char *key_algorithm; /* "RSA", "EC", "ED25519", … : static string; "unknown" */
	unsigned key_bits;
	const char *signature_algorithm; /* OpenSSL's long name, static: "ecdsa-with-SHA256"; "unknown" */
	const char *signature_digest; /* "MD5", "SHA1", "SHA256", …: OpenSSL's short name, static; of RSA-PSS the one in its
	                                  * parameters, the weaker of its two; "none" (Ed25519, Ed448), "unknown". MD2, MD4 and
	                                  * MD5 with SHA-1 count as MD5, the first SHA as SHA1 */
	bool is_ca;                   /* basicConstraints CA:TRUE, or a self-issued version 1 certificate */
	bool self_issued;             /* subject and issuer are the same name */
	bool may_sign; /* is_ca, keyUsage has keyCertSign or is absent, and no extension is broken (RFC 5280 6.1.4 k, n) */
	int path_len;  /* pathLenConstraint; -1: none */
	bool dear_key; /* a signature check with it may take many times as long as with a usual key */
	void *x509;    /* X509 *, owned; NULL if !parsed */
	void *constraints;      /* NAME_CONSTRAINTS *, owned; NULL if there are none */
	unsigned refs;          /* holders; the last certificate_free() frees */
	struct link_memo *memo; /* the issuer last tried and the answer: see certificate_issued_by */
};

/* Takes a copy of der. Always gives a certificate: one that does not parse says so. 0, or -EINVAL for len 0 or more than
 * CERTIFICATE_DER_MAX. */
int certificate_new(const uint8_t *der, size_t len, struct certificate **ret);
/* From a TBSCertificate and the signature's bits: the whole DER is put together with the AlgorithmIdentifier found in the
 * TBS. If the TBS is too broken for that, a certificate that is not parsed, over TBS || signature. */
int certificate_new_from_parts(const uint8_t *tbs, size_t tbs_len, const uint8_t *signature, size_t signature_len,
			       unsigned unused_bits, struct certificate **ret);
/* One holder more; returns certificate. */
struct certificate *certificate_ref(struct certificate *certificate);
/* One holder less. */
void certificate_free(struct certificate *certificate);
void certificate_freep(struct certificate **certificate);

/* All certificates of a PEM text ("-----BEGIN CERTIFICATE-----" blocks; other blocks are passed over). -EBADMSG if a block
 * is broken as PEM (pem.h), -ENODATA if there is none. A block that is no X.509 certificate gives one that is not parsed. */
int certificates_from_pem(const char *text, size_t len, struct certificate ***ret, size_t *ret_count);
void certificates_free(struct certificate **certificates, size_t count);

/* True if subject names issuer as its issuer; says nothing about keys. */
bool certificate_names_chain(const struct certificate *subject, const struct certificate *issuer);
/* True if issuer's key made the signature of subject and the names chain (RFC 5280 6.1.3 a 1 and 4): the only thing that
 * counts as a link. Checked here, never believed; the last answer for each subject is kept, by the issuer's SHA-256. Not for
 * several threads. */
bool certificate_issued_by(const struct certificate *subject, const struct certificate *issuer);

/* Whether ca's name constraints (RFC 5280 4.2.1.10) let it vouch for subject's names. leaf: a common name counts too, if
 * subject has no dNSName. True if there are none. */
bool certificate_permits(const struct certificate *ca, const struct certificate *subject, bool leaf);
/* How many names that compares, at most. */
size_t certificate_permits_cost(const struct certificate *ca, const struct certificate *subject);

/* Must run once, before any other use of OpenSSL and before the process gives up its rights: reads no configuration, and
 * loads what OpenSSL loads lazily, so that nothing above opens a file later. */
void certificate_init(void);

#endif
