/* SipHash-2-4 with a 128-bit result (Aumasson, Bernstein: SipHash, 2012; the 128-bit variant of its reference code), over
 * whole 8-byte words. Keyed: who does not know the key cannot find two inputs that collide. Shared by BPF and user space; it
 * has no state but its argument. */
#ifndef SIPHASH_H
#define SIPHASH_H

#include <linux/types.h>

struct siphash {
	__u64 v0, v1, v2, v3;
	__u64 words;
};

struct siphash_key {
	__u64 k0, k1;
};

struct siphash_value {
	__u64 a, b;
};

static inline __attribute__((always_inline)) int siphash_same(const struct siphash_value *x, const struct siphash_value *y)
{
	return x->a == y->a && x->b == y->b;
}

#define SIPHASH_ROTATE(x, n) (((x) << (n)) | ((x) >> (64 - (n))))

static inline __attribute__((always_inline)) void siphash_round(struct siphash *s)
{
	s->v0 += s->v1;
	s->v1 = SIPHASH_ROTATE(s->v1, 13) ^ s->v0;
	s->v0 = SIPHASH_ROTATE(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = SIPHASH_ROTATE(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = SIPHASH_ROTATE(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = SIPHASH_ROTATE(s->v1, 17) ^ s->v2;
	s->v2 = SIPHASH_ROTATE(s->v2, 32);
}

static inline __attribute__((always_inline)) void siphash_begin(struct siphash *s, const struct siphash_key *key)
{
	s->v0 = 0x736f6d6570736575ULL ^ key->k0;
	s->v1 = 0x646f72616e646f6dULL ^ key->k1 ^ 0xee;
	s->v2 = 0x6c7967656e657261ULL ^ key->k0;
	s->v3 = 0x7465646279746573ULL ^ key->k1;
	s->words = 0;
}

static inline __attribute__((always_inline)) void siphash_add(struct siphash *s, __u64 word)
{
	s->v3 ^= word;
	siphash_round(s);
	siphash_round(s);
	s->v0 ^= word;
	s->words++;
}

/* s may not be added to afterwards; a copy of it made before may. */
static inline __attribute__((always_inline)) struct siphash_value siphash_end(struct siphash *s)
{
	struct siphash_value value;
	__u64 last = (s->words * 8 & 0xff) << 56;

	siphash_add(s, last);
	s->v2 ^= 0xee;
	siphash_round(s);
	siphash_round(s);
	siphash_round(s);
	siphash_round(s);
	value.a = s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
	s->v1 ^= 0xdd;
	siphash_round(s);
	siphash_round(s);
	siphash_round(s);
	siphash_round(s);
	value.b = s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
	return value;
}

#endif
