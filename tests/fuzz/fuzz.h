/* What the fuzz targets share. A target reads one input, and ends the process where a promise of a header is broken:
 * libFuzzer then keeps the input. Inputs have no length and no shape that could be trusted. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What libFuzzer calls, and what it offers. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t len, size_t max);

/* A promise: says which one is broken, and aborts. */
#define HOLDS(condition) ((condition) ? (void)0 : promise_broken(__FILE__, __LINE__, #condition))
_Noreturn void promise_broken(const char *file, int line, const char *condition);

/* One line of UTF-8 without control characters, as text_escape promises; NULL is none. */
bool is_line(const char *text);

/* Most targets take several byte strings, each in a parcel: a byte of flags, two of length (high one first), the bytes. A
 * length beyond the end means the rest. */
struct parcel {
	uint8_t flags;
	const uint8_t *data;
	size_t len;
};
enum { PARCEL_HEADER = 3, PARCEL_MAX = 0xffff, PARCELS_MAX = 64 };
/* The parcels of an input, PARCELS_MAX at most; their number. */
size_t parcels_read(const uint8_t *data, size_t len, struct parcel parcels[PARCELS_MAX]);
/* Changes an input made of parcels: one of them, its flags, or their order and number. der: what is in one is DER, mostly. */
size_t parcels_mutate(uint8_t *data, size_t len, size_t max, unsigned seed, bool der);

/* Changes one element of DER, or their order and number, and makes the lengths around it right again. */
size_t der_mutate(uint8_t *data, size_t len, size_t max, unsigned seed);

struct certificate;
/* Checks each field that certificate.h promises. */
void certificate_check(const struct certificate *certificate);
/* The certificate as a PEM block in new memory. */
char *pem_of(const struct certificate *certificate);

struct facts;
struct anchors;
/* Finds the path and checks what path.h promises of it. anchors is made of the known ones. */
void path_check(struct facts *facts, const struct anchors *anchors, struct certificate *const *known, size_t known_count);

struct policy_source;
struct problems;
/* Checks the complaints about those files, given in the order in which they were read. */
void problems_check(const struct problems *problems, const struct policy_source *sources, size_t count);

#endif
