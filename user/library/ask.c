/* The privileged side of asking a library: has the confined half answer (child.c), and checks what it said.
 *
 * Trusts nothing that comes back: every number in range, every text printable.
 */
#include "library.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "child.h"
#include "util.h"

#define TEXT_MAX (1ll << 30) /* of a library's code; more is refused */

int library_ask(int fd, struct library_answer *ret)
{
	struct library_answer answer;
	struct child child;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	r = child_start("ask-library", NULL, fd, &child);
	if (r == 0)
		r = child_answer(&child, &answer, sizeof(answer));
	if (r == 0)
		r = library_answer_check(&answer, (uint64_t)st.st_size);
	if (r < 0)
		return r;
	*ret = answer;
	return 0;
}

static bool text_fine(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return len < size;
}

static bool offsets_fine(const __u16 *const *offsets, size_t count, unsigned width)
{
	for (size_t i = 0; i < count; i++)
		if (*offsets[i] > OFFSET_MAX || *offsets[i] % width)
			return false;
	return true;
}

static bool crypto_fine(const struct openssl_layout *layout)
{
	const __u16 *const pointers[] = {
		&layout->ctx_cert,       &layout->ctx_untrusted, &layout->ctx_chain,    &layout->ctx_param,
		&layout->ctx_ex_data,    &layout->stack_data,    &layout->x509_tbs,     &layout->x509_tbs_len,
		&layout->x509_signature, &layout->string_data,   &layout->string_flags, &layout->param_hosts,
		&layout->bio_method,
	};
	const __u16 *const ints[] = {
		&layout->ctx_error, &layout->stack_num, &layout->string_length, &layout->bio_num, &layout->method_type,
	};
	const __u16 *const ip[] = {&layout->param_ip, &layout->param_ip_len};
	bool no_ip = layout->param_ip == OFFSET_NONE && layout->param_ip_len == OFFSET_NONE;

	return offsets_fine(pointers, ARRAY_SIZE(pointers), 8) && offsets_fine(ints, ARRAY_SIZE(ints), 4) &&
	       (no_ip || offsets_fine(ip, ARRAY_SIZE(ip), 8));
}

/* Bytes of any alignment; both, or neither. */
static bool randoms_fine(__u16 client, __u16 server)
{
	return (client <= OFFSET_MAX && server <= OFFSET_MAX) || (client == OFFSET_NONE && server == OFFSET_NONE);
}

static bool is_none(const __u16 *const *offsets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (*offsets[i] != OFFSET_NONE)
			return false;
	return true;
}

static bool or_none(__u16 offset, unsigned width)
{
	return offset == OFFSET_NONE || (offset <= OFFSET_MAX && offset % width == 0);
}

static bool finished_fine(const struct openssl_layout *layout)
{
	const __u16 *const pointers[] = {
		&layout->ssl_session,  &layout->ssl_result,    &layout->ssl_ctx,        &layout->ssl_param,
		&layout->session_peer, &layout->session_chain, &layout->session_cipher, &layout->context_verify,
	};
	const __u16 *const ints[] = {&layout->ssl_state, &layout->ssl_reused, &layout->ssl_early, &layout->cipher_auth};
	bool none = is_none(pointers, ARRAY_SIZE(pointers)) && is_none(ints, ARRAY_SIZE(ints));

	return (none || (offsets_fine(pointers, ARRAY_SIZE(pointers), 8) && offsets_fine(ints, ARRAY_SIZE(ints), 4))) &&
	       or_none(layout->session_psk, 8) && or_none(layout->session_raw_key, 8) && or_none(layout->ssl_type, 4);
}

static bool ssl_fine(const struct openssl_layout *layout)
{
	bool hello_fine = layout->ssl_hello == OFFSET_NONE ||
			  (layout->ssl_client_random != OFFSET_NONE && layout->ssl_hello <= OFFSET_MAX &&
			   layout->ssl_hello % 8 == 0);
	const __u16 *const pointers[] = {&layout->ssl_rbio, &layout->ssl_server_name};
	const __u16 *const ints[] = {&layout->ssl_version, &layout->ssl_server, &layout->ssl_verify_mode};

	return offsets_fine(pointers, ARRAY_SIZE(pointers), 8) && offsets_fine(ints, ARRAY_SIZE(ints), 4) && hello_fine &&
	       finished_fine(layout) && randoms_fine(layout->ssl_client_random, layout->ssl_server_random);
}

/* What only some know: those that are there are in range, and aligned. */
static bool optional_fine(const __u16 *const *offsets, size_t count, unsigned width)
{
	for (size_t i = 0; i < count; i++)
		if (*offsets[i] != OFFSET_NONE && !offsets_fine(&offsets[i], 1, width))
			return false;
	return true;
}

static bool gnutls_session_fine(const struct gnutls_layout *layout)
{
	const __u16 *const bytes[] = {&layout->session_has_name, &layout->name_text, &layout->name_length,
				      &layout->name_length_high};
	const __u16 *const resumed[] = {&layout->session_resumed};
	const __u16 *const ints[] = {&layout->session_flags, &layout->session_client_type, &layout->session_server_type,
				     &layout->session_request, &layout->item_type};
	const __u16 *const pointers[] = {&layout->session_verify, &layout->session_credentials, &layout->item_object,
					 &layout->item_next, &layout->credentials_verify};

	return offsets_fine(bytes, ARRAY_SIZE(bytes), 1) && optional_fine(resumed, ARRAY_SIZE(resumed), 1) &&
	       optional_fine(ints, ARRAY_SIZE(ints), 4) && optional_fine(pointers, ARRAY_SIZE(pointers), 8);
}

static bool gnutls_fine(const struct gnutls_layout *layout)
{
	const __u16 *const pointers[] = {
		&layout->session_auth_info, &layout->session_transport, &layout->session_pull,
		&layout->auth_list,         &layout->session_name,
	};
	const __u16 *const ints[] = {&layout->session_entity, &layout->session_auth_type, &layout->auth_count};

	return offsets_fine(pointers, ARRAY_SIZE(pointers), 8) && offsets_fine(ints, ARRAY_SIZE(ints), 4) &&
	       gnutls_session_fine(layout) && randoms_fine(layout->session_client_random, layout->session_server_random) &&
	       layout->text_start <= 0 && layout->text_start >= -TEXT_MAX && layout->text_end > 0 &&
	       layout->text_end <= TEXT_MAX;
}

int library_answer_check(const struct library_answer *answer, uint64_t file_size)
{
	const uint32_t all = PART_CRYPTO | PART_SSL | PART_GNUTLS;

	if (answer->wanted & ~all || answer->parts & ~answer->wanted || answer->build_id_len > BUILD_ID_MAX ||
	    !text_fine(answer->version, VERSION_MAX) || !text_fine(answer->reason, REASON_MAX))
		return -EPROTO;
	for (size_t i = 0; i < SITE_COUNT; i++)
		if (answer->site[i] && (answer->site[i] < sizeof(Elf64_Ehdr) || answer->site[i] >= file_size))
			return -EPROTO;
	if (answer->wanted & PART_CRYPTO && !answer->site[SITE_X509_VERIFY_CERT])
		return -EPROTO;
	if (answer->wanted & PART_GNUTLS && !answer->site[SITE_GNUTLS_HANDSHAKE])
		return -EPROTO;
	if ((answer->parts & PART_CRYPTO && !crypto_fine(&answer->openssl)) ||
	    (answer->parts & PART_SSL && !ssl_fine(&answer->openssl)) ||
	    (answer->parts & PART_GNUTLS && !gnutls_fine(&answer->gnutls)))
		return -EPROTO;
	return 0;
}
