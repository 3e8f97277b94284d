/* The questions to OpenSSL: which fields of X509_STORE_CTX, X509, X509_VERIFY_PARAM, BIO and SSL the probes shall read.
 *
 * Each is asked of the library's own functions; where no accessor returns a field, a function that changes it or reads
 * through it tells. One field is taken on the strength of its neighbour: the cached TBS, an ASN1_ENCODING, has followed
 * `extensions` in X509_CINF since SSLeay; the probe checks the bytes (30 82) before it believes them, and a unit test
 * compares them with a real certificate's.
 */
#include "questions.h"

#include <errno.h>
#include <string.h>

enum {
	STACK_ITEMS = 8,   /* in a made-up stack */
	ITEM = 5,          /* the one that is asked for */
	TEXT_MAX = 160,    /* of OpenSSL_version; what comes later is cut */
	CTRL_GET_FD = 105, /* BIO_C_GET_FD */
};

static uint64_t items[STACK_ITEMS];
static uint8_t bytes[16];

/* What the library's free() was given, and how often: it frees nothing here. */
static uint64_t freed;
static unsigned frees;

static void free_recorded(void *pointer)
{
	freed = (uint64_t)pointer;
	frees++;
}

const struct binding openssl_bindings[] = {
	{"memcpy", memcpy, false}, {"memmove", memmove, false}, {"memset", memset, false},   {"memcmp", memcmp, false},
	{"strlen", strlen, false}, {"strcmp", strcmp, false},   {"strncmp", strncmp, false}, {"free", free_recorded, true},
};
const size_t openssl_bindings_count = ARRAY_SIZE(openssl_bindings);

static bool returns_item(uint8_t *object, void *function)
{
	return ((uint64_t(*)(void *, int))function)(object, ITEM) == MARK_POINTER;
}

/* OPENSSL_STACK, and the slot of a store context that holds one. object: a stack; then a context with `second` as stack. */
static bool ask_stack(struct questions *questions, struct openssl_layout *layout)
{
	static const struct accessor number = {"OPENSSL_sk_num", 4, offsetof(struct openssl_layout, stack_num)};
	static const char ex_data[] = "X509_STORE_CTX_get_ex_data", value[] = "OPENSSL_sk_value";
	uint64_t data = (uint64_t)items;
	int num = STACK_ITEMS;
	void *function;

	if (!question_accessors(questions, &number, 1, layout) || !question_function(questions, value, &function))
		return false;
	for (size_t i = 0; i < STACK_ITEMS; i++)
		items[i] = i == ITEM ? MARK_POINTER : 0;
	object_fill(questions->object, 0);
	memcpy(questions->object + layout->stack_num, &num, sizeof(num));
	if (!question_answered(questions, value,
			       onehot_search(questions->object, 8, data, returns_item, function, &layout->stack_data)))
		return false;

	if (!question_function(questions, ex_data, &function))
		return false;
	object_fill(questions->object, 0);
	object_fill(questions->second, 0);
	memcpy(questions->second + layout->stack_num, &num, sizeof(num));
	memcpy(questions->second + layout->stack_data, &data, sizeof(data));
	return question_answered(questions, ex_data,
				 onehot_search(questions->object, 8, (uint64_t)questions->second, returns_item, function,
					       &layout->ctx_ex_data));
}

static bool gives_signature(uint8_t *object, void *arg)
{
	void **function_and_result = arg;

	((void (*)(void **, void *, void *))function_and_result[0])(&function_and_result[1], NULL, object);
	return true;
}

/* The signature is embedded: the accessor gives its address. */
static bool ask_x509(struct questions *questions, struct openssl_layout *layout)
{
	static const struct accessor extensions = {"X509_get0_extensions", 8, offsetof(struct openssl_layout, x509_tbs)};
	static const char signature[] = "X509_get0_signature";
	void *call[2] = {NULL, NULL};
	uint64_t at;

	if (!question_accessors(questions, &extensions, 1, layout) || !question_function(questions, signature, &call[0]))
		return false;
	layout->x509_tbs += 8;
	layout->x509_tbs_len = layout->x509_tbs + 8;
	object_fill(questions->object, 0);
	if (!guarded(gives_signature, questions->object, call, NULL))
		return question_answered(questions, signature, -ENOENT);
	at = (uint64_t)call[1] - (uint64_t)questions->object;
	if (at > OFFSET_MAX || at % 8)
		return question_answered(questions, signature, -ENOENT);
	layout->x509_signature = (__u16)at;
	return true;
}

static bool sets_bit(uint8_t *object, void *function)
{
	return ((int (*)(void *, int, int))function)(object, 0, 1) == 1;
}

/* The flags have no accessor; setting a bit of a BIT STRING clears some of them, and nothing else of the object. */
static bool ask_string(struct questions *questions, struct openssl_layout *layout)
{
	static const struct accessor accessors[] = {
		{"ASN1_STRING_length", 4, offsetof(struct openssl_layout, string_length)},
		{"ASN1_STRING_get0_data", 8, offsetof(struct openssl_layout, string_data)},
	};
	static const char name[] = "ASN1_BIT_STRING_set_bit";
	uint64_t before = UINT64_MAX, data = (uint64_t)bytes;
	size_t changed = 0;
	int length = 1;
	void *function;

	if (!question_accessors(questions, accessors, ARRAY_SIZE(accessors), layout) ||
	    !question_function(questions, name, &function))
		return false;
	object_fill(questions->object, before);
	memcpy(questions->object + layout->string_length, &length, sizeof(length));
	memcpy(questions->object + layout->string_data, &data, sizeof(data));
	if (!guarded(sets_bit, questions->object, function, NULL))
		return question_answered(questions, name, -ENOENT);
	for (size_t at = 0; at < OBJECT_BYTES; at += 8) {
		uint64_t now;

		memcpy(&now, questions->object + at, sizeof(now));
		if (now == before || at == (layout->string_length & ~7u) || at == layout->string_data)
			continue;
		layout->string_flags = (__u16)at;
		changed++;
	}
	return question_answered(questions, name, changed == 1 ? 0 : changed ? -EMLINK : -ENOENT);
}

static bool sets_nothing(uint8_t *object, void *function)
{
	return ((int (*)(void *, void *, size_t))function)(object, NULL, 0) == 1;
}

/* Setting no address frees the old one and clears both fields. Not every build tells (a static libc frees by itself):
 * then there is no such field, and an address that was expected goes unreported. */
static void ask_param_ip(struct questions *questions, struct openssl_layout *layout)
{
	__u16 cleared[2] = {0};
	size_t count = 0;
	void *function;

	layout->param_ip = layout->param_ip_len = OFFSET_NONE;
	if (!question_function(questions, "X509_VERIFY_PARAM_set1_ip", &function))
		return;
	object_fill_addresses(questions->object);
	frees = 0;
	if (!guarded(sets_nothing, questions->object, function, NULL) || frees != 1)
		return;
	for (size_t i = 0; i < SLOTS; i++) {
		uint64_t now;

		memcpy(&now, questions->object + i * 8, sizeof(now));
		if (now == SLOT_ADDRESS(i))
			continue;
		if (now != 0 || count == 2)
			return;
		cleared[count++] = (__u16)(i * 8);
	}
	if (count != 2)
		return;
	for (size_t i = 0; i < 2; i++)
		if (freed == SLOT_ADDRESS(cleared[i] / 8)) {
			layout->param_ip = cleared[i];
			layout->param_ip_len = cleared[1 - i];
		}
}

/* Setting no host frees the list of hosts: the stack that is read through is that list. */
static bool ask_param(struct questions *questions, struct openssl_layout *layout)
{
	static const char name[] = "X509_VERIFY_PARAM_set1_host";
	void *function;

	if (!question_function(questions, name, &function) ||
	    !question_answered(questions, name,
			       fault_search(questions->object, sets_nothing, function, &layout->param_hosts)))
		return false;
	ask_param_ip(questions, layout);
	questions->reason[0] = '\0';
	return true;
}

struct bio {
	void *function;
	uint8_t *bio;
};

static bool returns_type(uint8_t *object, void *arg)
{
	struct bio *bio = arg;

	(void)object; /* the method, to which the BIO points */
	return ((uint32_t(*)(void *))bio->function)(bio->bio) == MARK_INT;
}

static bool gives_control(uint8_t *object, void *arg)
{
	void **functions = arg;

	(void)object;
	functions[2] = ((void *(*)(void *))functions[1])(((void *(*)(void))functions[0])());
	return functions[2] != NULL;
}

static bool controls_fd(uint8_t *object, void *function)
{
	return ((long (*)(void *, int, long, void *))function)(object, CTRL_GET_FD, 0, NULL) == MARK_INT;
}

static bool ask_bio(struct questions *questions, struct openssl_layout *layout)
{
	static const char type[] = "BIO_method_type", socket[] = "BIO_s_socket", control[] = "BIO_meth_get_ctrl";
	uint64_t method = (uint64_t)questions->second;
	struct bio bio = {.bio = questions->object};
	void *functions[3];

	if (!question_function(questions, type, &bio.function))
		return false;
	object_fill(questions->object, 0);
	object_fill(questions->second, (uint64_t)MARK_INT << 32 | MARK_INT);
	if (!question_answered(questions, type,
			       onehot_search(questions->object, 8, method, returns_type, &bio, &layout->bio_method)))
		return false;
	memcpy(questions->object + layout->bio_method, &method, sizeof(method));
	object_fill(questions->second, 0);
	if (!question_answered(questions, type,
			       onehot_search(questions->second, 4, MARK_INT, returns_type, &bio, &layout->method_type)))
		return false;

	/* A socket BIO's own control function returns its descriptor, if the BIO is initialised. */
	if (!question_function(questions, socket, &functions[0]) || !question_function(questions, control, &functions[1]))
		return false;
	if (!guarded(gives_control, NULL, functions, NULL))
		return question_answered(questions, control, -ENOENT);
	object_fill(questions->object, 1ull << 32 | 1);
	return question_answered(questions, socket,
				 onehot_search(questions->object, 4, MARK_INT, controls_fd, functions[2], &layout->bio_num));
}

/* "OpenSSL 3.0.22 25 Aug 2026": the second word. Others (LibreSSL, BoringSSL) are told by their whole text. A program that it is
 * linked into has the function only if it asks itself: then the version is not known. */
static bool ask_version(struct questions *questions, char version[VERSION_MAX])
{
	char text[TEXT_MAX];
	uint64_t address;
	size_t len;

	if (!elf_file_function(questions->elf, "OpenSSL_version", &address))
		return true;
	if (!question_version(questions, "OpenSSL_version", 0, text, sizeof(text)))
		return false;
	if (strncmp(text, "OpenSSL ", 8) != 0) {
		snprintf(version, VERSION_MAX, "%.*s", VERSION_MAX - 1, text);
		return true;
	}
	len = strcspn(text + 8, " ");
	snprintf(version, VERSION_MAX, "%.*s", len < VERSION_MAX ? (int)len : VERSION_MAX - 1, text + 8);
	return true;
}

bool openssl_ask_crypto(struct questions *questions, struct openssl_layout *ret, char version[VERSION_MAX])
{
	static const struct accessor accessors[] = {
		{"X509_STORE_CTX_get0_cert", 8, offsetof(struct openssl_layout, ctx_cert)},
		{"X509_STORE_CTX_get0_untrusted", 8, offsetof(struct openssl_layout, ctx_untrusted)},
		{"X509_STORE_CTX_get0_chain", 8, offsetof(struct openssl_layout, ctx_chain)},
		{"X509_STORE_CTX_get_error", 4, offsetof(struct openssl_layout, ctx_error)},
		{"X509_STORE_CTX_get0_param", 8, offsetof(struct openssl_layout, ctx_param)},
	};

	return ask_version(questions, version) && question_accessors(questions, accessors, ARRAY_SIZE(accessors), ret) &&
	       ask_stack(questions, ret) && ask_x509(questions, ret) && ask_string(questions, ret) &&
	       ask_param(questions, ret) && ask_bio(questions, ret);
}

static bool returns_name(uint8_t *object, void *function)
{
	return ((uint64_t(*)(void *, int))function)(object, 0 /* TLSEXT_NAMETYPE_host_name */) == MARK_POINTER;
}

bool openssl_ask_ssl(struct questions *questions, struct openssl_layout *ret)
{
	static const struct accessor accessors[] = {
		{"SSL_version", 4, offsetof(struct openssl_layout, ssl_version)},
		{"SSL_get_rbio", 8, offsetof(struct openssl_layout, ssl_rbio)},
		{"SSL_is_server", 4, offsetof(struct openssl_layout, ssl_server)},
		{"SSL_get_verify_mode", 4, offsetof(struct openssl_layout, ssl_verify_mode)},
	};
	static const char name[] = "SSL_get_servername";
	void *function;

	if (!question_accessors(questions, accessors, ARRAY_SIZE(accessors), ret) ||
	    !question_function(questions, name, &function))
		return false;
	object_fill(questions->object, 0);
	if (!question_answered(
		    questions, name,
		    onehot_search(questions->object, 8, MARK_POINTER, returns_name, function, &ret->ssl_server_name)))
		return false;
	openssl_ask_hello(questions, ret);
	return true;
}
