/* The confined half: reads a library file that may be an attacker's, loads it, and asks it where its fields are.
 *
 * Starts with the file on fd 3 and the answer's pipe on fd 4, gives up every right (confine.c), maps and relocates the
 * file, shuts the last door, calls the library's own accessors, writes one struct library_answer and ends. It can do
 * nothing else: that the answer is nonsense, or that it does not end, is for the other half (ask.c) to deal with.
 * Messages go nowhere; the exit code tells ask.c's reader only that no answer came.
 */
#include "library.h"

#include <string.h>
#include <unistd.h>

#include "confine.h"
#include "elf_file.h"
#include "image.h"
#include "onehot.h"
#include "questions.h"
#include "util.h"

enum {
	FILE_FD = 3,
	ANSWER_FD = 4,
	CODE_BYTES = 48, /* of a function, that site_pick looks at */
};

const char *const site_names[SITE_COUNT] = {
	[SITE_X509_VERIFY_CERT] = "X509_verify_cert", [SITE_SSL_DO_HANDSHAKE] = "SSL_do_handshake",
	[SITE_SSL_CONNECT] = "ossl_statem_connect",   [SITE_SSL_ACCEPT] = "ossl_statem_accept",
	[SITE_GNUTLS_HANDSHAKE] = "gnutls_handshake", [SITE_GNUTLS_VERIFY_PEERS] = "gnutls_certificate_verify_peers",
	[SITE_GNUTLS_REAUTH] = "gnutls_reauth",       [SITE_GNUTLS_DEINIT] = "gnutls_deinit",
};

static uint64_t site_at(const struct elf_file *elf, uint64_t address, size_t (*pick)(const uint8_t *, size_t))
{
	uint8_t code[CODE_BYTES];
	uint64_t offset;
	size_t len = sizeof(code);

	if (!elf_file_offset(elf, address, 1, &offset))
		return 0;
	while (len && !elf_file_offset(elf, address, len, &offset))
		len--;
	if (!elf_file_read(elf, offset, code, len))
		return 0;
	return offset + pick(code, len);
}

static uint64_t site_find(const struct elf_file *elf, const char *name)
{
	uint64_t address;

	return elf_file_function(elf, name, &address) ? site_at(elf, address, site_pick) : 0;
}

static void look_at(const struct elf_file *elf, struct library_answer *answer)
{
	uint64_t address;

	answer->build_id_len = (uint32_t)elf_file_build_id(elf, answer->build_id, BUILD_ID_MAX);
	for (size_t i = 0; i < SITE_COUNT; i++)
		if (i != SITE_SSL_CONNECT && i != SITE_SSL_ACCEPT)
			answer->site[i] = site_find(elf, site_names[i]);
	if (answer->site[SITE_X509_VERIFY_CERT])
		answer->wanted |= PART_CRYPTO;
	if (elf_file_function(elf, "SSL_get_verify_mode", &address))
		answer->wanted |= PART_SSL;
	if (answer->site[SITE_GNUTLS_HANDSHAKE])
		answer->wanted |= PART_GNUTLS;
	if (!answer->wanted)
		snprintf(answer->reason, REASON_MAX, "%s", LIBRARY_NOT_CONCERNED);
}

static int load(struct questions *questions, uint32_t wanted, const char **ret_why)
{
	bool gnutls = wanted == PART_GNUTLS;
	int r = image_load(questions->elf, FILE_FD, &questions->image, ret_why);

	if (r < 0)
		return r;
	return image_relocate(&questions->image, questions->elf, gnutls ? gnutls_bindings : openssl_bindings,
			      gnutls ? gnutls_bindings_count : openssl_bindings_count, guard_trap, ret_why);
}

/* Without both of the functions that all handshakes pass it is SSL_do_handshake that is looked at. */
static void ask_handshake(const struct questions *questions, struct library_answer *answer)
{
	struct handshake_functions functions = {0};
	uint64_t connect, accept;

	openssl_ask_finished(questions, &answer->openssl, &functions);
	connect = functions.connect ? site_at(questions->elf, functions.connect, site_pick_first) : 0;
	accept = functions.accept ? site_at(questions->elf, functions.accept, site_pick_first) : 0;
	if (!connect || !accept || connect == accept)
		return;
	answer->site[SITE_SSL_CONNECT] = connect;
	answer->site[SITE_SSL_ACCEPT] = accept;
	answer->site[SITE_SSL_DO_HANDSHAKE] = 0;
}

static void ask_all(struct questions *questions, struct library_answer *answer)
{
	char version[VERSION_MAX] = "";

	if (answer->wanted & PART_CRYPTO && openssl_ask_crypto(questions, &answer->openssl, answer->version))
		answer->parts |= PART_CRYPTO;
	if (answer->wanted & PART_SSL && openssl_ask_ssl(questions, &answer->openssl)) {
		answer->parts |= PART_SSL;
		ask_handshake(questions, answer);
	}
	if (answer->wanted & PART_GNUTLS && gnutls_ask(questions, &answer->gnutls, version)) {
		answer->parts |= PART_GNUTLS;
		if (!answer->version[0])
			memcpy(answer->version, version, sizeof(version));
	}
	if (answer->parts == answer->wanted)
		answer->reason[0] = '\0';
}

/* False: no answer can be given at all. */
static bool answer_fill(struct library_answer *answer)
{
	struct questions questions = {.reason = answer->reason};
	struct elf_file elf;
	const char *why = NULL;

	if (confine_rights() < 0 || guard_init() < 0 || confine_to_loading() < 0)
		return false;
	if (elf_file_open(FILE_FD, &elf, &why) < 0) {
		snprintf(answer->reason, REASON_MAX, "%s", why ? why : "the file cannot be read");
		return true;
	}
	look_at(&elf, answer);
	if (!answer->wanted)
		return true;
	questions.elf = &elf;
	questions.object = object_new();
	questions.second = object_new();
	if (!questions.object || !questions.second)
		return false;
	if (load(&questions, answer->wanted, &why) < 0) {
		snprintf(answer->reason, REASON_MAX, "%s", why ? why : "it cannot be loaded");
		return true;
	}
	if (close(FILE_FD) < 0 || confine_to_answering(ANSWER_FD) < 0)
		return false;
	ask_all(&questions, answer);
	return true;
}

int library_answer_main(void)
{
	static struct library_answer answer; /* not on the stack that foreign functions run on */

	memset(&answer.openssl, 0xff, sizeof(answer.openssl)); /* OFFSET_NONE, each */
	memset(&answer.gnutls, 0xff, sizeof(answer.gnutls));
	memset(answer.openssl.pad, 0, sizeof(answer.openssl.pad));
	memset(answer.gnutls.pad, 0, sizeof(answer.gnutls.pad));
	answer.gnutls.text_start = answer.gnutls.text_end = 0;
	if (!answer_fill(&answer))
		_exit(1);
	_exit(write(ANSWER_FD, &answer, sizeof(answer)) == sizeof(answer) ? 0 : 1);
}
