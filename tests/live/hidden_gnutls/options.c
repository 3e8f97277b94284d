/* The options, their values if they are not named, and what all parts need. */
#include "hidden.h"

#include <unistd.h>

bool server;

static const char *directory;

static struct {
	const char *name, *value;
} options[] = {
	{"tls", "1.3"},
	{"transport", "tcp"},    /* tcp, udp */
	{"leaf", "good-leaf"},   /* the server's certificate */
	{"credentials", "x509"}, /* x509, psk, anonymous, srp, raw */
	{"verify", "callback"},  /* none, auto, callback, session, ignored, custom, after, after-ignored, list: see below */
	{"resume", "no"},        /* no, ticket, id */
	{"early", "no"},         /* yes: the last connection begins with early data */
	{"client", "none"},      /* the client's certificate */
	{"request", "no"},       /* of it by the server: no, request, require */
	{"server-verify", "auto"}, /* as verify */
	{"again", "no"},           /* no, rehandshake, reauth, auto-reauth */
	{"false-start", "no"},     /* no, yes */
	{"stay", "no"},            /* yes: the client waits between handshake and data */
	{"connections", "1"},
	{"forget", "no"},     /* yes: the server takes up no earlier session */
	{"pause", "no"},      /* yes: before the last connection a line is read from standard input */
	{"trust", "clients"}, /* roots of the client */
	{"public", ""},       /* path of the server's public key, with credentials=raw */
};

void options_read(int count, char **words)
{
	if (count < 2)
		must(GNUTLS_E_INVALID_REQUEST, "no directory");
	directory = words[1];
	for (int i = 2; i < count; i++) {
		size_t len = strcspn(words[i], "="), k = 0;

		while (k < sizeof(options) / sizeof(options[0]) &&
		       (strlen(options[k].name) != len || strncmp(options[k].name, words[i], len) != 0))
			k++;
		if (k == sizeof(options) / sizeof(options[0]) || !words[i][len])
			must(GNUTLS_E_INVALID_REQUEST, words[i]);
		options[k].value = words[i] + len + 1;
	}
}

const char *option(const char *name)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (!strcmp(options[i].name, name))
			return options[i].value;
	abort();
}

bool is(const char *name, const char *value)
{
	return !strcmp(option(name), value);
}

void must(int result, const char *what)
{
	if (result >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, gnutls_strerror(result));
	_exit(2);
}

const char *file(const char *name, const char *ending)
{
	static char paths[4][512];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s%s", directory, name, ending);
	return path;
}

gnutls_datum_t copy_of(gnutls_datum_t from)
{
	gnutls_datum_t copy = {gnutls_malloc(from.size), from.size};

	memcpy(copy.data, from.data, from.size);
	return copy;
}
