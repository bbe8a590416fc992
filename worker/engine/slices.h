/* slices.h - which nodes take a batch slice by slice, and how many rows at a time.
 *
 * What a node reads and makes for a large batch outgrows the cache, and the next node
 * finds none of it there.  A few rows at a time stay; but then weights pass once for each
 * slice, and where the number of rows changes values pass through memory.  slices_plan
 * weighs these against each other, in bytes that have to come from further away than
 * the near cache.
 *
 * A pure function of its arguments; the shortest way through (step, rows) finds the least
 * sum.
 *
 * Depends on: base/.
 * Ownership: arrays are the caller's.
 * Threads: pure. */
#ifndef MILLRACE_ENGINE_SLICES_H
#define MILLRACE_ENGINE_SLICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

/* In bytes. */
struct slice_costs {
    double near, far; /* sizes of a core's own cache, and of its share of the next */
    double call;      /* what calling a node once more is worth */
};

/* One node. */
struct slice_step {
    bool apart;        /* its rows may be computed slice by slice */
    double row_bytes;  /* a row of what it reads and makes; 0 where it computes nothing */
    double kept_bytes; /* a row of all that was made and is read by later nodes */
    double weight_bytes;
};

/* Those of this machine. */
struct slice_costs slices_costs(void);

/* rows[i]: how many rows step i takes at a time, `batch` for all.  False where nothing is
 * to be gained, or memory is short. */
MUST_CHECK bool slices_plan(const struct slice_costs *costs,
                            const struct slice_step *steps, int count, int64_t batch,
                            int64_t *rows);

/* The number of rows, at most `most`, that fits a batch best: the last slice is moved
 * back to end with the batch, so that few rows should be left over. */
int64_t slices_fit(int64_t batch, int64_t most);

#endif
