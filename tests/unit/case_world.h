/* A small world for tests of cases: captures of real certificates, a policy at a time, and a warden that writes down what it is asked
 * and answers as it was told to. Include after cmocka.h. All static inline. */
#ifndef CASE_WORLD_H
#define CASE_WORLD_H

#include <linux/types.h>
#include <sys/mman.h>

#include "../../user/agent/case.h"
#include "capture_key.h"
#include "made.h"
#include "verdict_key.h"

enum { WORLD_SLOT = 3, WORLD_PID = 812, WORLD_TID = 815, WORLD_COOKIE = 4711, WORLD_INET = 2, WORLD_TCP = 6 };

#define WORLD_END_NS 5000000000ULL

/* Rules on who asks for bad.test, whose certificate is too weak: all, all but a laboratory, who does not verify. */
#define WEAK "require: {min_ec_bits: 384}"
#define KILLS "  - {id: weak, match: [{server_name: bad.test}], " WEAK ", action: kill}\n"
#define ENDS "  - {id: ends, match: [{server_name: bad.test}], " WEAK ", action: kill-process}\n"
#define LOGS "  - {id: logs, match: [{server_name: bad.test}], " WEAK "}\n"
#define LABORATORY \
	"  - {id: lab, match: [{server_name: bad.test}], except: {exe: [\"/opt/lab/*\"]}, " WEAK ", action: kill}\n"
#define VERIFIES "  - {id: verifies, match: [{server_name: bad.test}], require: {verified: true}, action: kill}\n"
#define VERIFIES_OR_LOGS "  - {id: verifies, match: [{any: true}], require: {verified: true}}\n"

struct world_answer {
	int64_t number;
	const char *text;
	uint64_t acted_ns;
	uint32_t tag;    /* 0: as it should be */
	const char *exe; /* NULL: the process has gone */
	const char *user, *cgroup;
};

struct case_world {
	struct certificate *leaf, *issuer;
	struct policies *policies;
	struct counters counters;
	struct sink sink;
	struct message_library library;
	struct siphash_key secret;
	struct bench bench;
	struct world_answer answer;
	bool warden_gone;
	/* Of what was said and asked, in its order. */
	struct message_kill *kills; /* looks among them */
	struct message_release *releases;
	size_t kills_count, looks, releases_count, processes;
	size_t cases; /* each begins with the question which library it was */
	/* What is open for a look, by its cookie; NULL: everything. */
	bool (*is_open)(const struct message_kill *look);
	/* Who a process is; NULL: whom the answer says. */
	const char *(*exe_of)(uint32_t pid);
};

static inline const struct message_library *world_library_of(void *context, uint32_t slot)
{
	struct case_world *w = context;

	w->cases++;
	return slot == WORLD_SLOT ? &w->library : NULL;
}

static inline struct message_process world_process(const struct case_world *w, const struct message_process *asked)
{
	const char *exe = w->exe_of ? w->exe_of(asked->pid) : w->answer.exe;
	struct message_process process = {.pid = asked->pid,
					  .tid = asked->tid,
					  .start_boottime_ns = asked->start_boottime_ns,
					  .uid = asked->uid,
					  .known = exe != NULL};

	snprintf(process.exe, sizeof(process.exe), "%s", exe ? exe : "");
	snprintf(process.user, sizeof(process.user), "%s", w->answer.user ? w->answer.user : "");
	snprintf(process.cgroup, sizeof(process.cgroup), "%s", w->answer.cgroup ? w->answer.cgroup : "");
	return process;
}

static inline void world_kill(struct case_world *w, struct message *message)
{
	const struct message_kill kill = message->kill;
	const struct message_process asked = {
		.pid = kill.pid, .tid = kill.tid, .uid = kill.uid, .start_boottime_ns = kill.start_boottime_ns};
	bool look = kill.action == ACTION_LOG;

	w->kills = xrealloc(w->kills, w->kills_count + 1, sizeof(*w->kills));
	w->kills[w->kills_count++] = kill;
	w->looks += look;
	message->tag = w->answer.tag ? w->answer.tag : MESSAGE_KILLED;
	message->killed = (struct message_killed){.process = world_process(w, &asked), .acted_ns = w->answer.acted_ns};
	message->number = look && w->is_open && !w->is_open(&kill) ? -2 /* ENOENT */ : look ? 0 : w->answer.number;
	snprintf(message->text, sizeof(message->text), "%s", w->answer.text ? w->answer.text : "");
}

static inline bool world_ask(void *context, struct message *message)
{
	struct case_world *w = context;
	const struct message_process asked = message->process;

	if (w->warden_gone)
		return false;
	if (message->tag == MESSAGE_KILL) {
		world_kill(w, message);
		return true;
	}
	assert_int_equal(message->tag, MESSAGE_PROCESS);
	w->processes++;
	message->tag = MESSAGE_PROCESS_IS;
	message->process = world_process(w, &asked);
	return true;
}

static inline void world_say(void *context, const struct message *message)
{
	struct case_world *w = context;

	assert_int_equal(message->tag, MESSAGE_RELEASE);
	w->releases = xrealloc(w->releases, w->releases_count + 1, sizeof(*w->releases));
	w->releases[w->releases_count++] = message->release;
}

/* text: a whole policy, NULL: none; those before go, so no case may live on. */
static inline void world_policy(struct case_world *w, const char *text)
{
	CLEANUP(problems_clear) struct problems problems = {0};
	const struct policy_source source = {"f", text, text ? strlen(text) : 0};

	policies_free(TAKE_PTR(w->policies));
	if (policies_parse(&source, text != NULL, &w->policies, &problems) < 0)
		fail_msg("%s: %u:%u %s", text ? text : "", problems.items[0].line, problems.items[0].column,
			 problems.items[0].text);
	w->bench.policies = w->policies;
}

/* Enforced rules. */
static inline void world_rules(struct case_world *w, const char *rules)
{
	CLEANUP_FREE char *text = xasprintf("version: 1\nname: p\nmode: enforce\nrules:\n%s", rules);

	world_policy(w, text);
}

static inline struct case_world *world_new(void)
{
	struct case_world *w = xcalloc(1, sizeof(*w));
	EVP_PKEY *key = made_key(), *issuer_key = made_key();

	w->issuer = made((struct made_order){.name = "Issuer", .key = issuer_key, .basic = MADE_CA});
	w->leaf = made((struct made_order){
		.name = "leaf.test", .issuer = "Issuer", .key = key, .issuer_key = issuer_key, .san = "DNS:leaf.test"});
	EVP_PKEY_free(key);
	EVP_PKEY_free(issuer_key);
	w->sink = (struct sink){.fd = memfd_create("events", MFD_CLOEXEC), .host = "h"};
	w->library = (struct message_library){.slot = WORLD_SLOT, .kind = LIBRARY_OPENSSL, .version = "3", .path = "/l"};
	w->secret = (struct siphash_key){0x0706050403020100, 0x0f0e0d0c0b0a0908};
	w->answer = (struct world_answer){.exe = "/usr/bin/curl", .user = "alice", .acted_ns = WORLD_END_NS + 7000000};
	w->bench = (struct bench){.counters = &w->counters,
				  .sink = &w->sink,
				  .secret = &w->secret,
				  .library_of = world_library_of,
				  .ask = world_ask,
				  .say = world_say,
				  .context = w};
	world_policy(w, NULL);
	return w;
}

static inline void world_free(struct case_world *w)
{
	policies_free(w->policies);
	certificate_free(w->leaf);
	certificate_free(w->issuer);
	close(w->sink.fd);
	free(w->kills);
	free(w->releases);
	free(w);
}

/* Nothing was said or asked yet. */
static inline void world_forget(struct case_world *w)
{
	w->kills_count = w->looks = w->releases_count = w->processes = w->cases = 0;
}

static inline void world_certificate(struct capture *capture, struct certificate *certificate,
				     const struct siphash_key *secret)
{
	size_t at = capture->count++, len = certificate->der_len;
	CLEANUP_FREE struct record_cert *record = xcalloc(1, sizeof(*record) + len);

	record->form = CERT_DER;
	record->tbs_len = (uint32_t)len;
	memcpy(record->data, certificate->der, len);
	capture_digest(record, secret, &capture->digests[at]);
	capture->digested_bytes += len;
	capture->certificates[at] = certificate_ref(certificate);
	capture->objects[at] = 0x7f0000001000 + at * 64;
	capture->verify.presented_object[at] = capture->verify.chain_object[at] = capture->objects[at];
	capture->verify.presented = capture->verify.chain = capture->verify.certs = (uint8_t)capture->count;
}

/* As it comes from the ring: the leaf and its issuer, verified. */
static inline struct capture *world_capture(const struct case_world *w, const char *server_name, uint32_t flags)
{
	struct capture *capture = xcalloc(1, sizeof(*capture));
	struct record_verify *verify = &capture->verify;

	*verify = (struct record_verify){
		.head = {.tag = RECORD_VERIFY,
			 .library = WORLD_SLOT,
			 .id = {.pid_tgid = (uint64_t)WORLD_PID << 32 | WORLD_TID, .ktime_ns = 99}},
		.session = 0x5000,
		.start_boottime_ns = 77,
		.end_ktime_ns = WORLD_END_NS,
		.exec_id = 5,
		.cgroup_id = 6,
		.uid = 1000,
		.flags = flags,
		.result = w->library.kind == LIBRARY_GNUTLS ? 0 : 1,
		.verify_mode = 1,
		.role = ROLE_CLIENT,
		.comm = "curl",
		.socket = {.cookie = WORLD_COOKIE,
			   .netns = 1,
			   .family = WORLD_INET,
			   .how = SOCKET_FD,
			   .peer_ip = {192, 0, 2, 1},
			   .peer_port = 853,
			   .fd = 5,
			   .protocol = WORLD_TCP},
	};
	snprintf(verify->server_name, sizeof(verify->server_name), "%s", server_name);
	world_certificate(capture, w->leaf, &w->secret);
	world_certificate(capture, w->issuer, &w->secret);
	capture->digested = true;
	return capture;
}

/* The key of the same, made anew. */
static inline struct siphash_value world_key(const struct case_world *w, const char *server_name, uint32_t flags)
{
	struct capture *capture = world_capture(w, server_name, flags);
	struct siphash_value key;

	assert_true(capture_key(capture, (enum library_kind)w->library.kind, &w->secret, &key));
	capture_free(capture);
	return key;
}

/* Of who executes that. */
static inline struct siphash_value world_key_exe(const struct case_world *w, const char *server_name, uint32_t flags,
						 const char *exe)
{
	struct capture *capture = world_capture(w, server_name, flags);
	struct siphash_value general = world_key(w, server_name, flags), digest, key;

	assert_true(capture_exe_digest(exe, &w->secret, &digest));
	capture_key_exe(&general, capture->verify.uid, &digest, &w->secret, &key);
	capture_free(capture);
	return key;
}

static inline struct siphash_value world_key_process(const struct case_world *w, const char *server_name, uint32_t flags)
{
	struct capture *capture = world_capture(w, server_name, flags);
	struct siphash_value general = world_key(w, server_name, flags), key;

	capture_key_process(&general, &capture->verify, &w->secret, &key);
	capture_free(capture);
	return key;
}

static inline char *world_events(const struct case_world *w, size_t *ret_lines)
{
	char *text;
	size_t len;

	assert_int_equal(lseek(w->sink.fd, 0, SEEK_SET), 0);
	assert_int_equal(fd_read_all(w->sink.fd, 64 << 20, &text, &len), 0);
	*ret_lines = 0;
	for (size_t i = 0; i < len; i++)
		*ret_lines += text[i] == '\n';
	return text;
}

/* --- what came of it ----------------------------------------------------------------------------------------------------- */

static inline void case_freep(struct case_ **c)
{
	case_free(*c);
}
#define CLEANUP_CASE CLEANUP(case_freep)

/* Judged and acted upon. */
static inline struct case_ *world_acted(struct case_world *w, struct capture *capture)
{
	struct case_ *c = case_new(&w->bench, capture);

	case_judge(&w->bench, c);
	case_act(&w->bench, c);
	return c;
}

static inline void world_expect_counts(const struct case_world *w, size_t kills, size_t releases)
{
	assert_int_equal(w->kills_count, kills);
	assert_int_equal(w->releases_count, releases);
}

static inline void world_expect_cached(const struct message_cached *cached, enum cached_kind kind,
				       const struct siphash_value *key)
{
	assert_int_equal(cached->kind, kind);
	if (kind == CACHED_NONE)
		return;
	assert_in_range(cached->seconds, 1, 3600);
	assert_memory_equal(&cached->key, key, sizeof(*key));
}

/* The only release, of the gated socket, with this for the kernel to remember; and nothing was killed. */
static inline void world_expect_release(const struct case_world *w, enum cached_kind kind, const struct siphash_value *key)
{
	const struct message_release *release = w->releases;
	struct capture *capture = world_capture(w, "", 0);

	world_expect_counts(w, 0, 1);
	assert_int_equal(release->pid, WORLD_PID);
	assert_int_equal(release->tid, WORLD_TID);
	assert_int_equal(release->start_boottime_ns, 77);
	assert_memory_equal(&release->id, &capture->verify.head.id, sizeof(release->id));
	assert_int_equal(release->socket.cookie, WORLD_COOKIE);
	assert_int_equal(release->socket.peer_port, 853);
	assert_int_equal(release->socket.fd, 5);
	world_expect_cached(&release->cached, kind, key);
	capture_free(capture);
}

/* The only kill, of that socket; and nothing was let go. */
static inline void world_expect_kill(const struct case_world *w, enum cached_kind kind, const struct siphash_value *key)
{
	const struct message_kill *kill = w->kills;
	struct capture *capture = world_capture(w, "", 0);

	world_expect_counts(w, 1, 0);
	assert_int_equal(kill->pid, WORLD_PID);
	assert_int_equal(kill->tid, WORLD_TID);
	assert_int_equal(kill->uid, 1000);
	assert_int_equal(kill->start_boottime_ns, 77);
	assert_memory_equal(&kill->id, &capture->verify.head.id, sizeof(kill->id));
	assert_memory_equal(&kill->socket, &capture->verify.socket, sizeof(kill->socket));
	world_expect_cached(&kill->cached, kind, key);
	capture_free(capture);
}

#endif
