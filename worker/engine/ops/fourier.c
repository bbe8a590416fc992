/* fourier.c - DFT and STFT, of any length.
 *
 * Transforms are computed in double by Stockham's algorithm over the prime factors of the
 * length: a pass for each factor, no reordering; a prime length is the definition.
 *
 *     x[q + s (p + m k)]  --- radix r, n = r m --->  y[q + s (r p + j)] =
 *                              W_n^(p j)  sum over k of  x[..k] W_r^(j k)
 */
#include <math.h>

#include "base/size.h"
#include "engine/ops/ops.h"

#define TURN 6.28318530717958647693
#define FOURIER_LENGTH_MAX (1 << 22)

struct complex {
    double re, im;
};

/* One transform's memory: `length` each. */
struct transform {
    int64_t length;
    bool inverse;
    struct complex *roots, *a, *b;
};

static size_t transform_size(int64_t length) {
    return 3 * (size_t)length * sizeof(struct complex);
}

static void transform_init(struct transform *t, int64_t length, bool inverse,
                           void *memory) {
    double sign = inverse ? 1 : -1;
    *t = (struct transform){.length = length, .inverse = inverse, .roots = memory};
    t->a = t->roots + length;
    t->b = t->a + length;
    for (int64_t i = 0; i < length; i++) {
        double angle = TURN * (double)i / (double)length;
        t->roots[i] = (struct complex){cos(angle), sign * sin(angle)};
    }
}

static struct complex multiply(struct complex a, struct complex b) {
    return (struct complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

static int64_t least_factor(int64_t n) {
    for (int64_t f = 2; f * f <= n; f++) {
        if (n % f == 0) {
            return f;
        }
    }
    return n;
}

/* One output of a pass: `from` is x[q + s p], its fellows lie s m apart. */
static struct complex butterfly(const struct transform *t, const struct complex *from,
                                int64_t apart, int64_t radix, int64_t j) {
    struct complex sum = from[0];
    int64_t step = t->length / radix * j, at = 0;
    for (int64_t k = 1; k < radix; k++) {
        struct complex part;
        at += step;
        at -= at >= t->length ? t->length : 0;
        part = multiply(from[k * apart], t->roots[at]);
        sum.re += part.re;
        sum.im += part.im;
    }
    return sum;
}

static void pass(struct transform *t, int64_t n, int64_t s, int64_t radix) {
    int64_t m = n / radix, step = t->length / n;
    struct complex *swap = t->a;
    for (int64_t p = 0; p < m; p++) {
        for (int64_t j = 0; j < radix; j++) {
            struct complex twiddle = t->roots[step * p * j % t->length];
            for (int64_t q = 0; q < s; q++) {
                t->b[q + s * (radix * p + j)] =
                    multiply(butterfly(t, t->a + q + s * p, s * m, radix, j), twiddle);
            }
        }
    }
    t->a = t->b;
    t->b = swap;
}

/* Transforms t->a, where the result then lies. */
static void transform_run(struct transform *t) {
    for (int64_t n = t->length, s = 1; n > 1;) {
        int64_t radix = least_factor(n);
        pass(t, n, s, radix);
        n /= radix;
        s *= radix;
    }
    for (int64_t i = 0; t->inverse && i < t->length; i++) {
        t->a[i].re /= (double)t->length;
        t->a[i].im /= (double)t->length;
    }
}

static double get(const struct tensor *x, int64_t at) {
    return x->dtype == DTYPE_F32 ? (double)((const float *)x->data)[at]
                                 : ((const double *)x->data)[at];
}

static void set(const struct tensor *y, int64_t at, double value) {
    if (y->dtype == DTYPE_F32) {
        ((float *)y->data)[at] = (float)value;
    } else {
        ((double *)y->data)[at] = value;
    }
}

/* `count` numbers of `parts` reals, 1 or 2, `step` numbers apart, as complex; zeros up to
 * the length. */
static void fill(struct transform *t, const struct tensor *x, int64_t at, int64_t step,
                 int64_t count, int64_t parts) {
    for (int64_t i = 0; i < t->length; i++) {
        int64_t from = (at + i * step) * parts;
        t->a[i] = (struct complex){0, 0};
        if (i < count) {
            t->a[i].re = get(x, from);
            t->a[i].im = parts == 2 ? get(x, from + 1) : 0;
        }
    }
}

/* ---- DFT --------------------------------------------------------------------------- */

enum { IN_X, IN_LENGTH, IN_AXIS };

struct dft_state {
    int64_t axis;
    bool inverse, one_sided;
};

struct dft_memo {
    int axis;
    int64_t length;
};

static enum status dft_prepare(struct load *load, struct error *err) {
    struct dft_state *state = load_state(load, struct dft_state);
    bool has_attr = load->node->opset < 20;
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    state->axis = -2;
    status = attr_bool(load->node, "inverse", false, &state->inverse, err);
    if (status == STATUS_OK) {
        status = attr_bool(load->node, "onesided", false, &state->one_sided, err);
    }
    return status == STATUS_OK && has_attr
               ? attr_int(load->node, "axis", 1, &state->axis, err)
               : status;
}

static enum status check_length(const struct exec *exec, int64_t length,
                                struct error *err) {
    if (length < 1 || length > FOURIER_LENGTH_MAX) {
        return node_error(exec->node, err, STATUS_POISON,
                          "the transform's length is %lld, allowed is [1, %d]",
                          (long long)length, FOURIER_LENGTH_MAX);
    }
    return STATUS_OK;
}

/* An optional single integer; *value stays where it is absent. */
static enum status take_int(const struct exec *exec, int input, int64_t *value,
                            struct error *err) {
    int count = 1;
    enum status status =
        exec_has(exec, input) ? exec_ints(exec, input, value, 1, &count, err) : STATUS_OK;
    if (status == STATUS_OK && count != 1) {
        return node_error(exec->node, err, STATUS_POISON, "input %d is empty", input);
    }
    return status;
}

static enum status dft_shape(struct exec *exec, struct error *err) {
    const struct dft_state *state = exec->node->state;
    const struct tensor *x = exec->x[IN_X];
    struct dft_memo *memo = exec->memo;
    struct tensor *y = exec->y[0];
    int64_t axis = state->axis;
    bool real_result = state->inverse && state->one_sided;
    enum status status = take_int(exec, IN_AXIS, &axis, err);
    if (status == STATUS_OK) {
        status = exec_axis(exec, axis, x->rank, &memo->axis, err);
    }
    if (status == STATUS_OK && (memo->axis == x->rank - 1 || x->dims[x->rank - 1] < 1 ||
                                x->dims[x->rank - 1] > 2)) {
        status = node_error(exec->node, err, STATUS_POISON,
                            "the last axis must hold 1 or 2 parts of a number");
    }
    if (status != STATUS_OK) {
        return status;
    }
    memo->length = x->dims[memo->axis];
    memo->length = real_result ? 2 * (memo->length - 1) : memo->length;
    status = take_int(exec, IN_LENGTH, &memo->length, err);
    if (status == STATUS_OK) {
        status = check_length(exec, memo->length, err);
    }
    exec_same_shape(exec, 0, IN_X);
    y->dims[y->rank - 1] = real_result ? 1 : 2;
    if (status == STATUS_OK) {
        y->dims[memo->axis] =
            state->one_sided && !state->inverse ? memo->length / 2 + 1 : memo->length;
        exec->scratch_size = transform_size(memo->length);
    }
    return status;
}

/* The second half of a real signal's spectrum mirrors the first. */
static void mirror(struct transform *t) {
    int64_t n = t->length;
    t->a[0].im = 0;
    if (n % 2 == 0) {
        t->a[n / 2].im = 0;
    }
    for (int64_t i = n / 2 + 1; i < n; i++) {
        t->a[i] = (struct complex){t->a[n - i].re, -t->a[n - i].im};
    }
}

static enum status dft_run(struct exec *exec, struct error *err) {
    const struct dft_state *state = exec->node->state;
    const struct dft_memo *memo = exec->memo;
    const struct tensor *x = exec->x[IN_X], *y = exec->y[0];
    int64_t parts = x->dims[x->rank - 1], made = y->dims[y->rank - 1];
    int64_t outer = 1, inner = 1;
    struct transform t;
    (void)err; /* cannot fail */
    transform_init(&t, memo->length, state->inverse, exec->scratch);
    for (int i = 0; i < x->rank - 1; i++) {
        if (i != memo->axis) {
            *(i < memo->axis ? &outer : &inner) *= x->dims[i];
        }
    }
    for (int64_t l = 0; l < outer * inner; l++) {
        int64_t to = l / inner * inner * y->dims[memo->axis] + l % inner;
        fill(&t, x, l / inner * inner * x->dims[memo->axis] + l % inner, inner,
             x->dims[memo->axis], parts);
        if (made == 1) {
            mirror(&t);
        }
        transform_run(&t);
        for (int64_t i = 0; i < y->dims[memo->axis]; i++) {
            set(y, (to + i * inner) * made, t.a[i].re);
            if (made == 2) {
                set(y, (to + i * inner) * made + 1, t.a[i].im);
            }
        }
    }
    return STATUS_OK;
}

/* ---- STFT -------------------------------------------------------------------------- */

enum { IN_SIGNAL, IN_STEP, IN_WINDOW, IN_FRAME_LENGTH };

struct stft_state {
    bool one_sided;
};

struct stft_memo {
    int64_t step, length;
};

static enum status stft_prepare(struct load *load, struct error *err) {
    struct stft_state *state = load_state(load, struct stft_state);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    return attr_bool(load->node, "onesided", true, &state->one_sided, err);
}

static enum status stft_shape(struct exec *exec, struct error *err) {
    const struct stft_state *state = exec->node->state;
    const struct tensor *x = exec->x[IN_SIGNAL];
    struct stft_memo *memo = exec->memo;
    struct tensor *y = exec->y[0];
    enum status status;
    if (x->rank < 2 || x->rank > 3 ||
        (x->rank == 3 && (x->dims[2] < 1 || x->dims[2] > 2))) {
        char text[TENSOR_SHAPE_TEXT_MAX];
        return node_error(exec->node, err, STATUS_POISON,
                          "the signal has shape %s, not [batch, length, 1 or 2]",
                          tensor_shape_text(x->dims, x->rank, text, sizeof(text)));
    }
    memo->length = exec_has(exec, IN_WINDOW) && exec->x[IN_WINDOW]->rank == 1
                       ? exec->x[IN_WINDOW]->dims[0]
                       : x->dims[1];
    status = take_int(exec, IN_STEP, &memo->step, err);
    if (status == STATUS_OK) {
        status = take_int(exec, IN_FRAME_LENGTH, &memo->length, err);
    }
    if (status == STATUS_OK) {
        status = check_length(exec, memo->length, err);
    }
    if (status == STATUS_OK &&
        (memo->step < 1 || memo->length > x->dims[1] ||
         (exec_has(exec, IN_WINDOW) &&
          (int64_t)tensor_count(exec->x[IN_WINDOW]) != memo->length))) {
        status = node_error(exec->node, err, STATUS_POISON,
                            "frames of %lld every %lld do not fit the window or a signal "
                            "of %lld",
                            (long long)memo->length, (long long)memo->step,
                            (long long)x->dims[1]);
    }
    if (status != STATUS_OK) {
        return status;
    }
    y->rank = 4;
    y->dims[0] = x->dims[0];
    y->dims[1] = (x->dims[1] - memo->length) / memo->step + 1;
    y->dims[2] = state->one_sided ? memo->length / 2 + 1 : memo->length;
    y->dims[3] = 2;
    exec->scratch_size = transform_size(memo->length);
    return STATUS_OK;
}

static enum status stft_run(struct exec *exec, struct error *err) {
    const struct stft_memo *memo = exec->memo;
    const struct tensor *x = exec->x[IN_SIGNAL], *y = exec->y[0];
    const struct tensor *window = exec_has(exec, IN_WINDOW) ? exec->x[IN_WINDOW] : NULL;
    int64_t frames = y->dims[1], bins = y->dims[2];
    int64_t parts = x->rank == 3 ? x->dims[2] : 1;
    struct transform t;
    (void)err; /* cannot fail */
    transform_init(&t, memo->length, false, exec->scratch);
    for (int64_t l = 0; l < y->dims[0] * frames; l++) {
        fill(&t, x, l / frames * x->dims[1] + l % frames * memo->step, 1, memo->length,
             parts);
        for (int64_t i = 0; window != NULL && i < memo->length; i++) {
            double factor = get(window, i);
            t.a[i].re *= factor;
            t.a[i].im *= factor;
        }
        transform_run(&t);
        for (int64_t i = 0; i < bins; i++) {
            set(y, (l * bins + i) * 2, t.a[i].re);
            set(y, (l * bins + i) * 2 + 1, t.a[i].im);
        }
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "DFT",
        .since = 17,
        .inputs_min = 1,
        .inputs_max = 3,
        .shape_inputs = 1U << IN_LENGTH | 1U << IN_AXIS,
        .types = {TYPES_FLOAT, TYPES_INDEX, TYPES_INDEX},
        .memo_size = sizeof(struct dft_memo),
        .prepare = dft_prepare,
        .shape = dft_shape,
        .run = dft_run,
    },
    {
        .name = "STFT",
        .since = 17,
        .inputs_min = 2,
        .inputs_max = 4,
        .shape_inputs = 1U << IN_STEP | 1U << IN_FRAME_LENGTH,
        .types = {TYPES_FLOAT, TYPES_INDEX, 0, TYPES_INDEX},
        .memo_size = sizeof(struct stft_memo),
        .prepare = stft_prepare,
        .shape = stft_shape,
        .run = stft_run,
    },
};

const struct op_list ops_fourier = OP_LIST(ops);
