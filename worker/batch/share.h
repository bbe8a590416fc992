/* share.h - whose batch is run next, where several models share the compute threads.
 *
 * Each model has a clock of its own that goes on by what its batches cost, slower the
 * more weight it has; the one whose clock is furthest behind is next.  So models that
 * always have work get the threads in proportion to their weights, whatever a batch of
 * each costs, and one that had nothing to do is next when it has, but saves nothing up.
 *
 * Depends on: base/compiler.h.
 * Ownership: plain data.
 * Threads: one at a time. */
#ifndef MILLRACE_BATCH_SHARE_H
#define MILLRACE_BATCH_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

#define SHARE_WEIGHT_MAX 1000

struct share {
    int weight;    /* 1 .. SHARE_WEIGHT_MAX */
    int waiting;   /* batches that could be run now */
    int64_t clock; /* in microseconds of a model of weight 1 */
};

struct shares {
    struct share *items; /* borrowed; by model */
    int count;
    int64_t clock; /* of the one that was taken last, at that time */
};

/* A batch of the model can be run. */
void share_add(struct shares *shares, int model);

/* The model whose turn it is, of those with a batch, -1 if none has; one of its batches
 * is gone then. */
int share_take(struct shares *shares);

/* The model's batches cost that much more than what it was charged before; a negative
 * cost takes back what was too much. */
void share_charge(struct shares *shares, int model, int64_t cost_us);

/* Where urgent work goes first, ordinary work is passed over SHARE_PASSED_MAX times at
 * most: whether it is the urgent one's turn.  `passed` counts. */
#define SHARE_PASSED_MAX 8
bool share_urgent_first(int *passed, bool urgent, bool ordinary);

#endif
