/* measure.h - what batches of a model cost here, and how large they are to be for that.
 *
 * Depends on: batch/cost.h, engine/session.h.
 * Ownership: as the caller's structs say.
 * Threads: the one that loads the model. */
#ifndef MILLRACE_APP_MEASURE_H
#define MILLRACE_APP_MEASURE_H

#include "app/metrics.h"
#include "batch/batch.h"
#include "engine/session.h"

/* Runs batches of `zeros`, which has rows_max rows, for budget_us at most and a single
 * row; *cost has no points where the model cannot compute with zeros. */
void measure_cost(struct cost *cost, struct session *session, const struct batch *zeros,
                  int64_t budget_us);

/* Sets *aim: to batch_size, or if that is 0 to the best sizes by the cost, or to
 * rows_max; not beyond what takes slice_ms, unless that is 0 or
 * batch_size says how large. */
void measure_aim(struct batch_aim *aim, const struct cost *cost, int rows_max,
                 int batch_size, int slice_ms);

/* A line with the curve and what was chosen, or one for each length that rows are padded
 * to. */
void measure_log(const struct batch_model *model);

/* The same as figures of the model of that index. */
void measure_show(const struct batch_model *model, struct metrics *metrics, size_t index);

#endif
