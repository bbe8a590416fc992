/* cost.h - what a batch costs by its rows, and which sizes are worth aiming at.
 *
 * Measured at a few sizes (cost_measure), straight lines between them.  To every batch
 * comes what its way through the worker costs, so that the tiniest models are not run row
 * by row.
 *
 * Depends on: base/compiler.h.
 * Ownership: plain data.
 * Threads: one writes, before others read. */
#ifndef MILLRACE_BATCH_COST_H
#define MILLRACE_BATCH_COST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

#define COST_POINTS_MAX 14 /* 1, 2, 4 .. 4096, and one that is no power of two */
#define COST_OF_A_BATCH_NS \
    20000 /* hand-overs, wake-ups and counting, whatever its size */

struct cost {
    int count;                 /* 0: not measured */
    int rows[COST_POINTS_MAX]; /* rising */
    int64_t ns[COST_POINTS_MAX];
};

/* 1, 2, 4 and so on up to rows_max, which is the last; returns how many. */
int cost_sizes(int rows_max, int sizes[COST_POINTS_MAX]);

/* `rows` is more than those of the point before. */
void cost_add(struct cost *cost, int rows, int64_t ns);

/* What is measured, and by which clock. */
struct cost_probe {
    bool (*run)(void *opaque, int rows); /* false where it cannot be run */
    int64_t (*now_us)(void *opaque);
    void *opaque;
    int rows_max;
    int64_t budget_us; /* ends before a size that is expected to pass it */
};

/* Runs batches of all sizes, small ones first and each a few times if it is quick. */
void cost_measure(struct cost *cost, const struct cost_probe *probe);

/* What a batch of `rows` is expected to take; beyond the largest measured in proportion;
 * 0 where nothing was measured. */
int64_t cost_ns(const struct cost *cost, int rows);

/* The smallest measured size whose rows are, but for a few per cent, as cheap as any; and
 * the largest that does not take twice as long as a single row, nor more than that. 0
 * where nothing was measured. */
int cost_best_throughput(const struct cost *cost);
int cost_best_latency(const struct cost *cost);

/* The most rows, up to rows_max and at least 1, expected to take no longer than `ns`. */
int cost_rows_within(const struct cost *cost, int rows_max, int64_t ns);

#endif
