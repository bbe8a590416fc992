/* residual.c - see residual.h. */
#include "engine/ops/residual.h"

#include "base/size.h"

static bool same_shape(const struct tensor *a, const struct tensor *b) {
    return a->rank == b->rank &&
           memcmp(a->dims, b->dims, (size_t)a->rank * sizeof(a->dims[0])) == 0;
}

/* Every row of the product has the same residual, of a row's shape.  Told without the
 * batch, so that a row alone is summed as in a batch. */
static bool same_row(const struct tensor *product, const struct tensor *other) {
    struct tensor row = *other;
    if (other->rank == product->rank - 1) {
        row.rank = product->rank;
        row.dims[0] = 1;
        memcpy(row.dims + 1, other->dims, (size_t)other->rank * sizeof(row.dims[0]));
    }
    if (row.rank != product->rank || row.dims[0] != 1) {
        return false;
    }
    row.dims[0] = product->dims[0];
    return same_shape(product, &row);
}

enum status residual_shape(struct exec *exec, bool can_accumulate,
                           struct residual *residual, size_t *size, struct error *err) {
    struct tensor product = *exec->y[0];
    const struct tensor *x[2] = {&product, NULL};
    enum status status;
    *size = 0;
    residual->added = residual->accumulate = false;
    if (!exec_has(exec, RESIDUAL_INPUT)) {
        return STATUS_OK;
    }
    x[1] = exec->x[RESIDUAL_INPUT];
    if (can_accumulate && (same_shape(x[0], x[1]) || same_row(x[0], x[1]))) {
        residual->accumulate = true;
        exec->take_input = same_shape(x[0], x[1]) ? RESIDUAL_INPUT : exec->take_input;
        return STATUS_OK;
    }
    residual->added = true;
    product.dtype = DTYPE_F32;
    status = broadcast_shape(exec, x, 2, exec->y[0], err);
    if (status == STATUS_OK) {
        broadcast_init(&residual->plan, x, 2, exec->y[0]);
        *size = size_align(tensor_size(&product), 64);
    }
    return status;
}

float *residual_begin(const struct exec *exec, const struct residual *residual,
                      float *scratch) {
    float *y = exec->y[0]->data;
    const struct tensor *other = residual->accumulate ? exec->x[RESIDUAL_INPUT] : NULL;
    const size_t size = other == NULL ? 0 : tensor_size(other);
    if (size > 0 && other->data != (const void *)y) {
        uint8_t *to = (uint8_t *)y, *end = to + tensor_size(exec->y[0]);
        for (; to < end; to += size) {
            memcpy(to, other->data, size);
        }
    }
    return residual->added ? scratch : y;
}

void residual_end(const struct exec *exec, const struct residual *residual,
                  const float *product) {
    const struct broadcast *plan = &residual->plan;
    const float *other =
        residual->added ? (const float *)exec->x[RESIDUAL_INPUT]->data : NULL;
    struct broadcast_walk walk = {0};
    if (!residual->added || !broadcast_any(plan)) {
        return;
    }
    do {
        float *to = (float *)exec->y[0]->data + walk.out;
        for (int64_t i = 0; i < plan->line; i++) {
            to[i] = product[walk.at[0] + i * plan->line_step[0]] +
                    other[walk.at[1] + i * plan->line_step[1]];
        }
        act_run(&exec->node->act, plan->line, to, to);
    } while (broadcast_next(plan, &walk));
}
