/* pow.c - Pow: the exponent may be of another dtype than the base; broadcast.
 *
 * Floats are raised as floats, an integer base to an integer exponent by squaring, which
 * wraps around; an integer base to a float exponent goes through double. */
#include <math.h>

#include "engine/ops/broadcast.h"
#include "engine/ops/number.h"
#include "engine/ops/ops.h"

static double read_real(enum dtype dtype, const void *data, int64_t i) {
    switch (dtype) {
    case DTYPE_F32:
        return (double)((const float *)data)[i];
    case DTYPE_F64:
        return ((const double *)data)[i];
    case DTYPE_I8:
        return (double)((const int8_t *)data)[i];
    case DTYPE_U8:
        return (double)((const uint8_t *)data)[i];
    case DTYPE_I16:
        return (double)((const int16_t *)data)[i];
    case DTYPE_U16:
        return (double)((const uint16_t *)data)[i];
    case DTYPE_I32:
        return (double)((const int32_t *)data)[i];
    case DTYPE_U32:
        return (double)((const uint32_t *)data)[i];
    case DTYPE_I64:
        return (double)((const int64_t *)data)[i];
    case DTYPE_U64:
        return (double)((const uint64_t *)data)[i];
    case DTYPE_NONE:
    case DTYPE_STRING:
    case DTYPE_BOOL:
    case DTYPE_F16:
    case DTYPE_BF16:
    CASE_DTYPE_UNUSUAL:
        break; /* refused at load */
    }
    return 0;
}

/* Of integers, sign-extended: enough, for powers wrap around. */
static uint64_t read_whole(enum dtype dtype, const void *data, int64_t i) {
    bool is_signed = (TYPES_SIGNED & TYPE_BIT(dtype)) != 0;
    switch (dtype_size(dtype)) {
    case 1:
        return is_signed ? (uint64_t)((const int8_t *)data)[i]
                         : ((const uint8_t *)data)[i];
    case 2:
        return is_signed ? (uint64_t)((const int16_t *)data)[i]
                         : ((const uint16_t *)data)[i];
    case 4:
        return is_signed ? (uint64_t)((const int32_t *)data)[i]
                         : ((const uint32_t *)data)[i];
    default:
        return ((const uint64_t *)data)[i];
    }
}

static void write_whole(enum dtype dtype, void *data, int64_t i, uint64_t value) {
    switch (dtype_size(dtype)) {
    case 1:
        ((uint8_t *)data)[i] = (uint8_t)value;
        break;
    case 2:
        ((uint16_t *)data)[i] = (uint16_t)value;
        break;
    case 4:
        ((uint32_t *)data)[i] = (uint32_t)value;
        break;
    default:
        ((uint64_t *)data)[i] = value;
    }
}

/* A negative exponent leaves 1 and -1 alone; all else is a fraction, that is, 0. */
static uint64_t power_whole(uint64_t base, uint64_t exponent, bool is_negative) {
    uint64_t result = 1;
    if (is_negative) {
        if (base == 1) {
            return 1;
        }
        return base == UINT64_MAX ? ((exponent & 1) != 0 ? base : 1) : 0;
    }
    for (; exponent != 0; exponent >>= 1) {
        if ((exponent & 1) != 0) {
            result *= base;
        }
        base *= base;
    }
    return result;
}

/* What an integer cannot hold gives the lowest number, as in Cast. */
static uint64_t real_to_whole(double x) {
    if (x >= 0x1p63 && x < 0x1p64) {
        return (uint64_t)x;
    }
    return (uint64_t)number_truncate(x);
}

struct pow_line {
    enum dtype base, exponent;
    int64_t count, a_step, b_step;
};

static void line_f32(const struct pow_line *line, const float *a, const void *b,
                     float *y) {
    if (line->b_step == 0 && read_real(line->exponent, b, 0) == 2) {
        for (int64_t i = 0; i < line->count; i++) {
            y[i] = a[i * line->a_step] * a[i * line->a_step];
        }
        return;
    }
    for (int64_t i = 0; i < line->count; i++) {
        double exponent = read_real(line->exponent, b, i * line->b_step);
        y[i] = powf(a[i * line->a_step], (float)exponent);
    }
}

static void line_whole(const struct pow_line *line, const void *a, const void *b,
                       void *y) {
    bool is_real = (TYPES_FLOAT & TYPE_BIT(line->exponent)) != 0;
    bool is_signed = (TYPES_SIGNED & TYPE_BIT(line->exponent)) != 0;
    for (int64_t i = 0; i < line->count; i++) {
        int64_t at = i * line->a_step, by = i * line->b_step;
        uint64_t result;
        if (is_real) {
            result = real_to_whole(
                pow(read_real(line->base, a, at), read_real(line->exponent, b, by)));
        } else {
            uint64_t exponent = read_whole(line->exponent, b, by);
            result = power_whole(read_whole(line->base, a, at), exponent,
                                 is_signed && exponent > INT64_MAX);
        }
        write_whole(line->base, y, i, result);
    }
}

static enum status shape(struct exec *exec, struct error *err) {
    enum status status = broadcast_shape(exec, exec->x, 2, exec->y[0], err);
    if (status == STATUS_OK) {
        broadcast_init(exec->memo, exec->x, 2, exec->y[0]);
    }
    return status;
}

static enum status run(struct exec *exec, struct error *err) {
    const struct broadcast *plan = exec->memo;
    struct pow_line line = {exec->x[0]->dtype, exec->x[1]->dtype, plan->line,
                            plan->line_step[0], plan->line_step[1]};
    size_t in = dtype_size(line.base), by = dtype_size(line.exponent);
    const uint8_t *a = exec->x[0]->data, *b = exec->x[1]->data;
    uint8_t *y = exec->y[0]->data;
    struct broadcast_walk walk = {0};
    (void)err; /* cannot fail */
    if (!broadcast_any(plan)) {
        return STATUS_OK;
    }
    do {
        const void *left = a + (size_t)walk.at[0] * in;
        const void *right = b + (size_t)walk.at[1] * by;
        void *to = y + (size_t)walk.out * in;
        if (line.base == DTYPE_F32) {
            line_f32(&line, left, right, to);
        } else if (line.base == DTYPE_F64) {
            for (int64_t i = 0; i < line.count; i++) {
                ((double *)to)[i] = pow(((const double *)left)[i * line.a_step],
                                        read_real(line.exponent, right, i * line.b_step));
            }
        } else {
            line_whole(&line, left, right, to);
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
        .flags = OP_ELEMENTWISE,
        .types = {TYPES_NUMBER, TYPES_NUMBER},
        .memo_size = sizeof(struct broadcast),
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_pow = OP_LIST(ops);
