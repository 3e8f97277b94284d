/* The probes on a handshake's functions, in a copy of this machine's libssl with which a process shakes hands with itself: as
 * sessions, where the kernel has them, and as pairs of programs. As root: otherwise they fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <bpf/libbpf.h>
#include <openssl/ssl.h>

#include "check.h"
#include "gate_maps.h"
#include "library.h"
#include "records.h"
#include "util.h"

#include "../../user/capture/programs.h"
#include "../../user/capture/uprobe_link.h"
#include "warden.skel.h"

enum {
	GATE_ROOM = 64,
	SLOT = 7,
	ENDS = 2, /* clients and servers */
	TURNS = 16,
};

static char directory[] = "/tmp/handshakes-XXXXXX";
static struct library_answer answer;
static int file = -1; /* the copy */

/* --- what is attached ---------------------------------------------------------------------------------------------- */

struct attached {
	struct warden_bpf *skel;
	struct uprobe_link link[2 * ENDS];
	size_t count;
};

static void program_attach(struct attached *attached, struct bpf_program *program, uint64_t offset, bool at_return)
{
	const struct uprobe_place place = {file, offset, SLOT, at_return};

	assert_int_equal(uprobe_link_attach(program, &place, &attached->link[attached->count]), 0);
	attached->count++;
}

static void attach(bool sessions, struct attached *ret)
{
	const uint64_t site[ENDS] = {answer.site[SITE_SSL_CONNECT], answer.site[SITE_SSL_ACCEPT]};
	const struct library_layout layout = {.kind = LIBRARY_OPENSSL, .openssl = answer.openssl};
	struct kernel_abilities kernel = {};
	const uint32_t slot = SLOT;

	kernel_ask(&kernel);
	kernel.sessions = sessions;
	*ret = (struct attached){};
	assert_int_equal(programs_load(&kernel, NULL, 0, GATE_ROOM, &ret->skel), 0);
	assert_int_equal(
		bpf_map__update_elem(ret->skel->maps.layouts, &slot, sizeof(slot), &layout, sizeof(layout), BPF_ANY), 0);
	for (size_t i = 0; i < ENDS; i++) {
		if (sessions) {
			program_attach(ret, ret->skel->progs.openssl_handshake_session, site[i], false);
			continue;
		}
		program_attach(ret, ret->skel->progs.openssl_handshake, site[i], false);
		program_attach(ret,
			       kernel.loop ? ret->skel->progs.openssl_handshaken : ret->skel->progs.openssl_handshaken_plain,
			       site[i], true);
	}
}

static void detach(struct attached *attached)
{
	while (attached->count)
		uprobe_link_close(&attached->link[--attached->count]);
	warden_bpf__destroy(attached->skel);
}

/* --- handshakes, in a process of their own with the copy: nobody else hits its probes ------------------------------- */

static void expect(bool what)
{
	if (!what)
		_exit(1);
}

static int accept_all(int ok, X509_STORE_CTX *context)
{
	(void)ok;
	(void)context;
	return 1;
}

static SSL_CTX *settings_new(int version)
{
	SSL_CTX *settings = SSL_CTX_new(TLS_method());

	SSL_CTX_set_min_proto_version(settings, version);
	SSL_CTX_set_max_proto_version(settings, version);
	SSL_CTX_set_post_handshake_auth(settings, 1);
	expect(SSL_CTX_use_certificate_file(settings, FIXTURES "/good-leaf.pem", SSL_FILETYPE_PEM) == 1);
	expect(SSL_CTX_use_PrivateKey_file(settings, FIXTURES "/good-leaf.key", SSL_FILETYPE_PEM) == 1);
	return settings;
}

/* Ends also read, as tickets and what comes later arrive so. */
static void shake_hands(SSL *client, SSL *server)
{
	char byte;

	for (int i = 0; i < TURNS; i++) {
		SSL_do_handshake(client);
		SSL_do_handshake(server);
	}
	expect(SSL_is_init_finished(client) && SSL_is_init_finished(server));
	for (int i = 0; i < TURNS; i++)
		expect(SSL_read(client, &byte, 1) < 0 && SSL_read(server, &byte, 1) < 0);
}

/* The child. later: the server asks for the client's certificate after the handshake. */
static int shake_main(int version, bool later)
{
	SSL_CTX *settings = settings_new(version);
	SSL *client = SSL_new(settings), *server = SSL_new(settings);
	BIO *client_end, *server_end;

	expect(BIO_new_bio_pair(&client_end, 0, &server_end, 0) == 1);
	SSL_set_bio(client, client_end, client_end);
	SSL_set_bio(server, server_end, server_end);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	shake_hands(client, server);
	if (later) {
		SSL_set_verify(server, SSL_VERIFY_PEER | SSL_VERIFY_POST_HANDSHAKE, accept_all);
		expect(SSL_verify_client_post_handshake(server) == 1);
		shake_hands(client, server);
	}
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(settings);
	return 0;
}

/* checks: it is taken for the process of the self-check. */
static void shake(const struct attached *attached, int version, bool later, bool checks)
{
	char number[16];
	int gate[2], status;
	pid_t child;

	snprintf(number, sizeof(number), "%d", version);
	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		char byte;
		expect(read(gate[0], &byte, 1) == 1);
		setenv("LD_LIBRARY_PATH", directory, 1);
		execl("/proc/self/exe", "handshakes", "shake", number, later ? "later" : "once", NULL);
		_exit(1);
	}
	attached->skel->bss->check = (struct check_state){.tgid = checks ? (__u32)child : 0, .slot = SLOT};
	assert_int_equal(write(gate[1], "", 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	close(gate[0]);
	close(gate[1]);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* The probe on X509_verify_cert is not there: so the client's handshake is told of at its end. */
static void check_told(const struct attached *attached, uint64_t told, uint64_t no_certificate)
{
	const struct counters *counters = &attached->skel->bss->counters;

	assert_int_equal(counters->verifications, told);
	assert_int_equal(counters->no_certificate, no_certificate);
	assert_int_equal(counters->lost_call, 0);
}

static void check_way(bool sessions)
{
	struct attached attached;

	attach(sessions, &attached);
	shake(&attached, TLS1_2_VERSION, false, false);
	check_told(&attached, 1, 1);
	/* Tickets are nothing to tell of; a certificate that is asked for later is. */
	shake(&attached, TLS1_3_VERSION, false, false);
	check_told(&attached, 2, 2);
	shake(&attached, TLS1_3_VERSION, true, false);
	check_told(&attached, 4, 3);
	/* The self-check is seen, and tells of nothing. */
	shake(&attached, TLS1_3_VERSION, true, true);
	assert_int_equal(attached.skel->bss->check.fired, CHECK_SSL_DO_HANDSHAKE);
	check_told(&attached, 4, 3);
	detach(&attached);
}

static void test_pairs(void **state)
{
	(void)state;
	check_way(false);
}

static void test_sessions(void **state)
{
	struct kernel_abilities kernel = {};

	(void)state;
	kernel_ask(&kernel);
	if (kernel.sessions)
		check_way(true);
}

/* --- the copy ------------------------------------------------------------------------------------------------------ */

static int copy_make(void)
{
	void *library = dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL);
	char *command CLEANUP_FREE = NULL, *path CLEANUP_FREE = xasprintf("%s/libssl.so.3", directory);
	struct link_map *map;

	if (!library || dlinfo(library, RTLD_DI_LINKMAP, &map) < 0)
		return -1;
	command = xasprintf("cp -L %s %s", map->l_name, path);
	dlclose(library);
	if (system(command) != 0)
		return -1;
	file = open(path, O_RDONLY | O_CLOEXEC);
	return file < 0 || library_ask(file, &answer) < 0 || !answer.site[SITE_SSL_CONNECT] ? -1 : 0;
}

static int set_up(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		fprintf(stderr, "these tests load BPF programs: they must be run as root\n");
		return -1;
	}
	return mkdtemp(directory) && chmod(directory, 0755) == 0 ? copy_make() : -1;
}

static int tear_down(void **state)
{
	char *command CLEANUP_FREE = xasprintf("rm -rf %s", directory);

	(void)state;
	close(file);
	return system(command) == 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_sessions),
	};

	/* The confined process is this program, and so is the one that shakes hands. */
	if (argc == 2 && strcmp(argv[1], "ask-library") == 0)
		return library_answer_main();
	if (argc == 4 && strcmp(argv[1], "shake") == 0)
		return shake_main(atoi(argv[2]), strcmp(argv[3], "later") == 0);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
