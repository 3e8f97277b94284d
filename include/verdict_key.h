/* What names a verification in the cache of verdicts: a keyed hash of everything that a verdict depends on, but the policies
 * and the time. Two verifications with the same key are judged alike. The probe makes it of what it read, the agent of what
 * it was sent, so that a verdict is only ever remembered for the very bytes that were judged.
 *
 * Each certificate has a digest: lengths and form, then its parts, each filled up with zeros to VERDICT_CHUNK bytes. The key
 * is over the record's facts, then the digests of what was presented and of the chain, in order; a chain entry that is the
 * same object as a presented one is its number.
 *
 * Where the verdict depends on who verifies, there is a second key, over that one and the user, and over the process or a
 * digest of its executable's path. By the path a verdict is known to each process that executes the same, from its first
 * connection on; but policies may ask for more, and then it must be the process. The path is told from its end to its root,
 * each name filled up with zeros to VERDICT_CHUNK bytes. In the agent it is the one of which the verdict was made.
 *
 * Shared by BPF and user space. */
#ifndef VERDICT_KEY_H
#define VERDICT_KEY_H

#include "records.h"
#include "siphash.h"

enum {
	VERDICT_CHUNK = 128,
	VERDICT_BYTES_MAX = 65536, /* certificates of more have no key, and are judged each time */
	VERDICT_NAMES_MAX = 64,    /* of a path, with the mounts on its way; one of more has no key */
	VERDICT_FLAGS = VERIFY_NONE_YET | VERIFY_AFTER | VERIFY_RESUMED | VERIFY_CUSTOM | VERIFY_EARLY | VERIFY_BARE,
};

static inline __attribute__((always_inline)) void verdict_key_words(struct siphash *s, const void *data, __u32 count)
{
	const __u64 *words = data;

	for (__u32 i = 0; i < count; i++)
		siphash_add(s, words[i]);
}

/* record: everything up to its names is filled; socket zeroed unless the socket is known. kind: enum library_kind. */
static inline __attribute__((always_inline)) void verdict_key_facts(struct siphash *s, const struct record_verify *record,
								    __u32 kind)
{
	const struct record_socket *socket = &record->socket;

	siphash_add(s, kind | (__u64)record->role << 8 | (__u64)record->host_ip_len << 16 | (__u64)record->presented << 24 |
			       (__u64)record->chain << 32 | (__u64)(socket->how != SOCKET_UNKNOWN) << 40 |
			       (__u64)record->bare << 48);
	siphash_add(s, (__u32)record->result | (__u64)(__u32)record->error << 32);
	siphash_add(s, record->verify_mode | (__u64)(record->flags & VERDICT_FLAGS) << 32);
	siphash_add(s, socket->family | (__u64)socket->peer_port << 16 | (__u64)socket->protocol << 32);
	verdict_key_words(s, record->host_ip, sizeof(record->host_ip) / 8);
	verdict_key_words(s, socket->peer_ip, sizeof(socket->peer_ip) / 8);
	verdict_key_words(s, record->server_name, sizeof(record->server_name) / 8);
	verdict_key_words(s, record->expected_host, sizeof(record->expected_host) / 8);
}

enum verdict_key_by { KEY_BY_PROCESS = 1, KEY_BY_EXE = 2 };

/* general: the key without who verifies. by: enum verdict_key_by, says what comes next. */
static inline __attribute__((always_inline)) void verdict_key_who(struct siphash *s, const struct siphash_value *general,
								  __u32 by, __u32 uid)
{
	siphash_add(s, by | (__u64)uid << 32);
	siphash_add(s, general->a);
	siphash_add(s, general->b);
}

static inline __attribute__((always_inline)) void verdict_key_exe(struct siphash *s, const struct siphash_value *exe)
{
	siphash_add(s, exe->a);
	siphash_add(s, exe->b);
}

static inline __attribute__((always_inline)) void verdict_key_process(struct siphash *s, const struct record_verify *record)
{
	siphash_add(s, record->head.id.pid_tgid >> 32);
	siphash_add(s, record->start_boottime_ns);
	siphash_add(s, record->exec_id);
	siphash_add(s, record->cgroup_id);
}

/* The head of a certificate's digest. */
static inline __attribute__((always_inline)) void verdict_key_cert(struct siphash *s, __u32 form, __u32 unused_bits,
								   __u32 tbs_len, __u32 signature_len)
{
	siphash_add(s, form | (__u64)unused_bits << 32);
	siphash_add(s, tbs_len | (__u64)signature_len << 32);
}

#endif
