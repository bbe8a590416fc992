/* pow.c - Pow: the exponent may be of another type than the base, whose type the result
 * has. */
#include <math.h>

#include "engine/ops/broadcast.h"
#include "engine/ops/number.h"
#include "engine/ops/ops.h"

/* ---- any types -------------------------------------------------------------------- */

/* By squaring, modulo 2^64; what a negative exponent gives is rounded towards zero. */
static int64_t integer_power(int64_t base, int64_t exponent) {
    uint64_t result = 1, square = (uint64_t)base;
    if (exponent < 0) {
        return base == 1 ? 1 : base == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0;
    }
    for (; exponent > 0; exponent >>= 1) {
        result = (exponent & 1) != 0 ? result * square : result;
        square *= square;
    }
    return (int64_t)result;
}

static bool is_integer(enum dtype dtype) {
    return (TYPES_INT & TYPE_BIT(dtype)) != 0;
}

static void any_element(const struct tensor *a, int64_t a_at, const struct tensor *b,
                        int64_t b_at, const struct tensor *y, int64_t at) {
    if (is_integer(a->dtype) && is_integer(b->dtype)) {
        number_set_integer(
            y, at, integer_power(number_integer(a, a_at), number_integer(b, b_at)));
        return;
    }
    number_set_real(y, at, pow(number_real(a, a_at), number_real(b, b_at)));
}

/* ---- float32 ----------------------------------------------------------------------- */

/* Exporters write squares, cubes and roots as Pow with a constant. */
static bool small_power(int64_t count, const float *a, float exponent, float *y) {
    if (exponent == 2.0F) {
        for (int64_t i = 0; i < count; i++) {
            y[i] = a[i] * a[i];
        }
    } else if (exponent == 3.0F) {
        for (int64_t i = 0; i < count; i++) {
            y[i] = a[i] * a[i] * a[i];
        }
    } else if (exponent == 1.0F) {
        for (int64_t i = 0; i < count; i++) {
            y[i] = a[i];
        }
    } else {
        return false;
    }
    return true;
}

static void line_f32(int64_t count, const float *a, int64_t a_step, const float *b,
                     int64_t b_step, float *y) {
    if (a_step == 1 && b_step == 0 && count > 0 && small_power(count, a, *b, y)) {
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        y[i] = powf(a[i * a_step], b[i * b_step]);
    }
}

/* ---- the operator ------------------------------------------------------------------ */

static enum status shape(struct exec *exec, struct error *err) {
    enum status status = broadcast_shape(exec, exec->x, 2, exec->y[0], err);
    if (status == STATUS_OK) {
        broadcast_init(exec->memo, exec->x, 2, exec->y[0]);
    }
    return status;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct broadcast *plan = exec->memo;
    const struct tensor *a = exec->x[0], *b = exec->x[1], *y = exec->y[0];
    bool fast = a->dtype == DTYPE_F32 && b->dtype == DTYPE_F32;
    struct broadcast_walk walk = {0};
    (void)err; /* cannot fail */
    if (!broadcast_any(plan)) {
        return STATUS_OK;
    }
    do {
        if (fast) {
            line_f32(plan->line, (const float *)a->data + walk.at[0], plan->line_step[0],
                     (const float *)b->data + walk.at[1], plan->line_step[1],
                     (float *)y->data + walk.out);
            continue;
        }
        for (int64_t i = 0; i < plan->line; i++) {
            any_element(a, walk.at[0] + i * plan->line_step[0], b,
                        walk.at[1] + i * plan->line_step[1], y, walk.out + i);
        }
    } while (broadcast_next(plan, &walk));
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "Pow",
        .since = 1,
        .inputs_min = 2,
        .inputs_max = 2,
        .types = {TYPES_NUMBER, TYPES_NUMBER},
        .memo_size = sizeof(struct broadcast),
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_pow = OP_LIST(ops);
