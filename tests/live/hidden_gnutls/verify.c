/* How a side verifies: what the options `verify` (of the client) and `server-verify` say.
 *
 *     none            not at all
 *     auto            the library by itself (gnutls_session_set_verify_cert)
 *     callback        a function of the credentials, which calls the library's verification
 *     session         the same, of the session
 *     ignored         the same as callback, and goes on whatever the library says
 *     custom          a function of the credentials that decides by itself
 *     after           the application, when the handshake is over
 *     after-ignored   the same, and goes on whatever the library says
 *     list            the application, when the handshake is over, by a list of roots of its own */
#include "hidden.h"

#include <gnutls/x509.h>

enum { CERTIFICATES = 8 };

static const char *way(void)
{
	return option(server ? "server-verify" : "verify");
}

static int verify_now(gnutls_session_t session)
{
	unsigned status = ~0u;
	int result = gnutls_certificate_verify_peers3(session, server ? NULL : "localhost", &status);

	return result < 0 || status ? GNUTLS_E_CERTIFICATE_ERROR : 0;
}

/* callback, session: it decides. ignored: it looks, and goes on. custom: it decides without the library. */
static int on_certificate(gnutls_session_t session)
{
	unsigned count;

	if (!strcmp(way(), "custom"))
		return gnutls_certificate_get_peers(session, &count) ? 0 : GNUTLS_E_CERTIFICATE_ERROR;
	return verify_now(session) && strcmp(way(), "ignored") ? GNUTLS_E_CERTIFICATE_ERROR : 0;
}

/* By a list of its own, and not through the session. */
static int verify_by_list(gnutls_session_t session)
{
	unsigned count = 0, status = ~0u;
	const gnutls_datum_t *sent = gnutls_certificate_get_peers(session, &count);
	gnutls_x509_crt_t chain[CERTIFICATES];
	gnutls_x509_trust_list_t list;

	must(gnutls_x509_trust_list_init(&list, 0), "trust list");
	must(gnutls_x509_trust_list_add_trust_file(list, file(option("trust"), ".pem"), NULL, GNUTLS_X509_FMT_PEM, 0, 0),
	     "roots");
	if (count > CERTIFICATES)
		count = CERTIFICATES;
	for (unsigned i = 0; i < count; i++) {
		must(gnutls_x509_crt_init(&chain[i]), "certificate");
		must(gnutls_x509_crt_import(chain[i], &sent[i], GNUTLS_X509_FMT_DER), "certificate");
	}
	if (count)
		gnutls_x509_trust_list_verify_crt2(list, chain, count, NULL, 0, 0, &status, NULL);
	for (unsigned i = 0; i < count; i++)
		gnutls_x509_crt_deinit(chain[i]);
	gnutls_x509_trust_list_deinit(list, 1);
	return status ? GNUTLS_E_CERTIFICATE_ERROR : 0;
}

void verify_prepare(gnutls_session_t session, gnutls_certificate_credentials_t certificates)
{
	bool called = !strcmp(way(), "callback") || !strcmp(way(), "ignored") || !strcmp(way(), "custom");

	gnutls_certificate_set_verify_function(certificates, called ? on_certificate : NULL);
	if (!strcmp(way(), "session"))
		gnutls_session_set_verify_function(session, on_certificate);
	if (!strcmp(way(), "auto"))
		gnutls_session_set_verify_cert(session, server ? NULL : "localhost", 0);
}

/* What the application does when the handshake is over. */
int verify_afterwards(gnutls_session_t session)
{
	if (!strcmp(way(), "after"))
		return verify_now(session);
	if (!strcmp(way(), "after-ignored"))
		verify_now(session);
	return !strcmp(way(), "list") ? verify_by_list(session) : 0;
}
