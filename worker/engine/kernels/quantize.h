/* quantize.h - loops between bytes and wider numbers.
 *
 * A `low` of 0 means bytes without sign, of -128 with.
 *
 * Depends on: nothing.  Threads: pure. */
#ifndef MILLRACE_ENGINE_KERNELS_QUANTIZE_H
#define MILLRACE_ENGINE_KERNELS_QUANTIZE_H

#include <stdint.h>

/* y[i] = x[i] - zero; `zero` is within 383 of 0. */
void quantize_widen(int64_t count, const uint8_t *x, int low, int32_t zero, int16_t *y);

/* y[i] = saturate(round(x[i] / scale) + zero), 0 where the quotient is NaN; halves round
 * to the even neighbour. */
void quantize_f32(int64_t count, const float *x, float scale, float zero, int low,
                  uint8_t *y);

/* y[i] = saturate(round((sums[i] + bias) * scale) + zero), `low` where that is NaN. */
void quantize_sums(int64_t count, const int32_t *sums, int32_t bias, double scale,
                   double zero, int low, uint8_t *y);

#endif
