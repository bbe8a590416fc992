/* number.h - one element of a tensor of any number type (or bool), for operators whose
 * time goes elsewhere.
 *
 * Depends on: base/tensor.h.
 * Ownership: nothing is kept.
 * Threads: pure. */
#ifndef MILLRACE_ENGINE_OPS_NUMBER_H
#define MILLRACE_ENGINE_OPS_NUMBER_H

#include "base/tensor.h"

/* A float as an integer; one that does not fit is INT64_MIN, as x86 has it. */
static inline int64_t number_truncate(double value) {
    return value >= -0x1p63 && value < 0x1p63 ? (int64_t)value : INT64_MIN;
}

/* Not for strings, small floats or lists.  Integers past 2^53 are rounded; a float read
 * as an integer is truncated, one that does not fit is INT64_MIN. */
double number_real(const struct tensor *x, int64_t at);
int64_t number_integer(const struct tensor *x, int64_t at);

/* The least and the greatest number of an integer type, as far as a double has it. */
struct number_range {
    double low, high;
};
struct number_range number_range_of(enum dtype dtype);

/* The nearest number of the range; NaN is 0. */
static inline double number_saturate(double value, struct number_range range) {
    return value < range.low    ? range.low
           : value > range.high ? range.high
           : value != value     ? 0
                                : value;
}

/* What does not fit into an integer type wraps around. */
void number_set_real(const struct tensor *x, int64_t at, double value);
void number_set_integer(const struct tensor *x, int64_t at, int64_t value);

#endif
