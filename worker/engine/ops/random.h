/* random.h - random numbers that follow from a seed and a place alone: Random*,
 * Bernoulli, Multinomial, Dropout in training.
 *
 * Depends on: engine/op.h.
 * Ownership: plain numbers.
 * Threads: pure. */
#ifndef MILLRACE_ENGINE_OPS_RANDOM_H
#define MILLRACE_ENGINE_OPS_RANDOM_H

#include "engine/op.h"

/* In [0, 1). */
double random_uniform(uint64_t seed, uint64_t place);

/* The attribute `seed`, a float or an int; a fixed one where it is absent. */
MUST_CHECK enum status random_seed(struct load *load, uint64_t *seed, struct error *err);

#endif
