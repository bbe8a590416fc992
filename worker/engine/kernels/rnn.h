/* rnn.h - one direction of an RNN, GRU or LSTM over all its time steps, float32.
 *
 * Gate order and formulas are ONNX's: LSTM i,o,f,c; GRU z,r,h.  Weights, recurrence and
 * biases are packed into one block at load.  A sequence's result does not depend on
 * the others in its batch.
 *
 * Depends on: engine/kernels/act.h.
 * Ownership: all memory is the caller's; rnn_run allocates nothing.
 * Threads: any; packed weights are read-only, scratch belongs to one call at a time. */
#ifndef MILLRACE_ENGINE_KERNELS_RNN_H
#define MILLRACE_ENGINE_KERNELS_RNN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/kernels/act.h"

enum rnn_kind { RNN_PLAIN, RNN_GRU, RNN_LSTM, RNN_KIND_COUNT };

/* Fixed at load. */
struct rnn {
    enum rnn_kind kind;
    int64_t input, hidden;    /* sizes of x_t and of h */
    struct act act[3];        /* f, g, h as ONNX names them: plain uses f; GRU f, g;
                                 LSTM f, g, h */
    float clip;               /* gate inputs are clipped to +-clip; 0 for none */
    bool linear_before_reset; /* GRU */
    bool input_forget;        /* LSTM: f = 1 - i */
};

/* Gates: 1, 3 or 4. */
int64_t rnn_gates(enum rnn_kind kind);

/* Bytes of packed weights, aligned to 64; SIZE_MAX where that overflows. */
size_t rnn_pack_size(const struct rnn *rnn);

/* w [gates*hidden, input], r [gates*hidden, hidden], b [2*gates*hidden] (the biases of
 * w, then of r) or NULL, p [3*hidden] (LSTM peepholes i,o,f) or NULL: ONNX's W, R, B, P
 * of one direction. */
void rnn_pack(const struct rnn *rnn, const float *w, const float *r, const float *b,
              const float *p, float *packed);

/* One call.  Distances are in elements: the row of sequence s at time t is
 * x + t * x_step + s * x_row, so both of ONNX's layouts fit:
 *     layout 0  x [steps, batch, input]:  x_step = batch*input, x_row = input
 *     layout 1  x [batch, steps, input]:  x_step = input, x_row = steps*input */
struct rnn_call {
    int64_t steps, batch;
    const float *x;
    int64_t x_step, x_row;
    float *y; /* each h_t [hidden], or NULL if only the last is wanted */
    int64_t y_step, y_row;
    const float *h0, *c0; /* [batch, hidden] or NULL for zeros; c0: LSTM */
    float *h, *c; /* last states [batch, hidden] or NULL; not overlapping h0, c0 */
    const int32_t *lengths; /* [batch], each 0..steps (others are clamped), or NULL for
                               steps.  Past it y is 0 and h, c keep the last values */
    bool reverse;           /* time runs from lengths[s]-1 down to 0 */
};

/* Bytes of scratch for up to `batch` sequences, aligned to 64. */
size_t rnn_scratch_size(const struct rnn *rnn, int64_t batch);

void rnn_run(const struct rnn *rnn, const float *packed, const struct rnn_call *call,
             void *scratch);

#endif
