/* pool_nd.c - see pool_nd.h. */
#include "engine/ops/pool_nd.h"

#include <math.h>

#include "engine/kernels/taps.h"
#include "engine/ops/number.h"

/* What a window has gathered so far. */
struct gathered {
    double value;
    int64_t place; /* of the maximum, in the image */
    double count;  /* elements, padding included where it counts: may be past int64 */
};

static int64_t place_number(const struct pool_nd *pool, const int64_t *at) {
    int64_t number = 0;
    for (int i = 0; i < pool->axis_count; i++) {
        int axis = pool->column_major ? pool->axis_count - 1 - i : i;
        number = number * pool->axes[axis].in + at[axis];
    }
    return number;
}

/* The window at `out`: along each axis the taps inside the image, since it may be far
 * larger, and over all axes how many taps an average with padding counts. */
struct window_taps {
    int64_t origin[WINDOW_AXES_MAX];
    struct taps_range inside[WINDOW_AXES_MAX];
    double padded;
    bool none; /* is inside */
};

static struct window_taps taps_at(const struct pool_nd *pool, const int64_t *out) {
    struct window_taps taps = {.padded = 1};
    for (int i = 0; i < pool->axis_count; i++) {
        const struct window_axis *axis = &pool->axes[i];
        int64_t origin = out[i] * axis->stride - axis->pad_begin;
        taps.origin[i] = origin;
        taps.inside[i] = taps_inside(origin, axis->kernel, axis->dilation, 0, axis->in);
        taps.none = taps.none || taps_count(taps.inside[i]) == 0;
        taps.padded *=
            (double)taps_count(taps_inside(origin, axis->kernel, axis->dilation,
                                           -axis->pad_begin, axis->in + axis->pad_end));
    }
    return taps;
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

/* The next tap inside; false behind the last one. */
static bool next_tap(const struct window_taps *taps, int axes, int64_t *tap) {
    for (int i = axes - 1; i >= 0; i--) {
        if (++tap[i] < taps->inside[i].end) {
            return true;
        }
        tap[i] = taps->inside[i].first;
    }
    return false;
}

static bool next_output(const struct pool_nd *pool, int64_t *out) {
    for (int i = pool->axis_count - 1; i >= 0; i--) {
        if (++out[i] < pool->axes[i].out) {
            return true;
        }
        out[i] = 0;
    }
    return false;
}

static struct gathered window(const struct pool_nd *pool, const struct tensor *x,
                              int64_t image, const int64_t *out) {
    struct gathered result = {.value = pool->kind == POOL_MAX ? -INFINITY : 0};
    struct window_taps taps = taps_at(pool, out);
    int64_t tap[WINDOW_AXES_MAX];
    for (int i = 0; i < pool->axis_count; i++) {
        tap[i] = taps.inside[i].first;
    }
    if (!taps.none) {
        do {
            int64_t at[WINDOW_AXES_MAX], flat = 0;
            for (int i = 0; i < pool->axis_count; i++) {
                at[i] = taps.origin[i] + tap[i] * pool->axes[i].dilation;
                flat = flat * pool->axes[i].in + at[i];
            }
            gather(pool, number_real(x, image + flat), place_number(pool, at), &result);
            result.count++;
        } while (next_tap(&taps, pool->axis_count, tap));
    }
    if (pool->count_include_pad) {
        result.count = taps.padded;
    }
    return result;
}

static double finished(const struct pool_nd *pool, const struct gathered *result) {
    switch (pool->kind) {
    case POOL_MAX:
        break;
    case POOL_AVERAGE:
        return result->count > 0 ? result->value / result->count : 0;
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
        } while (next_output(pool, out));
    }
}
