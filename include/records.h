/* The contract between the BPF programs and the agent: what lies in the ring buffer and in the shared maps.
 *
 * One verification is one RECORD_VERIFY, followed in the ring (others may lie between) by one RECORD_CERT for each distinct
 * certificate, all with the same id; they are all there when the RECORD_VERIFY can be read. Everything here was read from
 * another process's memory: lengths are bounded by the BPF side, contents are an attacker's. Included by BPF and by user
 * space. */
#ifndef RECORDS_H
#define RECORDS_H

#include <linux/types.h>

#include "siphash.h"
#include "spread.h"

enum {
	PRESENTED_MAX = 16,   /* certificates the peer sent; more are not copied, VERIFY_TRUNCATED says so */
	CHAIN_MAX = 16,       /* the chain the library built; the same */
	NAME_MAX_BYTES = 256, /* a DNS name is at most 253 characters (RFC 1035); one that fills this was cut */
	COMM_BYTES = 16,      /* TASK_COMM_LEN */
	TBS_MAX = 32768, /* to-be-signed part, or a whole DER certificate; longer: copied not at all, VERIFY_TRUNCATED */
	SIGNATURE_MAX = 8192, /* the signature's bytes: ML-DSA-87 has 4627, RSA-16384 has 2048 */
	LIBRARIES_MAX = 1024, /* slots of the layout map; beyond it a library is reported as unsupported */
	THREAD_STATES_MAX =
		32768, /* threads of which something is known; the least recent beyond it is forgotten: lost.calls */
	THREAD_STATES_SPARE = 4096, /* the same, of those that the kernel would not keep with their task, where it can */
};

enum record_tag { RECORD_CERT = 1, RECORD_VERIFY = 2, RECORD_CLOSED = 3, RECORD_HELD = 4 };

/* Names one verification on this host: thread and the moment its capture began. */
struct record_id {
	__u64 pid_tgid;
	__u64 ktime_ns; /* CLOCK_MONOTONIC */
};

struct record_head {
	__u32 tag;     /* enum record_tag */
	__u32 library; /* slot in the layout map */
	struct record_id id;
};

enum cert_form {
	CERT_DER = 1,           /* data: tbs_len bytes, a whole DER certificate */
	CERT_TBS_SIGNATURE = 2, /* data: the signature's bytes, and at tbs_at the TBSCertificate. The outer
	                         * AlgorithmIdentifier is the one inside the TBS (RFC 5280 4.1.1.2: they must be the same) */
};

/* data is one of three sizes (cert_room), so that each reservation in the ring is a constant: signature first, in a room
 * of fixed size, then the TBS. */
struct record_cert {
	struct record_head head;
	__u64 object;     /* names the certificate within its record_verify: see presented_object, chain_object */
	__u8 form;        /* enum cert_form */
	__u8 unused_bits; /* of the signature's BIT STRING */
	__u16 pad;
	__u32 tbs_at; /* offset in data; the signature is at offset 0 */
	__u32 tbs_len;
	__u32 signature_len;
	__u8 data[];
};

enum verify_flags {
	VERIFY_TRUNCATED = 1 << 0,  /* more or longer certificates than the bounds allow */
	VERIFY_LOST_CERT = 1 << 1,  /* a reservation failed: at least one RECORD_CERT is missing */
	VERIFY_UNREADABLE = 1 << 2, /* a structure could not be read (paged out, or not laid out as the library said) */
	VERIFY_NONE_YET =
		1 << 4,         /* a handshake ended and nothing has verified; a RECORD_VERIFY for the session may follow */
	VERIFY_AFTER = 1 << 5,  /* verified after the handshake, whose VERIFY_NONE_YET record came before */
	VERIFY_GATED = 1 << 6,  /* its socket's packets wait for the verdict */
	VERIFY_PASSED = 1 << 7, /* a cached verdict allowed it: not gated */
	VERIFY_DENIED = 1 << 8, /* a cached verdict condemned it: the warden has been told as well */
	VERIFY_UNNOTICED = 1 << 3, /* … but for that there was no room: the judge has to ask for its end */
	VERIFY_REJECTED = 1 << 9,  /* … and the library was made to refuse the certificate */
	VERIFY_UNGATED = 1 << 10,  /* the map of gated sockets was full */
	VERIFY_RESUMED = 1 << 11,  /* nothing was verified: an earlier session goes on, whose certificates these are */
	VERIFY_CUSTOM = 1 << 12,   /* the handshake is over, and the library's own verification was never called */
	VERIFY_EARLY = 1 << 13,    /* with early data (0-RTT), which went before anything could be judged */
	VERIFY_BARE = 1 << 14,     /* the handshake is over, and the peer showed no certificate: see record_verify.bare */
	VERIFY_DENIED_BEFORE = 1 << 15, /* the end of its handshake was denied already, and the warden told of that */
};

/* What a peer without a certificate proved itself by. */
enum bare_kind { BARE_UNKNOWN = 0, BARE_PSK = 1, BARE_RAW_KEY = 2 /* RFC 7250 */, BARE_ANONYMOUS = 3 };

enum role { ROLE_UNKNOWN = 0, ROLE_CLIENT = 1 /* verifies a server */, ROLE_SERVER = 2 /* verifies a client */ };

/* How the socket was found. */
enum socket_how {
	SOCKET_UNKNOWN = 0,
	SOCKET_FD = 1,     /* the library reads from this file descriptor itself: exact */
	SOCKET_THREAD = 2, /* the TCP socket from which this thread last received data, before the verification began */
	SOCKET_HELLO = 3,  /* the one over which this handshake's hello was sent: exact */
};

struct record_socket {
	__u64 cookie;      /* as of SO_COOKIE; 0 with SOCKET_UNKNOWN */
	__u64 inode;       /* of its file, as in /proc/PID/fd; 0: unknown */
	__u32 netns;       /* inode number of its network namespace */
	__u16 family;      /* AF_INET or AF_INET6 */
	__u16 how;         /* enum socket_how */
	__u8 local_ip[16]; /* the first 4 bytes for AF_INET */
	__u8 peer_ip[16];
	__u16 local_port; /* host byte order */
	__u16 peer_port;
	__u32 bound_if; /* the device it is bound to (SO_BINDTODEVICE, a link-local peer), or 0 */
	__u64 received; /* TCP: bytes of payload that came in so far */
	__s32 fd;       /* the process's descriptor of it, as far as known: ask its cookie; -1: unknown */
	__u32 protocol; /* IPPROTO_TCP, or IPPROTO_UDP: connected to that peer */
	__u32 written;  /* TCP: the sequence number behind all that has been written to it */
	__u32 closed;   /* TCP: it has ended already */
};

struct record_verify {
	struct record_head head;
	__u64 session;            /* address of the library's session object: names the connection within its process */
	__u64 start_boottime_ns;  /* of the process (thread group leader): with the pid, names the process for good */
	__u64 exec_id;            /* changes when the process executes another program */
	__u64 end_ktime_ns;       /* CLOCK_MONOTONIC at the function's return: latencies count from here */
	__u64 cgroup_id;          /* of the process (cgroup v2) */
	struct siphash_value exe; /* digest of its executable's path (verdict_key.h); zeros: not known */
	__u32 uid;                /* of the thread, in the initial user namespace */
	__u32 flags;              /* enum verify_flags */
	__s32 result;             /* what the function returned */
	__s32 error;              /* OpenSSL: X509_STORE_CTX error; GnuTLS: the status bits */
	__u32 verify_mode;        /* OpenSSL: SSL_VERIFY_* bits; GnuTLS: 0 */
	__u8 role;                /* enum role */
	__u8 presented;           /* certificates presented, at most PRESENTED_MAX */
	__u8 chain;       /* certificates in the library's chain, at most CHAIN_MAX; 0 for GnuTLS, which keeps none */
	__u8 certs;       /* RECORD_CERT records that follow with this id */
	__u8 host_ip_len; /* 4 or 16 if the application expects an address: then in host_ip */
	__u8 bare;        /* enum bare_kind, with VERIFY_BARE */
	__u8 pad[6];
	__u8 host_ip[16];
	char comm[COMM_BYTES];
	struct record_socket socket;
	/* Which RECORD_CERTs make up the two lists, in their order, leaf first; an object whose record is missing was lost. */
	__u64 presented_object[PRESENTED_MAX];
	__u64 chain_object[CHAIN_MAX];
	char server_name[NAME_MAX_BYTES];   /* SNI, NUL-terminated, empty if none; CERT: an attacker's bytes on a server */
	char expected_host[NAME_MAX_BYTES]; /* what the application told the library to check, NUL-terminated, or empty */
};

/* A GnuTLS session ended (gnutls_deinit) of which a VERIFY_NONE_YET record was sent: nothing will verify it now. */
struct record_closed {
	struct record_head head;
	__u64 session;
};

/* GnuTLS: the application sends on a gated socket, and has not verified: it will not do so first. */
struct record_held {
	struct record_head head; /* as of the VERIFY_NONE_YET record */
	__u64 cookie;
};

/* Counters: one global, atomic adds, never reset while the agent runs. */
struct counters {
	__u64 verifications;       /* records sent */
	__u64 lost_verify;         /* RECORD_VERIFY reservations that failed: a whole verification is unseen */
	__u64 lost_cert;           /* RECORD_CERT reservations that failed */
	__u64 not_tls;             /* X509_verify_cert without an SSL*: CMS, `openssl verify`, CRL paths */
	__u64 lost_call;           /* returns whose call is not known: agent attached in between, or a table was full */
	__u64 no_certificate;      /* handshakes without a peer certificate (PSK, anonymous, client certificate not sent) */
	__u64 passed;              /* verifications that a cached verdict allowed without a record */
	__u64 denied;              /* … that one condemned */
	__u64 gated;               /* sockets entered */
	__u64 held;                /* packets that waited */
	__u64 gate_full;           /* sockets that were not entered: the map was full */
	__u64 lost_verified;       /* connections that are not remembered: the map was full */
	__u64 lost_notice;         /* notices to the warden that did not fit */
	struct spread released_us; /* µs from a verification to the moment its socket was let go. Written by the warden */
};

#endif
