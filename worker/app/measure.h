/* measure.h - what batches of a model cost here, and how large they are to be for that.
 *
 * Depends on: batch/cost.h, batch/learn.h, engine/session.h.
 * Ownership: as the caller's structs say.
 * Threads: the one that loads the model; measure_now_ns and measure_learn on any. */
#ifndef MILLRACE_APP_MEASURE_H
#define MILLRACE_APP_MEASURE_H

#include "app/metrics.h"
#include "batch/batch.h"
#include "engine/session.h"

/* Runs batches of `zeros`, which has rows_max rows, for budget_us at most and a single
 * row; *cost has no points where the model cannot compute with zeros. */
void measure_cost(struct cost *cost, struct session *session, const struct batch *zeros,
                  int64_t budget_us);

/* A line with the curve and what was chosen, or one for each length that rows are padded
 * to. */
void measure_log(const struct batch_model *model);

/* The same as figures of the model of that index; none where it has to be learned. */
void measure_show(const struct batch_model *model, struct metrics *metrics, size_t index);

/* Time that this thread has used: a busy machine does not make a model slower. */
int64_t measure_now_ns(void);

/* A batch whose model learns was run whole and took so long. */
void measure_learn(const struct batch *batch, int64_t ns, struct metrics *metrics);

#endif
