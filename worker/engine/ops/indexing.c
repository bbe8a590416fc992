/* indexing.c - see indexing.h. */
#include "engine/ops/indexing.h"

#include "engine/ops/strided.h"

static int64_t index_at(const struct tensor *indices, size_t i) {
    return indices->dtype == DTYPE_I64 ? ((const int64_t *)indices->data)[i]
                                       : ((const int32_t *)indices->data)[i];
}

static enum status outside(const struct exec *exec, int64_t dim, struct error *err) {
    return node_error(exec->node, err, STATUS_POISON, "an index is outside [-%lld, %lld)",
                      (long long)dim, (long long)dim);
}

enum status indexing_misfit(const struct exec *exec, const struct tensor *x,
                            const struct tensor *indices, struct error *err) {
    char a[TENSOR_SHAPE_TEXT_MAX], b[TENSOR_SHAPE_TEXT_MAX];
    return node_error(exec->node, err, STATUS_POISON,
                      "indices of shape %s do not fit into %s",
                      tensor_shape_text(indices->dims, indices->rank, a, sizeof(a)),
                      tensor_shape_text(x->dims, x->rank, b, sizeof(b)));
}

enum status indexing_check_elements(const struct exec *exec, const struct tensor *x,
                                    const struct tensor *indices, struct error *err) {
    return x->rank == indices->rank && x->rank > 0
               ? STATUS_OK
               : indexing_misfit(exec, x, indices, err);
}

enum status indexing_init(struct indexing *walk, const struct exec *exec,
                          const struct tensor *x, const struct tensor *indices,
                          int64_t axis, struct error *err) {
    enum status status;
    *walk = (struct indexing){.exec = exec, .indices = indices, .rank = x->rank};
    status = exec_axis(exec, axis, x->rank, &walk->axis, err);
    if (status != STATUS_OK) {
        return status;
    }
    for (int i = 0; i < x->rank; i++) {
        if (i != walk->axis && indices->dims[i] > x->dims[i]) {
            return indexing_misfit(exec, x, indices, err);
        }
    }
    walk->dim = x->dims[walk->axis];
    strided_dense(x->dims, x->rank, walk->steps);
    return STATUS_OK;
}

enum status indexing_next(struct indexing *walk, size_t i, int64_t *at,
                          struct error *err) {
    int64_t index = index_at(walk->indices, i);
    index += index < 0 ? walk->dim : 0;
    if (index < 0 || index >= walk->dim) {
        return outside(walk->exec, walk->dim, err);
    }
    *at = index * walk->steps[walk->axis];
    for (int k = 0; k < walk->rank; k++) {
        *at += k == walk->axis ? 0 : walk->place[k] * walk->steps[k];
    }
    for (int k = walk->rank - 1; k >= 0; k--) { /* on to the next place */
        if (++walk->place[k] < walk->indices->dims[k]) {
            break;
        }
        walk->place[k] = 0;
    }
    return STATUS_OK;
}

struct indexing_nd indexing_nd_init(const struct tensor *x, const struct tensor *indices,
                                    int batch_dims) {
    struct indexing_nd walk = {.indices = indices,
                               .width = (int)indices->dims[indices->rank - 1],
                               .tuples = 1,
                               .slice = 1,
                               .per_batch = 1,
                               .batch_step = 1};
    int64_t steps[TENSOR_RANK_MAX];
    strided_dense(x->dims, x->rank, steps);
    for (int i = 0; i < indices->rank - 1; i++) {
        walk.tuples *= indices->dims[i];
        walk.per_batch *= i < batch_dims ? 1 : indices->dims[i];
    }
    for (int i = batch_dims; i < x->rank; i++) {
        walk.batch_step *= x->dims[i];
        walk.slice *= i < batch_dims + walk.width ? 1 : x->dims[i];
    }
    for (int i = 0; i < walk.width; i++) {
        walk.steps[i] = steps[batch_dims + i];
        walk.dims[i] = x->dims[batch_dims + i];
    }
    return walk;
}

enum status indexing_nd_at(const struct indexing_nd *walk, const struct exec *exec,
                           int64_t tuple, int64_t *at, struct error *err) {
    *at = tuple / walk->per_batch * walk->batch_step;
    for (int i = 0; i < walk->width; i++) {
        int64_t index = index_at(walk->indices, (size_t)(tuple * walk->width + i));
        index += index < 0 ? walk->dims[i] : 0;
        if (index < 0 || index >= walk->dims[i]) {
            return outside(exec, walk->dims[i], err);
        }
        *at += index * walk->steps[i];
    }
    return STATUS_OK;
}
