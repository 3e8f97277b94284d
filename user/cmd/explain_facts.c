/* `explain`, first part: what was looked at. Texts of certificates are escaped already; the rest is escaped here. Bounds: of
 * names and addresses NAMES_SHOWN are printed, and each is cut at TEXT_MAX bytes; certificates are at most FACTS_CERTS_MAX. */
#include <linux/types.h>

#include "explain_print.h"

#include <inttypes.h>
#include <string.h>

#include "show.h"
#include "util.h"

enum { NAMES_SHOWN = 12, TEXT_MAX = 200, DAY = 86400 };

static void print_names(const struct certificate *leaf, bool verbose)
{
	static const char *const kinds[] = {
		[SAN_DNS] = "DNS ", [SAN_IP] = "IP ",          [SAN_EMAIL] = "email ",
		[SAN_URI] = "URI ", [SAN_DIRECTORY] = "name ", [SAN_OTHER] = "",
	};
	size_t shown = verbose || leaf->sans_count < NAMES_SHOWN ? leaf->sans_count : NAMES_SHOWN;

	fputs("  names        ", stdout);
	for (size_t i = 0; i < shown; i++) {
		printf("%s%s", i ? ", " : "", kinds[leaf->sans[i].kind]);
		print_cut(leaf->sans[i].text, TEXT_MAX);
		if (leaf->sans[i].odd)
			fputs(" (odd: matches no policy)", stdout);
	}
	if (leaf->sans_total > shown)
		printf("%sand %zu more", shown ? ", " : "", leaf->sans_total - shown);
	puts(leaf->sans_total ? "" : "none");
}

static bool is_unreadable(int64_t date)
{
	return date == INT64_MIN || date == INT64_MAX;
}

static void print_dates(const struct certificate *leaf, int64_t at)
{
	char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX], now[TIME_TEXT_MAX];

	time_text(leaf->not_before, from);
	time_text(leaf->not_after, to);
	time_text(at, now);
	printf("  valid        %s to %s: at %s ", from, to, now);
	if (is_unreadable(leaf->not_before) || is_unreadable(leaf->not_after))
		puts("that cannot be told");
	else if (at < leaf->not_before)
		puts("not yet");
	else if (at > leaf->not_after)
		printf("it had expired, %" PRId64 " days before\n", (at - leaf->not_after) / DAY);
	else
		printf("it was, for %" PRId64 " more days\n", (leaf->not_after - at) / DAY);
}

static void print_leaf(const struct certificate *leaf, int64_t at, const struct explain_style *style)
{
	char hash[2 * SHA256_BYTES + 1];

	print_coloured(style->colour, COLOUR_BOLD, "leaf\n");
	if (!leaf->parsed) {
		printf("  unreadable   %s\n", leaf->error ? leaf->error : "not X.509");
		return;
	}
	fputs("  subject      ", stdout);
	print_cut(*leaf->subject ? leaf->subject : "(an empty name)", TEXT_MAX);
	fputs("\n  issuer       ", stdout);
	print_cut(*leaf->issuer ? leaf->issuer : "(an empty name)", TEXT_MAX);
	putchar('\n');
	print_names(leaf, style->verbose);
	print_dates(leaf, at);
	printf("  key          %s, %u bits; signed with %s\n", leaf->key_algorithm, leaf->key_bits,
	       leaf->signature_algorithm);
	hex_encode(leaf->sha256, SHA256_BYTES, false, hash);
	fputs("  serial       ", stdout);
	print_cut(leaf->serial, TEXT_MAX);
	printf("\n  SHA-256      %s\n", hash);
	if (leaf->error)
		printf("  broken       %s\n", leaf->error);
}

static void print_text(const char *label, const char *escaped)
{
	if (!escaped)
		return;
	printf("  %-12s ", label);
	print_cut(escaped, TEXT_MAX);
	putchar('\n');
}

static void print_raw(const char *label, const char *text)
{
	CLEANUP_FREE char *safe = text ? text_escape(text, strlen(text)) : NULL;

	print_text(label, safe);
}

static void print_connection(const struct facts *facts, const struct explain_style *style)
{
	static const char *const verify[] = {
		[VERIFY_OK] = "verified by the application",
		[VERIFY_FAILED] = "verified by the application, and it failed",
		[VERIFY_FAILED_IGNORED] = "verification failed, and the application went on",
		[VERIFY_OFF] = "the application did not verify",
		[VERIFY_BY_CALLBACK] = "the application's own function decided, and not the library",
		[VERIFY_NO_CERTIFICATE] = "there was no certificate to verify",
		[VERIFY_PENDING] = "not verified yet",
	};
	char ip[ADDRESS_TEXT_MAX];

	print_coloured(style->colour, COLOUR_BOLD, "\nconnection\n");
	printf("  role         %s\n",
	       facts->role == FACTS_ROLE_SERVER ? "server: the peer is a client" : "client: the peer is a server");
	printf("  library      %s; %s\n", facts->library == LIBRARY_GNUTLS ? "gnutls" : "openssl", verify[facts->verify]);
	print_text("server name", facts->server_name ? facts->server_name : "none");
	print_text("host", facts->expected_host);
	if (facts->peer.len) {
		address_format(&facts->peer, ip);
		printf(facts->peer.len == 16 ? "  peer         [%s]" : "  peer         %s", ip);
		printf(facts->peer_port ? ":%u\n" : "\n", facts->peer_port);
	}
	print_raw("program", facts->exe);
	print_raw("user", facts->user);
	if (facts->uid != UINT32_MAX)
		printf("  uid          %u\n", facts->uid);
	print_text("unit", facts->unit);
	print_text("container", facts->container);
}

static const struct fact_cert *cert_of(const struct facts *facts, const struct certificate *certificate)
{
	for (size_t i = 0; i < facts->certs_count; i++)
		if (facts->certs[i].certificate == certificate)
			return &facts->certs[i];
	return NULL;
}

static const char *origin(const struct facts *facts, const struct certificate *certificate)
{
	const struct fact_cert *cert = cert_of(facts, certificate);

	if (!cert)
		return "known here";
	if (!cert->presented)
		return "in the application's chain";
	return cert->chain ? "presented, and in the application's chain" : "presented";
}

static void print_certificate(const char *number, const struct facts *facts, const struct certificate *certificate)
{
	char pin[PIN_CHARS + 1];

	printf("  %-3s", number);
	if (!certificate->parsed) {
		printf("(%s; %s)\n", certificate->error ? certificate->error : "not X.509", origin(facts, certificate));
		return;
	}
	pin_encode(certificate->spki_sha256, pin);
	print_cut(*certificate->subject ? certificate->subject : "(an empty name)", TEXT_MAX);
	printf("\n     pin %s; %s", pin, origin(facts, certificate));
}

static void print_path(const struct facts *facts, const struct explain_style *style)
{
	print_coloured(style->colour, COLOUR_BOLD, "\nproven path");
	puts(" (leaf first; each signed by the key of the next, which was checked here)");
	for (size_t i = 0; i < facts->path_count; i++) {
		char number[24];

		snprintf(number, sizeof(number), "%zu", i);
		print_certificate(number, facts, facts->path[i]);
		if (i + 1 < facts->path_count)
			printf("; proven by the key of %zu\n", i + 1);
		else
			puts(facts->path[i]->self_issued ? "; the end: it names itself as issuer" :
							   "; the end: nobody here has signed it");
	}
	if (facts->truncated)
		puts("  nothing is proven: the agent does not get all of these certificates (more than 16, or one is too large)");
	else if (!facts->path_count)
		puts("  nothing is proven");
	if (facts->path_cut)
		puts("  the search was given up: there may be a longer path");
}

static void print_others(const struct facts *facts, const struct explain_style *style)
{
	bool any = false;

	for (size_t i = 0; i < facts->certs_count; i++) {
		if (facts->certs[i].proven)
			continue;
		if (!any) {
			print_coloured(style->colour, COLOUR_BOLD, "\nnot proven");
			puts(" (what only `forbid` looks at)");
		}
		any = true;
		print_certificate("-", facts, facts->certs[i].certificate);
		if (facts->certs[i].certificate->parsed)
			putchar('\n');
	}
	for (size_t i = 0; i < facts->beside_count; i++) {
		print_certificate("-", facts, facts->beside[i]);
		puts("; signed one of these");
	}
}

void explain_print_facts(const struct facts *facts, int64_t at, const struct explain_style *style)
{
	if (facts->certs_count)
		print_leaf(facts->certs[0].certificate, at, style);
	print_connection(facts, style);
	print_path(facts, style);
	print_others(facts, style);
}
