/* Policies and verifications for the bench of many rules (rules.c), drawn at random from a fixed seed. */
#ifndef RULES_WORLD_H
#define RULES_WORLD_H

#include "policy.h"
#include "util.h"

enum { SANS = 4, SHARED_NAMES = 10000 };

/* What a rule is about, so that facts can be about the same. */
enum subject {
	ABOUT_HOST,
	ABOUT_DOMAIN,
	ABOUT_SAN,
	ABOUT_SAN_IP,
	ABOUT_PEER,
	ABOUT_KEY,
	ABOUT_DIGEST,
	ABOUT_BOTH,
	SUBJECTS
};

struct about {
	enum subject subject;
	char name[64];
	struct address address;
	uint8_t key[SHA256_BYTES];
};

struct verification {
	struct certificate certs[3];
	struct san sans[SANS + 1];
	char names[SANS][64], subject[72];
	struct facts facts;
};

/* 0 to bound - 1. */
unsigned below(unsigned bound);
/* Before all else. */
void world_start(void);
/* A policy of so many rules; abouts gets as many. New memory. */
char *policy_text(size_t count, struct about *abouts, size_t *ret_len);
/* Rules about one set of names ("host.shared.example" is one of them) that differ in the key they forbid or require. */
char *shared_text(size_t count, bool forbids, size_t *ret_len);
/* about: of the rule that it is to be about, or NULL. */
void make_verification(struct verification *v, const struct about *about);

#endif
