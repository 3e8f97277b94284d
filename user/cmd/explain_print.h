/* What `explain` prints: the certificates that were looked at, each rule, the verdict. */
#ifndef EXPLAIN_PRINT_H
#define EXPLAIN_PRINT_H

#include "policy.h"

struct explain_style {
	bool colour, verbose;
};

/* The leaf, the connection and the proven path. */
void explain_print_facts(const struct facts *facts, int64_t at, const struct explain_style *style);
/* Rules that apply first, each with all that was asked; then those that do not match, shortened. */
void explain_print_rules(const struct explanation *explanation, const struct explain_style *style);
void explain_print_verdict(const struct verdict *verdict, const struct explain_style *style);

/* Why a rule is not broken, in a few words and one line: new memory, escaped. NULL: it is broken. */
char *explain_why_not(const struct explained_rule *rule);

#endif
