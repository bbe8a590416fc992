/* quantize.c - see quantize.h. */
#include "engine/kernels/quantize.h"

#include "engine/kernels/kernels.h"

void quantize_widen(int64_t count, const uint8_t *x, int low, int32_t zero, int16_t *y) {
    (low < 0 ? kernels_current()->widen_i8 : kernels_current()->widen_u8)(count, x, zero,
                                                                          y);
}

void quantize_f32(int64_t count, const float *x, float scale, float zero, int low,
                  uint8_t *y) {
    kernels_current()->quantize_f32(count, x, scale, zero, (float)low, y);
}

void quantize_sums(int64_t count, const int32_t *sums, int32_t bias, double scale,
                   double zero, int low, uint8_t *y) {
    kernels_current()->quantize_sums(count, sums, bias, scale, zero, low, y);
}
