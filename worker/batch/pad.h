/* pad.h - rows of different lengths in one batch.
 *
 * Where a model's rows have one free dimension, a sequence's steps, rows are filled up
 * with zeros to the next of a few lengths, and what comes of the model is cut back:
 *
 *     job:    | 7 3 9 |            length 3
 *     row:    | 7 3 9 0 0 0 0 0 |  padded to 8, as are all rows of its batch
 *     answer: | a b c |            of an output that has the length, too
 *
 * That is right for models that do not look at what is zero: by a mask among their
 * inputs, or one that they make.  The worker tries it at start (app/padding.h).
 *
 * Depends on: batch/batch.h.
 * Ownership: none.
 * Threads: pure functions. */
#ifndef MILLRACE_BATCH_PAD_H
#define MILLRACE_BATCH_PAD_H

#include "batch/batch.h"

/* Sets the padded dimension of every input in `shapes` to the length that the rows are
 * filled up to, that one's index to *index, and to *length what it was. STATUS_POISON
 * where inputs have different lengths, or one is 0 or longer than the longest. */
MUST_CHECK enum status pad_shapes(const struct batch_model *model,
                                  struct row_shape *shapes, int64_t *length, int *index,
                                  struct error *err);

/* The shapes of the model's own rows, those of `length` steps where they are padded;
 * other free dimensions stay negative. */
void pad_own_shapes(const struct batch_model *model, int64_t length,
                    struct row_shape *shapes);

/* Where the length lies in a tensor: `count` pieces of `size` bytes for each step. */
struct pad_layout {
    size_t count, size;
};

/* Of one row of the dtype, with the length at dims[axis]. */
struct pad_layout pad_layout(enum dtype dtype, const int64_t *dims, int rank, int axis);

/* `count` pieces of `length` steps each, one behind the other, become pieces of `padded`
 * steps; and the way back. */
void pad_spread(void *data, struct pad_layout layout, int64_t length, int64_t padded);
void pad_cut(void *data, struct pad_layout layout, int64_t length, int64_t padded);

#endif
