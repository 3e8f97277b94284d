/* Where a library keeps the fields that the probes read: byte offsets found by asking the library's own accessors (see
 * user/library/ask.c). Shared with BPF: one value of the layout map, chosen by the probe's cookie. All offsets are from
 * the start of the named object; OFFSET_NONE means the library has no such field, which only some may be. */
#ifndef LAYOUT_H
#define LAYOUT_H

enum { OFFSET_NONE = 0xffff, OFFSET_MAX = 0x7ff8 /* larger answers are refused */ };

enum library_kind { LIBRARY_NONE = 0, LIBRARY_OPENSSL = 1, LIBRARY_GNUTLS = 2 };

struct openssl_layout {
	__u16 ctx_cert, ctx_untrusted, ctx_chain, ctx_error, ctx_param; /* X509_STORE_CTX */
	__u16 ctx_ex_data;                                              /* slot with the STACK_OF(void) * of the ex_data */
	__u16 stack_num, stack_data;                                    /* OPENSSL_STACK: int, void ** */
	__u16 x509_tbs, x509_tbs_len;                                   /* X509: cached TBS: u8 *, long */
	__u16 x509_signature;                                           /* X509: embedded ASN1_BIT_STRING */
	__u16 string_length, string_data, string_flags;                 /* ASN1_STRING: int, u8 *, long */
	__u16 param_hosts;                                              /* X509_VERIFY_PARAM: STACK_OF(char) * */
	__u16 param_ip, param_ip_len;                                   /* X509_VERIFY_PARAM: u8 *, size_t */
	__u16 bio_method, bio_num;                                      /* BIO: BIO_METHOD *, int (the fd) */
	__u16 method_type;                                              /* BIO_METHOD: int */
	/* SSL (SSL_CONNECTION in 3.2 and later begins with it). From here on the answers are the libssl's. */
	__u16 ssl_version, ssl_rbio, ssl_server, ssl_verify_mode, ssl_server_name;
	/* The randoms of the two hellos, 32 bytes each: in the object that the pointer at ssl_hello points to, or, if that is
	 * OFFSET_NONE, in the SSL itself. All OFFSET_NONE: not known. */
	__u16 ssl_hello, ssl_client_random, ssl_server_random;
	/* What a finished handshake is told by (user/library/finished.c); all but the last three, or all OFFSET_NONE. */
	__u16 ssl_state, ssl_session, ssl_reused;     /* SSL: int (1: done), SSL_SESSION *, int */
	__u16 ssl_early, ssl_result, ssl_ctx;         /* int, long, SSL_CTX * */
	__u16 ssl_param;                              /* X509_VERIFY_PARAM * */
	__u16 session_peer, session_chain;            /* SSL_SESSION: X509 *, STACK_OF(X509) * */
	__u16 session_cipher, cipher_auth;            /* SSL_CIPHER *; in it an int (4: none) */
	__u16 context_verify;                         /* SSL_CTX: the application's own function that verifies */
	__u16 session_psk, session_raw_key, ssl_type; /* char *; EVP_PKEY * (3.2); SSL: int, 0 if it is TLS itself (3.2) */
	__u16 pad[1];
};

struct gnutls_layout {
	__u16 session_entity;                       /* int: 1 server, 2 client */
	__u16 session_auth_type, session_auth_info; /* int (1: certificate), pointer */
	__u16 session_transport, session_pull;      /* receive pointer (the fd, for the default pull function); function */
	__u16 auth_list, auth_count;                /* in auth_info: gnutls_datum_t *, unsigned int */
	__u16 session_client_random, session_server_random; /* 32 bytes each, or OFFSET_NONE: not known */
	/* The server's name, if the byte at session_has_name is not 0: the pointer at session_name leads to its text and the
	 * two low bytes of its length. */
	__u16 session_has_name, session_name;
	__u16 name_text, name_length, name_length_high;
	/* How the session came about; each may be OFFSET_NONE: not known. */
	__u16 session_resumed;                          /* u8: not 0 if an earlier session goes on */
	__u16 session_flags;                            /* u32: the bit at flags_early says that early data was accepted */
	__u16 session_client_type, session_server_type; /* int: 3 for a raw public key */
	__u16 session_request;                          /* int: not 0 if a server asks for a certificate */
	__u16 session_verify;                    /* verification function of the session; or else, if there is one, … */
	__u16 session_credentials;               /* … of its credentials: a list of … */
	__u16 item_type, item_object, item_next; /* … int (1: certificate), credentials, next */
	__u16 credentials_verify;                /* function */
	__u32 flags_early;
	__u32 pad[1];
	/* Text of the library, relative to the entry of gnutls_handshake: tells its own functions from an application's. */
	__s64 text_start, text_end;
};

struct library_layout {
	__u32 kind; /* enum library_kind */
	__u32 pad;
	union {
		struct openssl_layout openssl;
		struct gnutls_layout gnutls;
	};
};

#endif
