/* `tlswarden pin FILE.pem | HOST:PORT`: the SPKI pins of a chain, as a policy set takes them.
 *
 * Certificates and servers are an attacker's, so root's rights are given up first: a file is read before, taken apart after;
 * names are looked up and servers talked to after. Everything printed is escaped, names are quoted as YAML wants. Nothing is
 * verified but which key made which signature, and the output says so. At most FILE_BYTES_MAX of a file and ANSWER_SECONDS
 * of a server; beyond either it is an error. At most CHECKS_MAX signatures; beyond it nobody looks for who signed whom. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <string.h>

#include "certificate.h"
#include "cmd.h"
#include "peer_chain.h"
#include "rights.h"
#include "show.h"
#include "util.h"

enum {
	FILE_BYTES_MAX = 16 << 20,
	ANSWER_SECONDS = 10,
	SIGNERS_MAX = 64,     /* in a longer bundle nobody looks for who signed whom: that takes time by the square */
	CHECKS_MAX = 1024,    /* one second or so */
	DEAR_CHECKS = 8,      /* that one check with a dear key counts for */
	NAME_BYTES_MAX = 120, /* of a key, in a policy; longer ones are cut */
};

static const char usage[] =
	"usage: tlswarden pin FILE.pem\n"
	"       tlswarden pin HOST:PORT\n"
	"\n"
	"Prints the SPKI pins of all certificates in a PEM file, or of those that a TLS server presents, as entries of a\n"
	"policy's key set. An IPv6 address is written [2001:db8::1]:443. Nothing is verified: compare the pins with a second\n"
	"source before you use them.\n"
	"\n"
	"  -h, --help   this text\n"
	"\n"
	"Exit status: 0 pins were printed; 2 the command line is wrong, the file cannot be read or has no certificate, or the\n"
	"server cannot be reached; 3 root's rights could not be given up.\n";

/* Text that text_escape made, as a double-quoted YAML scalar; no more of it than a policy takes. */
static void print_quoted(const char *text)
{
	size_t len = strnlen(text, NAME_BYTES_MAX + 1);

	if (len > NAME_BYTES_MAX)
		for (len = NAME_BYTES_MAX; len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80; len--)
			;
	putchar('"');
	for (const char *end = text + len; text < end; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

/* Whether issuer's key signed subject, as long as that may be asked, and then false: keys are chosen by who sent them.
 * *budget is what is left of CHECKS_MAX; 0 once it did not suffice. */
static bool has_signed(const struct certificate *issuer, const struct certificate *subject, unsigned *budget)
{
	unsigned cost = issuer->parsed && issuer->dear_key ? DEAR_CHECKS : 1;

	if (!certificate_names_chain(subject, issuer))
		return false;
	if (cost > *budget) {
		*budget = 0;
		return false;
	}
	*budget -= cost;
	return certificate_issued_by(subject, issuer);
}

static const char *kind(const struct certificate *certificate, unsigned *budget)
{
	if (has_signed(certificate, certificate, budget))
		return certificate->is_ca ? "root CA (self-signed)" : "self-signed certificate";
	if (certificate->self_issued)
		return certificate->is_ca ? "CA that names itself as issuer" : "certificate that names itself as issuer";
	return certificate->is_ca ? "intermediate CA" : "leaf";
}

/* Whether this key is of use: a certificate that merely lies beside the others vouches for none of them. */
static void print_signed(struct certificate *const *certificates, size_t count, size_t index, unsigned *budget)
{
	bool any = false;

	if (count > SIGNERS_MAX)
		return;
	for (size_t i = 0; i < count; i++) {
		if (i == index || !has_signed(certificates[index], certificates[i], budget))
			continue;
		printf(any ? ", %zu" : "; its key signed number %zu", i + 1);
		any = true;
	}
	if (any && !certificates[index]->may_sign)
		printf(", which it may not: it is no CA's");
	if (!any && *budget && index > 0 && certificates[index]->is_ca)
		printf("; its key signed none of the others");
}

/* The first certificate with the same key: count if there is none before it. */
static size_t same_key(struct certificate *const *certificates, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (certificates[i]->parsed &&
		    !memcmp(certificates[i]->spki_sha256, certificates[index]->spki_sha256, SHA256_BYTES))
			return i;
	return index;
}

/* True if a pin was printed. */
static bool print_certificate(struct certificate *const *certificates, size_t count, size_t index, unsigned *budget)
{
	const struct certificate *certificate = certificates[index];
	char pin[PIN_CHARS + 1], from[TIME_TEXT_MAX], to[TIME_TEXT_MAX];
	const char *name;
	size_t same;

	printf("# %zu of %zu: ", index + 1, count);
	if (!certificate->parsed) {
		printf("%s: no pin\n", certificate->error);
		return false;
	}
	printf("%s, %s %u bits", kind(certificate, budget), certificate->key_algorithm, certificate->key_bits);
	print_signed(certificates, count, index, budget);
	time_text(certificate->not_before, from);
	time_text(certificate->not_after, to);
	printf("\n#   subject %s\n#   issuer  %s\n#   valid   %s to %s\n", certificate->subject, certificate->issuer, from,
	       to);
	same = same_key(certificates, index);
	if (same < index) {
		printf("#   the same key as number %zu\n", same + 1);
		return true;
	}
	pin_encode(certificate->spki_sha256, pin);
	name = certificate->common_name && *certificate->common_name ? certificate->common_name : certificate->subject;
	fputs("- {", stdout);
	if (*name) { /* a policy takes no empty one */
		fputs("name: ", stdout);
		print_quoted(name);
		fputs(", ", stdout);
	}
	printf("spki_sha256: \"%s\"}\n", pin);
	return true;
}

static int print_all(const char *source, const char *verb, struct certificate **certificates, size_t count)
{
	CLEANUP_FREE char *name = text_escape(source, strlen(source));
	unsigned budget = CHECKS_MAX;
	bool any = false;

	printf("# %s %s %zu certificate%s. NOT VERIFIED: compare the pins with a second source.\n", name, verb, count,
	       count == 1 ? "" : "s");
	for (size_t i = 0; i < count; i++)
		any |= print_certificate(certificates, count, i, &budget);
	certificates_free(certificates, count);
	if (!any)
		fprintf(stderr, "tlswarden pin: %s: no certificate that can be read\n", name);
	return any ? EXIT_FINE : EXIT_USAGE;
}

static int pin_file(const char *path)
{
	CLEANUP_FREE char *text = NULL;
	struct certificate **certificates;
	size_t len, count;
	int r;

	r = file_read(path, FILE_BYTES_MAX, &text, &len);
	if (r < 0) {
		fprintf(stderr, "tlswarden pin: %s: %s\n", path, strerror(-r));
		return EXIT_USAGE;
	}
	if (rights_drop_or_say("pin") != EXIT_FINE)
		return EXIT_CANNOT;
	r = certificates_from_pem(text, len, &certificates, &count);
	if (r < 0) {
		fprintf(stderr, "tlswarden pin: %s: %s\n", path,
			r == -ENODATA ? "no PEM certificate in it" :
					"a PEM block in it is broken, or larger than certificates are");
		return EXIT_USAGE;
	}
	return print_all(path, "has", certificates, count);
}

/* Ends the process wherever it waits: the resolver, connect or the handshake. */
static void too_late(int signal)
{
	static const char text[] = "tlswarden pin: no answer in time\n";

	(void)signal;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(EXIT_CANNOT);
	_exit(EXIT_USAGE);
}

static int pin_host(const char *source, const char *host, const char *port)
{
	const struct sigaction late = {.sa_handler = too_late};
	struct certificate **certificates;
	CLEANUP_FREE char *error = NULL;
	size_t count;

	if (rights_drop_or_say("pin") != EXIT_FINE)
		return EXIT_CANNOT;
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGALRM, &late, NULL);
	alarm(ANSWER_SECONDS);
	if (peer_chain(host, port, &certificates, &count, &error) < 0) {
		fprintf(stderr, "tlswarden pin: %s: %s\n", source, error);
		return EXIT_USAGE;
	}
	alarm(0);
	return print_all(source, "presented", certificates, count);
}

/* "name:443", "192.0.2.1:443", "[2001:db8::1]:443". */
static bool split_host(const char *source, char **ret_host, const char **ret_port)
{
	const char *colon = strrchr(source, ':'), *port = colon ? colon + 1 : "";
	size_t len = colon ? (size_t)(colon - source) : 0, digits = strspn(port, "0123456789");
	long number = strtol(port, NULL, 10);

	if (len == 0 || digits == 0 || port[digits] || number < 1 || number > 65535)
		return false;
	if (source[0] == '[' && source[len - 1] == ']' && len > 2)
		*ret_host = xstrndup(source + 1, len - 2);
	else if (!memchr(source, ':', len) && !memchr(source, '/', len))
		*ret_host = xstrndup(source, len);
	else
		return false;
	*ret_port = port;
	return true;
}

int cmd_pin(int argc, char **argv)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
	CLEANUP_FREE char *host = NULL;
	const char *port;
	int c;

	optind = 0; /* 0: glibc starts afresh, whatever was parsed before */
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		fputs(usage, c == 'h' ? stdout : stderr);
		return c == 'h' ? EXIT_FINE : EXIT_USAGE;
	}
	if (optind + 1 != argc) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	certificate_init();
	if (access(argv[optind], F_OK) < 0 && split_host(argv[optind], &host, &port))
		return pin_host(argv[optind], host, port);
	return pin_file(argv[optind]);
}
