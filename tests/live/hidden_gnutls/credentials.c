/* What a side shows, and what it trusts: certificates, a raw public key, a secret of both, or nothing. */
#include "hidden.h"

static gnutls_certificate_credentials_t certificates;
static gnutls_psk_client_credentials_t psk_client;
static gnutls_psk_server_credentials_t psk_server;
static gnutls_anon_client_credentials_t anonymous_client;
static gnutls_anon_server_credentials_t anonymous_server;
static gnutls_srp_client_credentials_t srp_client;
static gnutls_srp_server_credentials_t srp_server;

static gnutls_datum_t text(const char *words)
{
	return copy_of((gnutls_datum_t){(unsigned char *)words, (unsigned)strlen(words)});
}

static int psk_secret(gnutls_session_t session, const char *name, gnutls_datum_t *ret)
{
	(void)session;
	(void)name;
	*ret = text("a secret of both");
	return 0;
}

static int srp_secret(gnutls_session_t session, const char *name, gnutls_datum_t *salt, gnutls_datum_t *verifier,
		      gnutls_datum_t *g, gnutls_datum_t *n)
{
	(void)session;
	*salt = text("salt");
	*g = copy_of(gnutls_srp_2048_group_generator);
	*n = copy_of(gnutls_srp_2048_group_prime);
	return gnutls_srp_verifier(name, "password", salt, g, n, verifier);
}

static void certificates_prepare(void)
{
	const char *own = option(server ? "leaf" : "client");
	bool raw = is("credentials", "raw");

	must(gnutls_certificate_allocate_credentials(&certificates), "credentials");
	must(gnutls_certificate_set_x509_trust_file(certificates, file(option("trust"), ".pem"), GNUTLS_X509_FMT_PEM),
	     "roots");
	must(gnutls_certificate_set_x509_trust_file(certificates, file("client-ca", ".pem"), GNUTLS_X509_FMT_PEM), "roots");
	if (raw && server)
		must(gnutls_certificate_set_rawpk_key_file(certificates, option("public"), file(own, ".key"),
							   GNUTLS_X509_FMT_PEM, NULL, 0, NULL, 0, 0, 0),
		     "raw key");
	else if (strcmp(own, "none") != 0)
		must(gnutls_certificate_set_x509_key_file(certificates, file(own, ".chain.pem"), file(own, ".key"),
							  GNUTLS_X509_FMT_PEM),
		     "certificate");
}

static void secrets_prepare(void)
{
	gnutls_datum_t key = {(unsigned char *)"a secret of both", 16};

	must(gnutls_psk_allocate_client_credentials(&psk_client), "PSK");
	must(gnutls_psk_set_client_credentials(psk_client, "name", &key, GNUTLS_PSK_KEY_RAW), "PSK");
	must(gnutls_psk_allocate_server_credentials(&psk_server), "PSK");
	gnutls_psk_set_server_credentials_function(psk_server, psk_secret);
	must(gnutls_anon_allocate_client_credentials(&anonymous_client), "anonymous");
	must(gnutls_anon_allocate_server_credentials(&anonymous_server), "anonymous");
	if (!is("credentials", "srp"))
		return;
	must(gnutls_srp_allocate_client_credentials(&srp_client), "SRP");
	must(gnutls_srp_set_client_credentials(srp_client, "name", "password"), "SRP");
	must(gnutls_srp_allocate_server_credentials(&srp_server), "SRP");
	gnutls_srp_set_server_credentials_function(srp_server, srp_secret);
}

void credentials_give(gnutls_session_t session)
{
	if (is("credentials", "psk"))
		must(server ? gnutls_credentials_set(session, GNUTLS_CRD_PSK, psk_server) :
			      gnutls_credentials_set(session, GNUTLS_CRD_PSK, psk_client),
		     "PSK");
	else if (is("credentials", "anonymous"))
		must(server ? gnutls_credentials_set(session, GNUTLS_CRD_ANON, anonymous_server) :
			      gnutls_credentials_set(session, GNUTLS_CRD_ANON, anonymous_client),
		     "anonymous");
	else if (is("credentials", "srp"))
		must(server ? gnutls_credentials_set(session, GNUTLS_CRD_SRP, srp_server) :
			      gnutls_credentials_set(session, GNUTLS_CRD_SRP, srp_client),
		     "SRP");
	else
		must(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, certificates), "certificate");
}

void credentials_prepare(void)
{
	certificates_prepare();
	secrets_prepare();
}

gnutls_certificate_credentials_t credentials_certificates(void)
{
	return certificates;
}
