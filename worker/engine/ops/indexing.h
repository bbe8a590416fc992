/* indexing.h - where the elements lie that index tensors choose: for Gather* and
 * Scatter*.
 *
 * Depends on: engine/op.h.
 * Ownership: plain data.
 * Threads: as the node that runs. */
#ifndef MILLRACE_ENGINE_OPS_INDEXING_H
#define MILLRACE_ENGINE_OPS_INDEXING_H

#include "engine/op.h"

/* indices[i, j, k] stands for x[indices[i, j, k], j, k], along any one axis. */
struct indexing {
    const struct exec *exec;
    const struct tensor *indices;
    int axis, rank;
    int64_t dim; /* of x along the axis */
    int64_t steps[TENSOR_RANK_MAX];
    int64_t place[TENSOR_RANK_MAX];
};

/* STATUS_POISON where `indices` do not fit into `x`. */
MUST_CHECK enum status indexing_check_elements(const struct exec *exec,
                                               const struct tensor *x,
                                               const struct tensor *indices,
                                               struct error *err);
enum status indexing_misfit(const struct exec *exec, const struct tensor *x,
                            const struct tensor *indices, struct error *err);

MUST_CHECK enum status indexing_init(struct indexing *walk, const struct exec *exec,
                                     const struct tensor *x, const struct tensor *indices,
                                     int64_t axis, struct error *err);

/* The element of x that index `i` stands for; call for i = 0, 1, .. in order. */
MUST_CHECK enum status indexing_next(struct indexing *walk, size_t i, int64_t *at,
                                     struct error *err);

/* Tuples of indices, each choosing a slice of x. */
struct indexing_nd {
    const struct tensor *indices;
    int width;             /* of a tuple */
    int64_t tuples, slice; /* how many, and elements of a slice */
    int64_t per_batch;     /* tuples of a batch item */
    int64_t batch_step;    /* elements of x in one */
    int64_t steps[TENSOR_RANK_MAX], dims[TENSOR_RANK_MAX];
};

/* Shapes must fit: see gather_elements.c. */
struct indexing_nd indexing_nd_init(const struct tensor *x, const struct tensor *indices,
                                    int batch_dims);
MUST_CHECK enum status indexing_nd_at(const struct indexing_nd *walk,
                                      const struct exec *exec, int64_t tuple, int64_t *at,
                                      struct error *err);

#endif
