/* fill.h - a job's elements, on their way into rows of batches.
 *
 *     fill_open    which tensor is which input, the rows' shapes, how many rows
 *     fill_stage   a job of several rows: all elements checked and put in place, before
 *                  the first of its rows is in a batch
 *     fill_rows    some of its rows into a batch
 *
 * Depends on: batch/batch.h, codec/job.h.
 * Ownership: a fill borrows the job; struct fill_stage owns its memory, and the last
 * fill that was staged borrows it.
 * Threads: one at a time. */
#ifndef MILLRACE_BATCH_FILL_H
#define MILLRACE_BATCH_FILL_H

#include "batch/batch.h"
#include "codec/job.h"

struct fill {
    const struct batch_model *model;
    const struct job *job;
    int of_input[MODEL_INPUTS_MAX];            /* of_input[i] indexes job->inputs */
    struct row_shape shapes[MODEL_INPUTS_MAX]; /* as in the batch: padded */
    int64_t length;                 /* before that; 0 where nothing is padded */
    int length_index;               /* of the model's pad, or -1 */
    int rows;                       /* at least 1 */
    bool many;                      /* its tensors have the dimension of the rows */
    void *staged[MODEL_INPUTS_MAX]; /* all rows' elements; NULL: straight from the job */
};

struct fill_stage {
    void *data[MODEL_INPUTS_MAX]; /* owned; grows to the largest job seen */
    size_t room[MODEL_INPUTS_MAX];
};

/* Accepts a zeroed stage. */
void fill_stage_release(struct fill_stage *stage);

/* STATUS_POISON where names, shapes or numbers of rows do not go with the model. */
MUST_CHECK enum status fill_open(struct fill *fill, const struct batch_model *model,
                                 const struct job *job, struct error *err);

/* STATUS_POISON for elements that do not fit or that the model refuses. */
MUST_CHECK enum status fill_stage(struct fill *fill, struct fill_stage *stage,
                                  struct error *err);

/* Rows `first` to first + count - 1 of the job, behind the last row of the batch, without
 * counting them.  Cannot fail once staged; otherwise as fill_stage, and for the only row.
 */
MUST_CHECK enum status fill_rows(const struct fill *fill, int first, int count,
                                 const struct batch *batch, struct error *err);

#endif
