/* quantize.c - see quantize.h. */
#include "engine/kernels/quantize.h"

#include "engine/kernels/kernels.h"

void quantize_f32(int64_t count, const float *x, float scale, float zero, int low,
                  uint8_t *y) {
    kernels_current()->quantize_f32(count, x, scale, zero, (float)low, y);
}

void quantize_range(int64_t count, const float *x, float *low, float *high) {
    kernels_current()->range(count, x, low, high);
}
