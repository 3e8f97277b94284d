/* OpenSSL made ready before the process gives up its rights (certificate_init).
 *
 * OpenSSL reads its configuration, loads its providers and fetches algorithms when they are first needed. The half of the
 * agent that parses certificates may open nothing by then, and must not do what a configuration file says: so none is read,
 * and one signature of each kind is made and checked here. Keys made here are thrown away. */
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "certificate.h"

/* Signs and checks a few bytes; what fails here is an algorithm that this OpenSSL does not have, and it will say so again
 * when a certificate needs it: that link is then not proven. */
static void warm_signature(EVP_PKEY *key, const char *digest)
{
	static const uint8_t data[] = "warm";
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t signature[1024];
	size_t len = sizeof(signature);

	if (ctx && key && EVP_DigestSignInit_ex(ctx, NULL, digest, NULL, NULL, key, NULL) == 1 &&
	    EVP_DigestSign(ctx, signature, &len, data, sizeof(data)) == 1 && EVP_MD_CTX_reset(ctx) == 1 &&
	    EVP_DigestVerifyInit_ex(ctx, NULL, digest, NULL, NULL, key, NULL) == 1)
		EVP_DigestVerify(ctx, signature, len, data, sizeof(data));
	EVP_MD_CTX_free(ctx);
}

void certificate_init(void)
{
	static const char *const digests[] = {"MD5", "SHA1", "SHA224", "SHA256", "SHA384", "SHA512", "SHA3-256", "SHAKE256"};
	EVP_PKEY *keys[2], *edwards[2];

	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_ADD_ALL_CIPHERS |
				    OPENSSL_INIT_ADD_ALL_DIGESTS,
			    NULL);
	/* 1024 bits: quickly made, large enough for a padded SHA-512, and never used for more than this. */
	keys[0] = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
	keys[1] = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	edwards[0] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	edwards[1] = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		for (size_t j = 0; j < ARRAY_SIZE(digests); j++)
			warm_signature(keys[i], digests[j]);
	for (size_t i = 0; i < ARRAY_SIZE(edwards); i++)
		warm_signature(edwards[i], NULL);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		EVP_PKEY_free(keys[i]);
	for (size_t i = 0; i < ARRAY_SIZE(edwards); i++)
		EVP_PKEY_free(edwards[i]);
	tzset(); /* for timegm, which looks for the time zone's file though it does not need it */
	ERR_clear_error();
}
