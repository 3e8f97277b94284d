/* A test file with everything that it names: what `test` runs and `check` checks. Two steps, as policy_load.h has them. */
#ifndef SUITE_H
#define SUITE_H

#include "policy_load.h"
#include "test_file.h"

struct suite_pem {
	char *text; /* owned, or NULL */
	size_t len;
};

/* Owned; all zero at the start. */
struct suite {
	struct problems problems;
	struct test_file *file; /* NULL: it does not parse */
	struct policy_load load;
	struct suite_pem *chains; /* two for each test: chain, application_chain */
};

/* The first step: the test file's text is parsed, and all files it names are read. What is wrong is in suite->problems. */
void suite_read(const struct policy_source *source, struct suite *ret);
/* The second step, without rights. -EINVAL if there are problems now: then nothing of it may be judged. */
int suite_bind(struct suite *suite);
/* The facts of one test. -EINVAL: a problem more. */
int suite_facts(struct suite *suite, size_t index, struct scenario_facts *ret);
void suite_clear(struct suite *suite);

#endif
