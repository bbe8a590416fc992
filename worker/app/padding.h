/* padding.h - what there is to know of a model whose rows are padded (batch/pad.h).
 *
 * At start a made-up row is run alone and padded: that tells which dimension of each
 * output is the length, and whether the answers stay what they were, which depends on
 * the model: it has to mask what is padded.
 *
 * Depends on: config, batch/pad.h, engine/session.h.
 * Ownership: none; memory of the trial is given back.
 * Threads: the one that loads the model. */
#ifndef MILLRACE_APP_PADDING_H
#define MILLRACE_APP_PADDING_H

#include "batch/batch.h"
#include "config/config.h"
#include "engine/session.h"

/* Sets the lengths of item->pad and the inputs that have them. STATUS_INVALID where none
 * has a free dimension, STATUS_UNSUPPORTED where one has several. */
MUST_CHECK enum status padding_inputs(struct batch_model *item,
                                      const struct config_model *config,
                                      struct error *err);

/* Sets the outputs that have the length, by a trial. STATUS_INVALID where padding changes
 * answers and pad_check refuses that; STATUS_UNSUPPORTED where an answer cannot be cut
 * back. */
MUST_CHECK enum status padding_outputs(struct batch_model *item,
                                       enum config_pad_check check,
                                       struct session *session, struct error *err);

#endif
