/* learn.h - what batches cost where that could not be measured at start: learned from
 * those that are run.
 *
 * Where jobs choose the shape of their rows (free dimensions besides the batch), or zeros
 * are no values that the model computes with, nothing can be measured before jobs come.
 * Rows are told apart by their size: those of one kind are at most twice as large as each
 * other.  The first full batches of a kind climb 1, 2, 4 .. rows, as a measurement at
 * start would, but with work in them; from then on sizes follow the curve (batch_aim_by),
 * which every batch keeps up to date.  Now and then a batch of twice the rows is tried,
 * so that a size that once had bad luck is not given up for ever.
 *
 * Depends on: batch/batch.h.
 * Ownership: made with a version of a model, for as long as it.
 * Threads: any; it holds its own mutex. */
#ifndef MILLRACE_BATCH_LEARN_H
#define MILLRACE_BATCH_LEARN_H

#include "batch/batch.h"

#define LEARN_KINDS 32       /* of rows of 1, 2 to 3, 4 to 7 .. bytes; the last: more */
#define LEARN_RUNS 2         /* of a size before the next: the first finds caches cold */
#define LEARN_PROBE 64       /* batches, of which one may become twice as large */
#define LEARN_LONGEST_MS 250 /* no size is tried that is expected to take longer */

struct learn_opts {
    int rows_max;
    int batch_size; /* as configured; 0: by the cost */
    int slice_ms;   /* no batch is to take longer; 0: as long as it likes */
};

/* What there is to tell after a batch. */
struct learned {
    bool complete;    /* just now: every size has been tried that may be */
    bool usual;       /* most batches are of this kind */
    int64_t row_size; /* bytes of its rows are below */
    struct cost cost;
    struct batch_aim aim;
};

MUST_CHECK enum status learn_create(const struct learn_opts *opts, struct learn **learn,
                                    struct error *err);
/* Accepts NULL. */
void learn_destroy(struct learn *learn);

/* The kind of rows of so many bytes, of those inputs whose shape is free. */
int learn_kind(size_t row_size);

/* How large a batch is to be that is begun now. */
struct batch_aim learn_aim(struct learn *learn, int kind);

/* What a batch is expected to take; 0: none of the kind has been run. */
int64_t learn_ns(struct learn *learn, int kind, int rows);

/* A batch was run whole and took so long.  True where *learned is worth telling, which is
 * not after every batch. */
MUST_CHECK bool learn_note(struct learn *learn, int kind, int rows, int64_t ns,
                           struct learned *learned);

#endif
