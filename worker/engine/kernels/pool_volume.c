#include "engine/kernels/pool_volume.h"

#include <math.h>
#include <string.h>

#include "base/size.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/kernels.h"

/* All planes of one channel's volume, pooled. */
size_t pool_volume_scratch_size(const struct pool_volume *volume) {
    size_t count, size;
    if (!size_mul((size_t)volume->plane.out_h, (size_t)volume->plane.out_w, &count) ||
        !size_mul(count, (size_t)volume->in_d, &count) ||
        !size_mul(count, sizeof(float), &size)) {
        return SIZE_MAX;
    }
    return size;
}

/* Planes of the window at `od`: [*first, *last) by steps of the dilation lie in the
 * volume. */
static int64_t window(const struct pool_volume *volume, int64_t od, int64_t *first,
                      int64_t *last) {
    const int64_t start = od * volume->stride_d - volume->pad_front;
    int64_t padded = 0;
    *first = volume->in_d;
    *last = 0;
    for (int64_t k = 0; k < volume->kernel_d; k++) {
        const int64_t d = start + k * volume->dilation_d;
        padded += d < volume->in_d + volume->pad_back;
        if (d >= 0 && d < volume->in_d) {
            *first = d < *first ? d : *first;
            *last = d + 1;
        }
    }
    return padded;
}

void pool_volume_max(const struct pool_volume *volume, int64_t batch, const float *x,
                     float *y, void *scratch) {
    struct pool plane = volume->plane;
    const int64_t out = plane.out_h * plane.out_w, in = plane.in_h * plane.in_w;
    const float *planes = scratch;
    plane.channels = volume->in_d;
    for (int64_t i = 0; i < batch * volume->plane.channels; i++) {
        pool_max(&plane, 1, x + i * volume->in_d * in, scratch);
        for (int64_t od = 0; od < volume->out_d; od++, y += out) {
            int64_t first, last;
            (void)window(volume, od, &first, &last); /* padding never wins */
            for (int64_t p = 0; p < out; p++) {
                y[p] = -INFINITY;
            }
            for (int64_t d = first; d < last; d += volume->dilation_d) {
                kernels_current()->max_into(out, planes + d * out, 1, y);
            }
        }
    }
}

void pool_volume_average(const struct pool_volume *volume, int64_t batch, const float *x,
                         float *y, void *scratch) {
    struct pool plane = volume->plane;
    const int64_t out = plane.out_h * plane.out_w, in = plane.in_h * plane.in_w;
    const float *planes = scratch;
    plane.channels = volume->in_d;
    for (int64_t i = 0; i < batch * volume->plane.channels; i++) {
        pool_average(&plane, 1, x + i * volume->in_d * in, scratch);
        for (int64_t od = 0; od < volume->out_d; od++, y += out) {
            int64_t first, last, count = 0;
            const int64_t padded = window(volume, od, &first, &last);
            float divisor;
            memset(y, 0, (size_t)out * sizeof(*y));
            for (int64_t d = first; d < last; d += volume->dilation_d, count++) {
                kernels_current()->add_into(out, planes + d * out, 1, y);
            }
            divisor = (float)(plane.count_include_pad ? padded : count);
            if (divisor > 1) {
                ew_binary(EW_DIV, EW_SCALAR_B, out, y, &divisor, y);
            }
        }
    }
}
