/* broadcast.c - see broadcast.h. */
#include "engine/ops/broadcast.h"

#include <assert.h>

/* Dim `axis`, counted in an output of `rank` axes; 1 where the tensor has none. */
static int64_t dim_at(const struct tensor *x, int rank, int axis) {
    int own = axis - (rank - x->rank);
    return own < 0 ? 1 : x->dims[own];
}

static enum status mismatch(const struct exec *exec, const struct tensor *const *x, int a,
                            int b, struct error *err) {
    char first[TENSOR_SHAPE_TEXT_MAX], second[TENSOR_SHAPE_TEXT_MAX];
    return node_error(exec->node, err, STATUS_POISON, "shapes %s and %s do not broadcast",
                      tensor_shape_text(x[a]->dims, x[a]->rank, first, sizeof(first)),
                      tensor_shape_text(x[b]->dims, x[b]->rank, second, sizeof(second)));
}

enum status broadcast_shape(const struct exec *exec, const struct tensor *const *x,
                            int count, struct tensor *y, struct error *err) {
    int rank = 0;
    for (int i = 0; i < count; i++) {
        rank = x[i]->rank > rank ? x[i]->rank : rank;
    }
    y->rank = rank;
    for (int axis = 0; axis < rank; axis++) {
        int64_t dim = 1;
        int setter = 0;
        for (int i = 0; i < count; i++) {
            int64_t own = dim_at(x[i], rank, axis);
            if (own == 1 || own == dim) {
                continue;
            }
            if (dim != 1) {
                return mismatch(exec, x, setter, i, err);
            }
            dim = own;
            setter = i;
        }
        y->dims[axis] = dim;
    }
    return STATUS_OK;
}

/* The product of a result that is refused a little later may not fit. */
static int64_t product(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a * (uint64_t)b);
}

/* Joins axis `axis` of y to the last one of the plan, if every input allows it. */
static bool join(struct broadcast *plan, int64_t dim, const int64_t *step) {
    int last = plan->rank - 1;
    if (last < 0) {
        return false;
    }
    for (int i = 0; i < plan->count; i++) {
        if (plan->step[i][last] != product(dim, step[i])) {
            return false;
        }
    }
    plan->dims[last] = product(plan->dims[last], dim);
    for (int i = 0; i < plan->count; i++) {
        plan->step[i][last] = step[i];
    }
    return true;
}

void broadcast_init(struct broadcast *plan, const struct tensor *const *x, int count,
                    const struct tensor *y) {
    int64_t steps[BROADCAST_INPUTS_MAX][TENSOR_RANK_MAX];
    assert(count <= BROADCAST_INPUTS_MAX);
    *plan = (struct broadcast){.count = count, .line = 1};
    for (int i = 0; i < count; i++) {
        int64_t step = 1;
        for (int axis = y->rank - 1; axis >= 0; axis--) {
            int64_t dim = dim_at(x[i], y->rank, axis);
            steps[i][axis] = dim == 1 ? 0 : step;
            step = product(step, dim);
        }
    }
    for (int axis = 0; axis < y->rank; axis++) {
        int64_t step[BROADCAST_INPUTS_MAX];
        for (int i = 0; i < count; i++) {
            step[i] = steps[i][axis];
        }
        if (y->dims[axis] == 1 || join(plan, y->dims[axis], step)) {
            continue;
        }
        plan->dims[plan->rank] = y->dims[axis];
        for (int i = 0; i < count; i++) {
            plan->step[i][plan->rank] = step[i];
        }
        plan->rank++;
    }
    if (plan->rank > 0) {
        plan->line = plan->dims[--plan->rank];
        for (int i = 0; i < count; i++) {
            plan->line_step[i] = plan->step[i][plan->rank];
        }
    }
}

bool broadcast_any(const struct broadcast *plan) {
    for (int i = 0; i < plan->rank; i++) {
        if (plan->dims[i] == 0) {
            return false;
        }
    }
    return plan->line > 0;
}

bool broadcast_next(const struct broadcast *plan, struct broadcast_walk *walk) {
    int axis = plan->rank - 1;
    walk->out += plan->line;
    while (axis >= 0 && ++walk->index[axis] == plan->dims[axis]) {
        for (int i = 0; i < plan->count; i++) {
            walk->at[i] -= (plan->dims[axis] - 1) * plan->step[i][axis];
        }
        walk->index[axis--] = 0;
    }
    if (axis < 0) {
        return false;
    }
    for (int i = 0; i < plan->count; i++) {
        walk->at[i] += plan->step[i][axis];
    }
    return true;
}
