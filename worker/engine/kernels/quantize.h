/* quantize.h - loops between bytes and floats.
 *
 * A `low` of 0 means bytes without sign, of -128 with.
 *
 * Depends on: nothing.  Threads: pure. */
#ifndef MILLRACE_ENGINE_KERNELS_QUANTIZE_H
#define MILLRACE_ENGINE_KERNELS_QUANTIZE_H

#include <stdint.h>

/* y[i] = saturate(round(x[i] / scale) + zero), 0 where the quotient is NaN; halves round
 * to the even neighbour. */
void quantize_f32(int64_t count, const float *x, float scale, float zero, int low,
                  uint8_t *y);

/* The range that dynamic quantisation spreads over bytes: the least and the highest of x
 * and 0; NaNs do not count. */
void quantize_range(int64_t count, const float *x, float *low, float *high);

#endif
