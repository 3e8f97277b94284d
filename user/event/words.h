/* The words that events have for what the facts say, for those who write them and those who read them. Private to
 * user/event. */
#ifndef EVENT_WORDS_H
#define EVENT_WORDS_H

#include "certificate.h"
#include "gate_event.h"

/* Indexed by the enum; an entry may be NULL, or repeat: then the first of them is what is read. */
struct words {
	const char *const *items;
	size_t count;
};
extern const struct words result_words; /* enum action_result */
extern const struct words gate_words;   /* enum gate_reason */
extern const struct words verify_words; /* enum verify_result; VERIFY_PENDING is written as "off" */
extern const struct words proof_words;  /* enum peer_proof */
extern const struct words role_words;   /* enum facts_role */
extern const struct words library_words;
extern const struct words action_words; /* enum action */
extern const struct words mode_words;   /* facts.verify_mode, in no order that means anything */
extern const struct words san_words;    /* enum san_kind */

/* The index of a word; -1: there is no such word. */
int word_find(const struct words *words, const char *word);

/* What kind of name a text would be taken for. Events tell the kinds only where this is wrong. */
enum san_kind san_guess(const char *text);

/* The most entries of lists; more are left out, and the event says how many. */
enum {
	SANS_SHOWN = 256,      /* tlswarden.alternative_names_left_out; policies judge them all */
	VIOLATIONS_SHOWN = 32, /* tlswarden.violations_left_out; rule and policy still name the strongest of all */
	CHAIN_SHOWN = 2 * FACTS_CERTS_MAX + FACTS_BESIDE_MAX, /* more there cannot be */
};

#endif
