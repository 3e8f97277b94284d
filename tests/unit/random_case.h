/* Random cases from a seed that is printed: RANDOM_SEED=N repeats a run. Include after cmocka.h. */
#ifndef RANDOM_CASE_H
#define RANDOM_CASE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { RANDOM_SEED = 20250903 };

static uint64_t random_state;

/* Each test begins anew, so that one alone finds what all of them found. */
static inline void random_start(void)
{
	const char *text = getenv("RANDOM_SEED");

	random_state = text ? strtoull(text, NULL, 0) : RANDOM_SEED;
	print_message("# RANDOM_SEED=%llu\n", (unsigned long long)random_state);
}

/* SplitMix64: a counter, well mixed. */
static inline uint64_t random_bits(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* 0 to bound - 1. */
static inline size_t random_below(size_t bound)
{
	return (size_t)(random_bits() % bound);
}

#endif
