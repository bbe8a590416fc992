/* model_batching.h - does a row's answer depend on the batch that it is in?
 *
 * Runs each row of some inputs alone, then all of them mixed in batches of several sizes,
 * and compares what comes out row by row.
 *
 * Depends on: engine/session.h.
 * Ownership: all is borrowed for the call.
 * Threads: that of the session. */
#ifndef MILLRACE_TOOLS_MODEL_BATCHING_H
#define MILLRACE_TOOLS_MODEL_BATCHING_H

#include "engine/session.h"

/* STATUS_INVALID where a row in a batch is further from the row alone than `tolerance`
 * times the largest element of that output; 0 asks for the same numbers.  A model with an
 * input whose first dimension is fixed has no batches, and passes; outputs that have not
 * one row for each of the inputs' are passed over. */
MUST_CHECK enum status batching_check(const struct model *model, struct session *session,
                                      const struct tensor *inputs, double tolerance,
                                      struct error *err);

#endif
