/* pool_nd.c - see pool_nd.h. */
#include "engine/ops/pool_nd.h"

#include <math.h>

#include "engine/ops/number.h"

/* What a window has gathered so far. */
struct gathered {
    double value;
    int64_t place; /* of the maximum, in the image */
    int64_t count; /* elements, padding included where it counts */
};

static int64_t place_number(const struct pool_nd *pool, const int64_t *at) {
    int64_t number = 0;
    for (int i = 0; i < pool->axis_count; i++) {
        int axis = pool->column_major ? pool->axis_count - 1 - i : i;
        number = number * pool->axes[axis].in + at[axis];
    }
    return number;
}

/* Where tap `tap` of the window at `out` lies: false outside the image; *counts tells
 * whether it is in the padding, which an average may count. */
static bool tap_place(const struct pool_nd *pool, const int64_t *out, const int64_t *tap,
                      int64_t *at, bool *counts) {
    bool inside = true;
    *counts = true;
    for (int i = 0; i < pool->axis_count; i++) {
        const struct window_axis *axis = &pool->axes[i];
        at[i] = out[i] * axis->stride + tap[i] * axis->dilation - axis->pad_begin;
        inside = inside && at[i] >= 0 && at[i] < axis->in;
        *counts = *counts && at[i] < axis->in + axis->pad_end;
    }
    return inside;
}

static void gather(const struct pool_nd *pool, double value, int64_t place,
                   struct gathered *so_far) {
    if (pool->kind == POOL_AVERAGE) {
        so_far->value += value;
    } else if (pool->kind == POOL_LP) {
        so_far->value += pow(fabs(value), pool->p);
    } else if (!(value <= so_far->value)) { /* NaN is taken */
        so_far->value = value;
        so_far->place = place;
    }
}

static bool next(const struct pool_nd *pool, int64_t *at, bool output) {
    for (int i = pool->axis_count - 1; i >= 0; i--) {
        if (++at[i] < (output ? pool->axes[i].out : pool->axes[i].kernel)) {
            return true;
        }
        at[i] = 0;
    }
    return false;
}

static struct gathered window(const struct pool_nd *pool, const struct tensor *x,
                              int64_t image, const int64_t *out) {
    struct gathered result = {.value = pool->kind == POOL_MAX ? -INFINITY : 0};
    int64_t tap[WINDOW_AXES_MAX] = {0};
    do {
        int64_t at[WINDOW_AXES_MAX], flat = 0;
        bool counts;
        if (tap_place(pool, out, tap, at, &counts)) {
            for (int i = 0; i < pool->axis_count; i++) {
                flat = flat * pool->axes[i].in + at[i];
            }
            gather(pool, number_real(x, image + flat), place_number(pool, at), &result);
            result.count++;
        } else if (counts && pool->count_include_pad) {
            result.count++;
        }
    } while (next(pool, tap, false));
    return result;
}

static double finished(const struct pool_nd *pool, const struct gathered *result) {
    switch (pool->kind) {
    case POOL_MAX:
        break;
    case POOL_AVERAGE:
        return result->count > 0 ? result->value / (double)result->count : 0;
    case POOL_LP:
        return pow(result->value, 1 / pool->p);
    }
    return result->value;
}

void pool_nd_run(const struct pool_nd *pool, const struct tensor *x, struct tensor *y,
                 struct tensor *places) {
    int64_t images = x->dims[0] * x->dims[1], size = 1, made = 0;
    int64_t count = (int64_t)tensor_count(y);
    for (int i = 0; i < pool->axis_count; i++) {
        size *= pool->axes[i].in;
    }
    for (int64_t image = 0; count > 0 && image < images; image++) {
        int64_t out[WINDOW_AXES_MAX] = {0};
        do {
            struct gathered result = window(pool, x, image * size, out);
            number_set_real(y, made, finished(pool, &result));
            if (places != NULL) {
                ((int64_t *)places->data)[made] = image * size + result.place;
            }
            made++;
        } while (next(pool, out, true));
    }
}
