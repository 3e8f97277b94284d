/* What the parts of this program share: see main.c. Both sides are the same program; `server` tells which one this is. */
#ifndef HIDDEN_H
#define HIDDEN_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/gnutls.h>

extern bool server;

/* options.c: what was asked for on the command line. */
void options_read(int count, char **words); /* the first is the program, the second the directory of the certificates */
const char *option(const char *name);
bool is(const char *name, const char *value);
/* Path of a certificate or key; four are kept at a time. */
const char *file(const char *name, const char *ending);
/* Ends this side with a message unless result is 0 or more. */
void must(int result, const char *what);
gnutls_datum_t copy_of(gnutls_datum_t from); /* to be freed by the library */

/* verify.c: how this side looks at the other's certificate. */
void verify_prepare(gnutls_session_t session, gnutls_certificate_credentials_t certificates);
/* What the application does when the handshake is over: 0 if it goes on. */
int verify_afterwards(gnutls_session_t session);

/* credentials.c: what this side shows. */
void credentials_prepare(void);
void credentials_give(gnutls_session_t session);
gnutls_certificate_credentials_t credentials_certificates(void);

/* memory.c: what a server remembers of its sessions. */
void memory_prepare(void);
void memory_forget(void); /* no earlier session is taken up */
void memory_give(gnutls_session_t session);

#endif
