/* What happens at the return of a verification: its key is made, a cached verdict looked for, its socket gated.
 *
 *   cached    gated             record        beside
 *   nothing   until judged      yes
 *   quiet     no                no: counted   remembered
 *   pass      no                yes           remembered
 *   deny      until destroyed   yes           notice to the warden; the library is made to refuse, where the kernel can
 *
 * The key is a keyed hash over all that a verdict depends on (verdict_key.h). Making it takes bpf_loop (5.17); without, each
 * verification is judged. The bytes hashed are read here, those judged when they are sent: a process that changes them in between changes
 * only what it is shown itself, for the agent makes the key anew of what it was sent before it lets a verdict be remembered. */
#ifndef VERDICT_H
#define VERDICT_H

enum {
	SSL_VERIFY_PEER = 1,
	HANDSHAKE_BESIDE_MAX = 65536, /* as in user/capture/decode.c: what a socket may have received beside certificates */
	COMPRESSED_TO_AT_LEAST = 16,
	NOTED_CERT = 1, /* words that go before what stands for a certificate in a key */
	NOTED_NUMBER = 2,
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, VERDICTS_MAX);
	__type(key, struct siphash_value);
	__type(value, struct cached_verdict);
} verdicts SEC(".maps");

/* A key in the making. */
struct keying {
	struct siphash whole;
	__u64 bytes; /* of certificates so far */
	__u64 presented_bytes;
};

/* The digest of a certificate in the making. */
struct keying_part {
	struct siphash hash;
	__u64 address, len; /* of what is being added; not changed in the loop, whose every turn the verifier would follow */
	__u64 failed;
	__u64 *words; /* VERDICT_CHUNK bytes of the thread's draft: the stack is small */
};

struct verdict_keys {
	struct siphash_value general; /* without who verifies */
	__u32 kind, rule;             /* what is cached for it, or for that with who verifies */
	__u32 presented_bytes;
	__u32 made;
};

/* The hash is worked on where it can stay in registers. */
static long keying_chunk(__u32 index, void *context)
{
	struct keying_part *part = context;
	__u64 *words = part->words;
	__u64 at = (__u64)index * VERDICT_CHUNK;
	__u64 size = part->len > at ? part->len - at : 0;
	struct siphash hash = part->hash;

	barrier_var(size);
	if (size > VERDICT_CHUNK)
		size = VERDICT_CHUNK;
	__builtin_memset(words, 0, VERDICT_CHUNK);
	if (bpf_probe_read_user(words, size, (void *)(part->address + at))) {
		part->failed = 1;
		return 1;
	}
	for (int i = 0; i < VERDICT_CHUNK / 8; i++)
		siphash_add(&hash, words[i]);
	part->hash = hash;
	return 0;
}

static __always_inline void keying_part_add(struct keying_part *part, __u64 address, __u64 len)
{
	part->address = address;
	part->len = len;
	bpf_loop((len + VERDICT_CHUNK - 1) / VERDICT_CHUNK, keying_chunk, part, 0);
}

/* False: it can have no key. Global, so that the verifier looks at it once, and not for each certificate that a list may
 * have: that took it beyond the million instructions of 6.1. */
__noinline int keying_cert(struct keying *k, const struct cert_source *source)
{
	struct siphash_key secret = gate.secret;
	__u64 thread = bpf_get_current_pid_tgid();
	struct draft *draft = bpf_map_lookup_elem(&drafts, &thread);
	struct keying_part part = {};
	struct siphash_value digest;

	if (!k || !source || !draft || !source->tbs_len || source->tbs_len > TBS_MAX ||
	    source->signature_len > SIGNATURE_MAX)
		return false;
	k->bytes += source->tbs_len + source->signature_len;
	if (k->bytes > VERDICT_BYTES_MAX)
		return false;
	part.words = draft->words;
	siphash_begin(&part.hash, &secret);
	verdict_key_cert(&part.hash, source->form, source->unused_bits, source->tbs_len, source->signature_len);
	keying_part_add(&part, source->signature, source->signature_len);
	keying_part_add(&part, source->tbs, source->tbs_len);
	if (part.failed)
		return false;
	digest = siphash_end(&part.hash);
	siphash_add(&k->whole, NOTED_CERT);
	siphash_add(&k->whole, digest.a);
	siphash_add(&k->whole, digest.b);
	return true;
}

/* Instead of a certificate: it is the presented one of that number. Global likewise: then how many words were added so far is
 * nothing that the verifier follows. */
__noinline int keying_number(struct keying *k, __u64 number)
{
	if (!k)
		return false;
	siphash_add(&k->whole, NOTED_NUMBER | number << 8);
	return true;
}

/* A function that is given the stack returns something that its caller uses: clang leaves what it likes in the register of
 * an unused result, and the verifier refuses a pointer to the stack there. */
static __always_inline bool yes(void)
{
	__u64 value = 1;
	barrier_var(value);
	return value;
}

static __noinline bool keying_begin(struct keying *k, const struct record_verify *record, __u32 kind)
{
	struct siphash_key secret = gate.secret;
	struct siphash facts;

	siphash_begin(&facts, &secret);
	verdict_key_facts(&facts, record, kind);
	k->whole = facts;
	return yes();
}

static __always_inline bool cached_find(const struct siphash_value *key, struct verdict_keys *ret)
{
	struct siphash_value copy = *key;
	struct cached_verdict *cached = bpf_map_lookup_elem(&verdicts, &copy);

	if (!cached || cached->epoch != gate.epoch || bpf_ktime_get_ns() >= cached->until_ns)
		return false;
	ret->kind = cached->kind;
	ret->rule = cached->rule;
	return true;
}

/* Fills in what is cached for them, if anything is. Global, like what it calls; and not called from further down, as the stacks of
 * a chain of calls may together be no larger than one. */
__noinline int keys_find(struct verdict_keys *keys)
{
	struct siphash_key secret = gate.secret;
	__u64 thread = bpf_get_current_pid_tgid();
	struct draft *draft = bpf_map_lookup_elem(&drafts, &thread);
	struct siphash_value own, exe = {};
	__u32 by_exe = gate.by_exe;
	struct siphash hash;

	if (!keys || !draft || cached_find(&keys->general, keys))
		return 0;
	if (by_exe && !exe_digest(&exe))
		return 0;
	draft->record.exe = exe;
	siphash_begin(&hash, &secret);
	verdict_key_who(&hash, &keys->general, by_exe ? KEY_BY_EXE : KEY_BY_PROCESS, draft->record.uid);
	if (by_exe)
		verdict_key_exe(&hash, &exe);
	else
		verdict_key_process(&hash, &draft->record);
	own = siphash_end(&hash);
	cached_find(&own, keys);
	return 0;
}

static __noinline bool keying_end(struct keying *k, const struct record_verify *record, struct verdict_keys *ret)
{
	ret->general = siphash_end(&k->whole);
	/* What a resumed session goes on with was not received now. */
	ret->presented_bytes = record->flags & VERIFY_RESUMED ? 0 : k->presented_bytes;
	ret->made = true;
	return yes();
}

/* See capture_socket_fits() in user/capture/decode.c. */
static __always_inline bool socket_fits(const struct record_socket *socket, __u32 presented_bytes)
{
	return socket->how != SOCKET_THREAD || (socket->received >= presented_bytes / COMPRESSED_TO_AT_LEAST &&
						socket->received <= (__u64)presented_bytes + HANDSHAKE_BESIDE_MAX);
}

static __noinline bool notice_send(const struct record_verify *record, __u32 why, __u32 rule)
{
	struct gate_notice *notice = bpf_ringbuf_reserve(&notices, sizeof(*notice), 0);

	if (!notice) {
		COUNT(lost_notice);
		return false;
	}
	notice->id = record->head.id;
	notice->start_boottime_ns = record->start_boottime_ns;
	notice->exec_id = record->exec_id;
	notice->cgroup_id = record->cgroup_id;
	notice->epoch = gate.epoch;
	notice->why = why;
	notice->rule = rule;
	notice->uid = record->uid;
	notice->pad = 0;
	notice->held = 0;
	notice->socket = record->socket;
	notice_submit(notice);
	return true;
}

static __noinline bool verified_remember(const struct record_verify *record, const struct siphash_value *key)
{
	__u64 cookie = record->socket.cookie;
	struct verified_socket value = {
		.id = record->head.id,
		.start_boottime_ns = record->start_boottime_ns,
		.exec_id = record->exec_id,
		.key = *key,
		.uid = record->uid,
		.socket = record->socket,
	};

	return !bpf_map_update_elem(&verified, &cookie, &value, BPF_ANY);
}

/* Of what is beyond the bound nothing leaves either if `fail` says closed: then the warden ends it. */
static __noinline void verdict_gate(struct record_verify *record, bool denied)
{
	__u32 flags = denied ? GATE_DENIED : record->flags & VERIFY_NONE_YET ? GATE_UNVERIFIED : 0;
	bool full = gate.pending >= 0 && (__u64)gate.pending >= gate.max;

	if ((!full || gate.closed) &&
	    gate_enter(&record->head, &record->socket, record->start_boottime_ns, full ? flags | GATE_BLIND : flags) &&
	    !full) {
		record->flags |= VERIFY_GATED;
		return;
	}
	COUNT(gate_full);
	record->flags |= VERIFY_UNGATED;
	if (gate.closed && !denied)
		notice_send(record, NOTICE_FULL, 0);
}

/* False: it need not be told of. awaited: the judge waits for it, having been told of an unverified handshake. The record, a draft's,
 * has everything but its certificates; UDP sockets end without a word, so they are not remembered. */
static __noinline bool verdict_apply(struct record_verify *record, const struct verdict_keys *keys, bool awaited)
{
	/* From a socket that has ended nothing leaves, and nothing would tell us that it is gone. */
	bool known = record->socket.cookie != 0 && !record->socket.closed;
	__u32 kind = keys->made ? keys->kind : CACHED_NONE;

	/* A socket that cannot be the one is judged as unknown; and nothing is denied that cannot be ended. */
	if ((known && !socket_fits(&record->socket, keys->presented_bytes)) || (kind == CACHED_DENY && !(gate.on && known)))
		kind = CACHED_NONE;
	if (gate.on && known && (kind == CACHED_NONE || kind == CACHED_DENY))
		verdict_gate(record, kind == CACHED_DENY);
	if (kind == CACHED_DENY) {
		COUNT(denied);
		record->flags |= VERIFY_DENIED;
		if (is_told_by_notice(record->flags) && !notice_fits()) {
			COUNT(lost_notice);
			record->flags |= VERIFY_UNNOTICED;
		}
		((struct draft *)record)->rule = keys->rule;
		return true;
	}
	if (keys->made && known && gate.remembering && record->socket.protocol == PROTOCOL_TCP &&
	    !verified_remember(record, &keys->general))
		COUNT(lost_verified);
	if (known && kind != CACHED_NONE)
		gate_pass(record->socket.cookie);
	if (kind == CACHED_PASS || (kind == CACHED_QUIET && awaited))
		record->flags |= VERIFY_PASSED;
	else if (kind == CACHED_QUIET)
		COUNT(passed);
	return kind != CACHED_QUIET || awaited;
}

/* No record of it could be sent, so nobody will judge it. */
static __always_inline void verdict_unsent(const struct record_verify *draft)
{
	__u64 cookie = draft->socket.cookie;
	struct gate_entry *entry;

	if (!(draft->flags & VERIFY_GATED) || draft->flags & VERIFY_DENIED)
		return;
	entry = bpf_map_lookup_elem(&pending, &cookie);
	if (entry && gate.closed)
		entry->flags |= GATE_BLIND;
	if (!gate.closed)
		gate_pass(cookie);
}

/* After the record, so that what the warden says of it comes after it as well. */
static __noinline int verdict_told(const struct record_verify *draft, bool sent)
{
	if (!sent)
		verdict_unsent(draft);
	if (is_told_by_notice(draft->flags))
		notice_send(draft, NOTICE_DENIED, ((const struct draft *)draft)->rule);
	return 0;
}

#endif
