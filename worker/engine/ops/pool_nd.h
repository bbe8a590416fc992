/* pool_nd.h - pooling that the kernels do not do: over any number of axes, of any number
 * type, with the places of the maxima.
 *
 * Depends on: engine/ops/window.h.
 * Ownership: plain data.
 * Threads: pure. */
#ifndef MILLRACE_ENGINE_OPS_POOL_ND_H
#define MILLRACE_ENGINE_OPS_POOL_ND_H

#include "engine/ops/window.h"

enum pool_kind { POOL_MAX, POOL_AVERAGE, POOL_LP };

struct pool_nd {
    enum pool_kind kind;
    int axis_count;
    struct window_axis axes[WINDOW_AXES_MAX];
    bool count_include_pad;
    bool column_major; /* how places are counted in an image */
    double p;          /* of POOL_LP */
};

/* x [batch, channels, ...] of numbers; `places` (int64) may be NULL. */
void pool_nd_run(const struct pool_nd *pool, const struct tensor *x, struct tensor *y,
                 struct tensor *places);

#endif
