/* test_kernel_rnn.c - recurrent layers beside ONNX's formulas, one number at a time. */
#include "engine/kernels/rnn.h"

#include "tests/unit/engine/kernel_test.h"

/* A layer with its weights, and one call with all it may have. */
struct fixture {
    struct rnn rnn;
    struct rnn_call call;
    const float *w, *r, *b, *p;
    int32_t *lengths;
    float *packed, *scratch;
};

static float *maybe(int64_t count) {
    return number_between(0, 1) == 1 ? floats_random(count) : NULL;
}

static struct rnn rnn_random(void) {
    static const enum act_kind usual[] = {ACT_SIGMOID, ACT_TANH, ACT_TANH};
    struct rnn rnn = {.kind = (enum rnn_kind)number_between(0, RNN_KIND_COUNT - 1)};
    rnn.input = number_between(1, 20);
    rnn.hidden = number_between(1, 40);
    const bool odd = number_between(0, 1) == 1;
    for (int i = 0; i < 3; i++) {
        rnn.act[i].kind = odd ? ACT_SOFTSIGN : usual[i];
    }
    rnn.clip = odd && number_between(0, 1) == 1 ? 0.3F : 0.0F;
    rnn.linear_before_reset = number_between(0, 1) == 1;
    rnn.input_forget = odd && number_between(0, 1) == 1;
    return rnn;
}

static struct fixture fixture_random(void) {
    struct fixture f = {.rnn = rnn_random()};
    const int64_t hidden = f.rnn.hidden, gates = rnn_gates(f.rnn.kind) * hidden;
    struct rnn_call *call = &f.call;
    call->steps = number_between(1, 9);
    call->batch = number_between(1, number_between(0, 2) == 0 ? 70 : 6);
    const int64_t batch = call->batch, steps = call->steps;
    const bool batch_first = number_between(0, 1) == 1;
    f.w = floats_random(gates * f.rnn.input);
    f.r = floats_random(gates * hidden);
    f.b = maybe(2 * gates);
    f.p = f.rnn.kind == RNN_LSTM ? maybe(3 * hidden) : NULL;
    call->x = floats_random(steps * batch * f.rnn.input);
    call->x_step = batch_first ? f.rnn.input : batch * f.rnn.input;
    call->x_row = batch_first ? steps * f.rnn.input : f.rnn.input;
    call->y = floats_random(steps * batch * hidden);
    call->y_step = batch_first ? hidden : batch * hidden;
    call->y_row = batch_first ? steps * hidden : hidden;
    call->h0 = maybe(batch * hidden);
    call->c0 = maybe(batch * hidden);
    call->h = floats_random(batch * hidden);
    call->c = f.rnn.kind == RNN_LSTM ? floats_random(batch * hidden) : NULL;
    call->reverse = number_between(0, 1) == 1;
    if (number_between(0, 1) == 1) {
        f.lengths = keep(malloc((size_t)batch * sizeof(*f.lengths)));
        for (int64_t s = 0; s < batch; s++) {
            f.lengths[s] = (int32_t)number_between(0, steps);
        }
        call->lengths = f.lengths;
    }
    f.packed = memory_aligned(rnn_pack_size(&f.rnn));
    f.scratch = memory_aligned(rnn_scratch_size(&f.rnn, batch));
    rnn_pack(&f.rnn, f.w, f.r, f.b, f.p, f.packed);
    return f;
}

/* Gate g of unit j: the input's part and the state's, biases included. */
static double input_part(const struct fixture *f, const float *x, int64_t g, int64_t j) {
    const int64_t row = g * f->rnn.hidden + j;
    double sum = f->b != NULL ? (double)f->b[row] : 0;
    for (int64_t i = 0; i < f->rnn.input; i++) {
        sum += (double)f->w[row * f->rnn.input + i] * (double)x[i];
    }
    return sum;
}

static double state_part(const struct fixture *f, const double *h, int64_t g, int64_t j) {
    const int64_t hidden = f->rnn.hidden, row = g * hidden + j;
    double sum = f->b != NULL ? (double)f->b[rnn_gates(f->rnn.kind) * hidden + row] : 0;
    for (int64_t i = 0; i < hidden; i++) {
        sum += (double)f->r[row * hidden + i] * h[i];
    }
    return sum;
}

static double gate(const struct fixture *f, int act, double sum) {
    const double clip = (double)f->rnn.clip;
    sum = clip > 0 ? fmin(fmax(sum, -clip), clip) : sum;
    return act_reference(&f->rnn.act[act], sum);
}

enum { HIDDEN_MAX = 40 };

static void lstm_reference(const struct fixture *f, const float *x, double *h,
                           double *c) {
    const int64_t hidden = f->rnn.hidden;
    double next[HIDDEN_MAX];
    for (int64_t j = 0; j < hidden; j++) {
        const double p[] = {f->p != NULL ? (double)f->p[j] : 0,
                            f->p != NULL ? (double)f->p[hidden + j] : 0,
                            f->p != NULL ? (double)f->p[2 * hidden + j] : 0};
        double sums[4];
        for (int g = 0; g < 4; g++) {
            sums[g] = input_part(f, x, g, j) + state_part(f, h, g, j);
        }
        const double in = gate(f, 0, sums[0] + p[0] * c[j]);
        const double forget =
            f->rnn.input_forget ? 1 - in : gate(f, 0, sums[2] + p[2] * c[j]);
        c[j] = forget * c[j] + in * gate(f, 1, sums[3]);
        next[j] = gate(f, 0, sums[1] + p[1] * c[j]) * act_reference(&f->rnn.act[2], c[j]);
    }
    memcpy(h, next, (size_t)hidden * sizeof(*h));
}

static void gru_reference(const struct fixture *f, const float *x, double *h) {
    const int64_t hidden = f->rnn.hidden;
    double z[HIDDEN_MAX], r[HIDDEN_MAX], scaled[HIDDEN_MAX], next[HIDDEN_MAX];
    for (int64_t j = 0; j < hidden; j++) {
        z[j] = gate(f, 0, input_part(f, x, 0, j) + state_part(f, h, 0, j));
        r[j] = gate(f, 0, input_part(f, x, 1, j) + state_part(f, h, 1, j));
        scaled[j] = r[j] * h[j];
    }
    for (int64_t j = 0; j < hidden; j++) {
        const double state = f->rnn.linear_before_reset ? r[j] * state_part(f, h, 2, j)
                                                        : state_part(f, scaled, 2, j);
        next[j] = (1 - z[j]) * gate(f, 1, input_part(f, x, 2, j) + state) + z[j] * h[j];
    }
    memcpy(h, next, (size_t)hidden * sizeof(*h));
}

static void plain_reference(const struct fixture *f, const float *x, double *h) {
    double next[HIDDEN_MAX];
    for (int64_t j = 0; j < f->rnn.hidden; j++) {
        next[j] = gate(f, 0, input_part(f, x, 0, j) + state_part(f, h, 0, j));
    }
    memcpy(h, next, (size_t)f->rnn.hidden * sizeof(*h));
}

static void check_row(const float *y, const double *is, int64_t count) {
    for (int64_t j = 0; j < count; j++) {
        ck_assert_double_eq_tol(y[j], is != NULL ? is[j] : 0, 2e-4);
    }
}

/* Sequence s from start to end, its outputs compared on the way. */
static void check_sequence(const struct fixture *f, int64_t s) {
    const struct rnn_call *call = &f->call;
    const int64_t hidden = f->rnn.hidden;
    const int64_t length = call->lengths != NULL ? call->lengths[s] : call->steps;
    double h[HIDDEN_MAX], c[HIDDEN_MAX];
    for (int64_t j = 0; j < hidden; j++) {
        h[j] = call->h0 != NULL ? (double)call->h0[s * hidden + j] : 0;
        c[j] = call->c0 != NULL ? (double)call->c0[s * hidden + j] : 0;
    }
    for (int64_t t = 0; t < call->steps; t++) {
        const int64_t at = call->reverse && t < length ? length - 1 - t : t;
        const float *x = call->x + at * call->x_step + s * call->x_row;
        if (t < length && f->rnn.kind == RNN_LSTM) {
            lstm_reference(f, x, h, c);
        } else if (t < length && f->rnn.kind == RNN_GRU) {
            gru_reference(f, x, h);
        } else if (t < length) {
            plain_reference(f, x, h);
        }
        check_row(call->y + at * call->y_step + s * call->y_row, t < length ? h : NULL,
                  hidden);
    }
    check_row(call->h + s * hidden, h, hidden);
    if (call->c != NULL) {
        check_row(call->c + s * hidden, c, hidden);
    }
}

START_TEST(layers_follow_the_formulas) {
    FOR_EACH_LEVEL(level) {
        for (int round = 0; round < 150; round++) {
            const struct fixture f = fixture_random();
            rnn_run(&f.rnn, f.packed, &f.call, f.scratch);
            for (int64_t s = 0; s < f.call.batch; s++) {
                check_sequence(&f, s);
            }
        }
    }
}
END_TEST

START_TEST(sequence_has_the_same_bits_in_any_batch) {
    FOR_EACH_LEVEL(level) {
        for (int round = 0; round < 60; round++) {
            const struct fixture f = fixture_random();
            const int64_t hidden = f.rnn.hidden, last = f.call.batch - 1;
            float *h = floats_random(hidden);
            struct rnn_call alone = f.call;
            rnn_run(&f.rnn, f.packed, &f.call, f.scratch);
            alone.batch = 1;
            alone.x += last * alone.x_row;
            alone.y = NULL;
            alone.h0 = alone.h0 != NULL ? alone.h0 + last * hidden : NULL;
            alone.c0 = alone.c0 != NULL ? alone.c0 + last * hidden : NULL;
            alone.lengths = alone.lengths != NULL ? alone.lengths + last : NULL;
            alone.h = h;
            alone.c = NULL;
            rnn_run(&f.rnn, f.packed, &alone, f.scratch);
            ck_assert(same_bits(hidden, h, f.call.h + last * hidden));
        }
    }
}
END_TEST

START_TEST(no_steps_keep_the_first_state) {
    for (int round = 0; round < 20; round++) {
        struct fixture f = fixture_random();
        const int64_t count = f.call.batch * f.rnn.hidden;
        const float *h0 = floats_random(count);
        f.call.steps = 0;
        f.call.h0 = h0;
        rnn_run(&f.rnn, f.packed, &f.call, f.scratch);
        ck_assert(same_bits(count, f.call.h, h0));
        f.call.batch = 0;
        rnn_run(&f.rnn, f.packed, &f.call, f.scratch);
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        layers_follow_the_formulas,
        sequence_has_the_same_bits_in_any_batch,
        no_steps_keep_the_first_state,
    };
    return suite_run_kernels("engine kernels: rnn", tests, ARRAY_COUNT(tests));
}
