/* A server's memory of its sessions: tickets, or sessions by their id; and, with early data, of what it has seen (nothing). */
#include "hidden.h"

enum { REMEMBERED = 8 /* sessions by id; one more takes the place of the first */ };

static gnutls_anti_replay_t anti_replay;
static gnutls_datum_t ticket_key;

static struct {
	gnutls_datum_t key, data;
} remembered[REMEMBERED];
static unsigned remembered_next;

static int sessions_store(void *context, gnutls_datum_t key, gnutls_datum_t data)
{
	(void)context;
	remembered[remembered_next % REMEMBERED].key = copy_of(key);
	remembered[remembered_next++ % REMEMBERED].data = copy_of(data);
	return 0;
}

static gnutls_datum_t sessions_fetch(void *context, gnutls_datum_t key)
{
	(void)context;
	for (unsigned i = 0; i < REMEMBERED; i++)
		if (key.size && remembered[i].key.size == key.size && !memcmp(remembered[i].key.data, key.data, key.size))
			return copy_of(remembered[i].data);
	return (gnutls_datum_t){NULL, 0};
}

static int sessions_remove(void *context, gnutls_datum_t key)
{
	(void)context;
	(void)key;
	return 0;
}

static int replay_add(void *context, time_t until, const gnutls_datum_t *key, const gnutls_datum_t *data)
{
	(void)context;
	(void)until;
	(void)key;
	(void)data;
	return 0;
}

void memory_forget(void)
{
	must(gnutls_session_ticket_key_generate(&ticket_key), "ticket key");
}

void memory_prepare(void)
{
	memory_forget();
	must(gnutls_anti_replay_init(&anti_replay), "anti-replay");
	gnutls_anti_replay_set_add_function(anti_replay, replay_add);
}

void memory_give(gnutls_session_t session)
{
	if (is("resume", "ticket"))
		must(gnutls_session_ticket_enable_server(session, &ticket_key), "tickets");
	if (is("resume", "id")) {
		gnutls_db_set_store_function(session, sessions_store);
		gnutls_db_set_retrieve_function(session, sessions_fetch);
		gnutls_db_set_remove_function(session, sessions_remove);
	}
	if (is("early", "yes"))
		gnutls_anti_replay_enable(session, anti_replay);
}
