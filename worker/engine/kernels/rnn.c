/* rnn.c - see rnn.h.
 *
 * For each piece of time steps: the input's part of all gates in one product, because
 * it depends on no state; then step by step the state's part and the gates' functions.
 *
 *     packed    W | R (GRU: R of z,r | R of h) | bias | GRU: bias of R_h | peepholes
 *     scratch   gates of a piece | gathered x | h | c, or GRU's r*h */
#include "engine/kernels/rnn.h"

#include <assert.h>
#include <string.h>

#include "base/compiler.h"
#include "base/size.h"
#include "engine/kernels/gemm.h"
#include "engine/kernels/kernels.h"

/* Rows of the input product made at once, where the batch is smaller. */
#define PIECE_ROWS 64

static const int64_t gate_counts[] = {[RNN_PLAIN] = 1, [RNN_GRU] = 3, [RNN_LSTM] = 4};
_Static_assert(ARRAY_COUNT(gate_counts) == RNN_KIND_COUNT, "every kind has gates");

int64_t rnn_gates(enum rnn_kind kind) {
    return gate_counts[kind];
}

static int64_t min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t max64(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* Places of the parts of the packed block, in floats. */
struct parts {
    size_t w, r, r_h, bias, bias_h, peepholes, count;
};

/* `size` bytes at the end of what *count floats hold; sticks at SIZE_MAX. */
static size_t place(size_t *count, size_t size) {
    const size_t at = *count;
    if (size > SIZE_MAX / 2 || !size_add(*count, size / sizeof(float), count) ||
        *count > SIZE_MAX / 8) {
        *count = SIZE_MAX / 8;
    }
    return at;
}

/* Bytes of a x b floats in whole cache lines; SIZE_MAX where too many. */
static size_t floats_size(int64_t a, int64_t b) {
    size_t size = 0;
    if (!size_mul((size_t)a, (size_t)b, &size) || !size_mul(size, sizeof(float), &size) ||
        size > SIZE_MAX - CACHE_LINE) {
        return SIZE_MAX;
    }
    return size_align(size, CACHE_LINE);
}

static struct parts parts_of(const struct rnn *rnn) {
    const int64_t hidden = rnn->hidden, gates = rnn_gates(rnn->kind);
    const bool gru = rnn->kind == RNN_GRU;
    struct parts p = {0};
    p.w = place(&p.count, gemm_pack_size(rnn->input, gates * hidden));
    p.r = place(&p.count, gemm_pack_size(hidden, (gru ? 2 : gates) * hidden));
    p.r_h = place(&p.count, gru ? gemm_pack_size(hidden, hidden) : 0);
    p.bias = place(&p.count, floats_size(gates, hidden));
    p.bias_h = place(&p.count, gru ? floats_size(hidden, 1) : 0);
    p.peepholes = place(&p.count, rnn->kind == RNN_LSTM ? floats_size(3, hidden) : 0);
    return p;
}

size_t rnn_pack_size(const struct rnn *rnn) {
    const size_t count = parts_of(rnn).count;
    return count >= SIZE_MAX / 8 ? SIZE_MAX : count * sizeof(float);
}

void rnn_pack(const struct rnn *rnn, const float *w, const float *r, const float *b,
              const float *p, float *packed) {
    const struct parts at = parts_of(rnn);
    const int64_t hidden = rnn->hidden, count = rnn_gates(rnn->kind) * hidden;
    const bool gru = rnn->kind == RNN_GRU;
    gemm_pack(rnn->input, count, w, rnn->input, true, packed + at.w);
    gemm_pack(hidden, gru ? 2 * hidden : count, r, hidden, true, packed + at.r);
    memset(packed + at.bias, 0, (at.count - at.bias) * sizeof(*packed));
    if (gru) {
        gemm_pack(hidden, hidden, r + 2 * hidden * hidden, hidden, true, packed + at.r_h);
    }
    for (int64_t i = 0; i < count && b != NULL; i++) {
        /* What the reset gate scales is added later. */
        const bool later = gru && rnn->linear_before_reset && i >= 2 * hidden;
        packed[at.bias + (size_t)i] = later ? b[i] : b[i] + b[count + i];
        if (later) {
            packed[at.bias_h + (size_t)(i - 2 * hidden)] = b[count + i];
        }
    }
    if (p != NULL) {
        assert(rnn->kind == RNN_LSTM);
        memcpy(packed + at.peepholes, p, (size_t)(3 * hidden) * sizeof(*p));
    }
}

/* A run: the call, and where its memory lies. */
struct run {
    const struct rnn *rnn;
    const struct rnn_call *call;
    const float *w, *r, *r_h, *bias, *bias_h, *peepholes;
    int64_t width; /* gates * hidden */
    bool usual;    /* an LSTM or GRU of sigmoid and tanh, without extras */
    int64_t piece; /* time steps in a piece */
    float *gates;  /* [piece * batch, width] */
    float *x;      /* [batch, input], where steps differ by sequence */
    float *h, *c;  /* [batch, hidden]; c also holds GRU's products */
};

size_t rnn_scratch_size(const struct rnn *rnn, int64_t batch) {
    size_t count = 0;
    (void)place(&count, floats_size(max64(batch, PIECE_ROWS),
                                    rnn_gates(rnn->kind) * rnn->hidden));
    (void)place(&count, floats_size(batch, rnn->input));
    (void)place(&count, floats_size(batch, rnn->hidden));
    (void)place(&count, floats_size(batch, rnn->hidden));
    return count >= SIZE_MAX / 8 ? SIZE_MAX : count * sizeof(float);
}

static bool is_usual(const struct rnn *rnn, const float *peepholes) {
    const bool lstm = rnn->kind == RNN_LSTM;
    bool usual = rnn->kind != RNN_PLAIN && rnn->act[0].kind == ACT_SIGMOID &&
                 rnn->act[1].kind == ACT_TANH && !(rnn->clip > 0.0F);
    if (lstm) {
        usual = usual && rnn->act[2].kind == ACT_TANH && !rnn->input_forget;
    }
    for (int64_t i = 0; lstm && i < 3 * rnn->hidden && usual; i++) {
        usual = peepholes[i] == 0.0F;
    }
    return usual;
}

/* Whether x of a piece's steps lies as one matrix; its row distance. */
static bool is_matrix(const struct rnn_call *call, int64_t *row) {
    *row = call->batch == 1 ? call->x_step : call->x_row;
    return call->batch == 1 || call->x_step == call->batch * call->x_row;
}

static struct run run_of(const struct rnn *rnn, const float *packed,
                         const struct rnn_call *call, float *scratch) {
    const struct parts at = parts_of(rnn);
    const int64_t batch = call->batch, hidden = rnn->hidden;
    struct run run = {.rnn = rnn, .call = call, .width = rnn_gates(rnn->kind) * hidden};
    int64_t row;
    run.w = packed + at.w;
    run.r = packed + at.r;
    run.r_h = packed + at.r_h;
    run.bias = packed + at.bias;
    run.bias_h = packed + at.bias_h;
    run.peepholes = packed + at.peepholes;
    run.usual = is_usual(rnn, run.peepholes);
    run.piece = is_matrix(call, &row) && !(call->reverse && call->lengths != NULL)
                    ? max64(PIECE_ROWS / batch, 1)
                    : 1;
    size_t count = 0;
    run.gates = scratch + place(&count, floats_size(max64(batch, PIECE_ROWS), run.width));
    run.x = scratch + place(&count, floats_size(batch, rnn->input));
    run.h = scratch + place(&count, floats_size(batch, hidden));
    run.c = scratch + place(&count, floats_size(batch, hidden));
    return run;
}

static int64_t length_of(const struct rnn_call *call, int64_t sequence) {
    if (call->lengths == NULL) {
        return call->steps;
    }
    return max64(0, min64(call->lengths[sequence], call->steps));
}

/* The time at which sequence s is in its step-th step; meaningless past its end. */
static int64_t time_of(const struct rnn_call *call, int64_t s, int64_t step) {
    return call->reverse ? length_of(call, s) - 1 - step : step;
}

/* The input's part of the gates, of steps first .. first + count in order of time:
 * running backwards, the piece's last step comes first. */
static void input_gates(const struct run *run, int64_t first, int64_t count) {
    const struct rnn *rnn = run->rnn;
    const struct rnn_call *call = run->call;
    const struct gemm_tail tail = {.alpha = 1.0F, .bias = run->bias};
    const float *x = run->x;
    int64_t row = rnn->input;
    if (call->reverse && call->lengths != NULL) {
        for (int64_t s = 0; s < call->batch; s++) {
            const int64_t time = max64(time_of(call, s, first), 0);
            memcpy(run->x + s * row, call->x + time * call->x_step + s * call->x_row,
                   (size_t)row * sizeof(*x));
        }
    } else {
        (void)is_matrix(call, &row);
        const int64_t time = call->reverse ? call->steps - first - count : first;
        x = call->x + time * call->x_step;
    }
    gemm_run(count * call->batch, run->width, rnn->input, x, row, run->w, &tail,
             run->gates, run->width);
}

static void clip(const struct rnn *rnn, int64_t count, float *gates) {
    if (rnn->clip > 0.0F) {
        const struct act act = {.kind = ACT_CLIP, .alpha = -rnn->clip, .beta = rnn->clip};
        act_run(&act, count, gates, gates);
    }
}

static void add_products(int64_t count, const float *a, const float *b, float *y) {
    kernels_current()->mul_add(count, a, b, y);
}

/* Any LSTM cell of one sequence. */
static void lstm_any(const struct run *run, float *gates, float *c, float *h) {
    const struct rnn *rnn = run->rnn;
    const int64_t hidden = rnn->hidden;
    float *in = gates, *out = in + hidden, *forget = out + hidden,
          *fresh = forget + hidden;
    const float *p = run->peepholes;
    add_products(hidden, p, c, in);
    add_products(hidden, p + 2 * hidden, c, forget);
    clip(rnn, hidden, in);
    clip(rnn, 2 * hidden, forget); /* and fresh */
    act_run(&rnn->act[0], hidden, in, in);
    act_run(&rnn->act[0], hidden, forget, forget);
    act_run(&rnn->act[1], hidden, fresh, fresh);
    for (int64_t j = 0; j < hidden; j++) {
        const float keep = rnn->input_forget ? 1.0F - in[j] : forget[j];
        c[j] = keep * c[j] + in[j] * fresh[j];
    }
    add_products(hidden, p + hidden, c, out);
    clip(rnn, hidden, out);
    act_run(&rnn->act[0], hidden, out, out);
    act_run(&rnn->act[2], hidden, c, h);
    ew_binary(EW_MUL, EW_BOTH, hidden, h, out, h);
}

/* Where h of this step goes beside the state: y, or the state itself if y is not
 * wanted. */
static float *output_of(const struct run *run, int64_t s, int64_t step) {
    const struct rnn_call *call = run->call;
    if (call->y == NULL) {
        return run->h + s * run->rnn->hidden;
    }
    return call->y + time_of(call, s, step) * call->y_step + s * call->y_row;
}

static void lstm_step(const struct run *run, int64_t step, float *gates) {
    const struct gemm_tail tail = {.alpha = 1.0F, .accumulate = true};
    const int64_t batch = run->call->batch, hidden = run->rnn->hidden;
    gemm_run(batch, run->width, hidden, run->h, hidden, run->r, &tail, gates, run->width);
    for (int64_t s = 0; s < batch; s++, gates += run->width) {
        float *c = run->c + s * hidden, *h = run->h + s * hidden;
        if (step >= length_of(run->call, s)) {
            continue;
        }
        if (run->usual) {
            const struct lstm_cell cell = {hidden, gates, c, h, output_of(run, s, step)};
            kernels_current()->lstm_cell(&cell);
        } else {
            lstm_any(run, gates, c, h);
        }
    }
}

/* h~ of all sequences, in place of the third gate; z and r are done. */
static void gru_fresh(const struct run *run, float *gates) {
    const struct rnn *rnn = run->rnn;
    const int64_t batch = run->call->batch, hidden = rnn->hidden;
    float *fresh = gates + 2 * hidden, *product = run->c;
    if (rnn->linear_before_reset) {
        const struct gemm_tail tail = {.alpha = 1.0F, .bias = run->bias_h};
        gemm_run(batch, hidden, hidden, run->h, hidden, run->r_h, &tail, product, hidden);
        for (int64_t s = 0; s < batch; s++) {
            add_products(hidden, gates + s * run->width + hidden, product + s * hidden,
                         fresh + s * run->width);
        }
    } else {
        const struct gemm_tail tail = {.alpha = 1.0F, .accumulate = true};
        for (int64_t s = 0; s < batch; s++) {
            ew_binary(EW_MUL, EW_BOTH, hidden, gates + s * run->width + hidden,
                      run->h + s * hidden, product + s * hidden);
        }
        gemm_run(batch, hidden, hidden, product, hidden, run->r_h, &tail, fresh,
                 run->width);
    }
    for (int64_t s = 0; s < batch; s++) {
        clip(rnn, hidden, fresh + s * run->width);
        act_run(&rnn->act[1], hidden, fresh + s * run->width, fresh + s * run->width);
    }
}

/* A GRU of other functions, or clipped; the products with R of z and r are done. */
static void gru_any(const struct run *run, int64_t step, float *gates) {
    const int64_t batch = run->call->batch, hidden = run->rnn->hidden;
    for (int64_t s = 0; s < batch; s++) {
        float *both = gates + s * run->width; /* z and r */
        clip(run->rnn, 2 * hidden, both);
        act_run(&run->rnn->act[0], 2 * hidden, both, both);
    }
    gru_fresh(run, gates);
    for (int64_t s = 0; s < batch; s++) {
        const float *z = gates + s * run->width, *fresh = z + 2 * hidden;
        float *h = run->h + s * hidden;
        for (int64_t j = 0; j < hidden && step < length_of(run->call, s); j++) {
            h[j] = (1.0F - z[j]) * fresh[j] + z[j] * h[j];
        }
    }
}

static struct gru_cell gru_cell_of(const struct run *run, int64_t s, float *gates) {
    const int64_t hidden = run->rnn->hidden;
    return (struct gru_cell){.hidden = hidden,
                             .gates = gates + s * run->width,
                             .reset_later = run->rnn->linear_before_reset,
                             .product = run->c + s * hidden,
                             .h = run->h + s * hidden};
}

static void gru_usual(const struct run *run, int64_t step, float *gates) {
    const struct kernels *kernels = kernels_current();
    const int64_t batch = run->call->batch, hidden = run->rnn->hidden;
    struct gemm_tail tail = {.alpha = 1.0F};
    if (run->rnn->linear_before_reset) {
        tail.bias = run->bias_h;
        gemm_run(batch, hidden, hidden, run->h, hidden, run->r_h, &tail, run->c, hidden);
    } else {
        for (int64_t s = 0; s < batch; s++) {
            const struct gru_cell cell = gru_cell_of(run, s, gates);
            kernels->gru_reset(&cell);
        }
        tail.accumulate = true;
        gemm_run(batch, hidden, hidden, run->c, hidden, run->r_h, &tail,
                 gates + 2 * hidden, run->width);
    }
    for (int64_t s = 0; s < batch; s++) {
        if (step < length_of(run->call, s)) {
            struct gru_cell cell = gru_cell_of(run, s, gates);
            cell.y = output_of(run, s, step);
            kernels->gru_cell(&cell);
        }
    }
}

static void gru_step(const struct run *run, int64_t step, float *gates) {
    const struct gemm_tail tail = {.alpha = 1.0F, .accumulate = true};
    const int64_t batch = run->call->batch, hidden = run->rnn->hidden;
    gemm_run(batch, 2 * hidden, hidden, run->h, hidden, run->r, &tail, gates, run->width);
    if (run->usual) {
        gru_usual(run, step, gates);
    } else {
        gru_any(run, step, gates);
    }
}

static void plain_step(const struct run *run, int64_t step, float *gates) {
    const struct gemm_tail tail = {.alpha = 1.0F, .accumulate = true};
    const int64_t batch = run->call->batch, hidden = run->rnn->hidden;
    gemm_run(batch, hidden, hidden, run->h, hidden, run->r, &tail, gates, hidden);
    for (int64_t s = 0; s < batch; s++, gates += hidden) {
        if (step < length_of(run->call, s)) {
            clip(run->rnn, hidden, gates);
            act_run(&run->rnn->act[0], hidden, gates, run->h + s * hidden);
        }
    }
}

typedef void step_fn(const struct run *run, int64_t step, float *gates);
static step_fn *const steps[] = {
    [RNN_PLAIN] = plain_step, [RNN_GRU] = gru_step, [RNN_LSTM] = lstm_step};
_Static_assert(ARRAY_COUNT(steps) == RNN_KIND_COUNT, "every kind has its step");

/* The usual cells have stored theirs. */
static void store_y(const struct run *run, int64_t step) {
    const struct rnn_call *call = run->call;
    const size_t size = (size_t)run->rnn->hidden * sizeof(*call->y);
    for (int64_t s = 0; s < call->batch && call->y != NULL; s++) {
        if (step < length_of(call, s)) {
            if (!run->usual) {
                memcpy(output_of(run, s, step), run->h + s * run->rnn->hidden, size);
            }
        } else {
            memset(call->y + step * call->y_step + s * call->y_row, 0, size);
        }
    }
}

static void load_state(size_t size, const float *from, float *to) {
    if (from != NULL) {
        memcpy(to, from, size);
    } else {
        memset(to, 0, size);
    }
}

void rnn_run(const struct rnn *rnn, const float *packed, const struct rnn_call *call,
             void *scratch) {
    if (call->batch == 0 || rnn->hidden == 0) {
        return;
    }
    const struct run run = run_of(rnn, packed, call, scratch);
    const size_t size = (size_t)(call->batch * rnn->hidden) * sizeof(float);
    load_state(size, call->h0, run.h);
    load_state(size, call->c0, run.c);
    for (int64_t first = 0; first < call->steps; first += run.piece) {
        const int64_t count = min64(run.piece, call->steps - first);
        input_gates(&run, first, count);
        for (int64_t t = 0; t < count; t++) {
            const int64_t at = call->reverse ? count - 1 - t : t;
            steps[rnn->kind](&run, first + t, run.gates + at * call->batch * run.width);
            store_y(&run, first + t);
        }
    }
    if (call->h != NULL) {
        memcpy(call->h, run.h, size);
    }
    if (call->c != NULL && rnn->kind == RNN_LSTM) {
        memcpy(call->c, run.c, size);
    }
}
