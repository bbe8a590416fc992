/* reduce.c - ReduceSum, ReduceMean, .. and ArgMax, ArgMin: axes made one.
 *
 * float32 sums and maxima over the last axes take the kernels, those over axes in the
 * middle go row by row; the rest walks element by element.  In double for floats and 64
 * bits for integers. */
#include <math.h>

#include "engine/kernels/elementwise.h"
#include "engine/ops/ops.h"
#include "engine/ops/strided.h"

enum reduction { SUM, MEAN, MAX, MIN, PROD, L1, L2, SUM_SQUARE, LOG_SUM, LOG_SUM_EXP };

struct reduce_state {
    struct attr_ints axes; /* in old opsets; an input later */
    bool keep_dims, empty_is_none;
};

/* Kept axes and reduced axes, each as dims with steps into x. */
struct reduce_memo {
    int kept, reduced;
    int64_t kept_dims[TENSOR_RANK_MAX], kept_steps[TENSOR_RANK_MAX];
    int64_t dims[TENSOR_RANK_MAX], steps[TENSOR_RANK_MAX];
    int64_t count; /* elements reduced to one */
    bool together; /* no kept axis lies between two reduced ones, or only of size 1 */
    int64_t inner; /* elements of the kept axes behind the first reduced one */
    int64_t tail;  /* elements of the reduced axes behind those; 0 where others follow */
};

/* ---- which axes ---------------------------------------------------------------- */

static enum status prepare(struct load *load, struct error *err) {
    struct reduce_state *state = load_state(load, struct reduce_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_bool(load->node, "keepdims", true, &state->keep_dims, err);
    if (status == STATUS_OK && load->node->op->inputs_max == 1) {
        return attr_ints(load->node, "axes", &state->axes, err);
    }
    if (status == STATUS_OK) {
        status = attr_bool(load->node, "noop_with_empty_axes", false,
                           &state->empty_is_none, err);
    }
    return status;
}

static enum status marked_axes(struct exec *exec, unsigned *marked, struct error *err) {
    const struct reduce_state *state = exec->node->state;
    int64_t axes[TENSOR_RANK_MAX];
    int rank = exec->x[0]->rank, count = 0;
    enum status status = STATUS_OK;
    *marked = 0;
    if (exec_has(exec, 1)) {
        status = exec_ints(exec, 1, axes, TENSOR_RANK_MAX, &count, err);
    } else if (state->axes.count <= TENSOR_RANK_MAX) {
        for (; count < (int)state->axes.count; count++) {
            axes[count] = state->axes.values[count];
        }
    }
    for (int i = 0; status == STATUS_OK && i < count; i++) {
        int axis = 0;
        status = exec_axis(exec, axes[i], rank, &axis, err);
        *marked |= 1U << axis;
    }
    if (count == 0 && !state->empty_is_none) {
        *marked = (1U << rank) - 1;
    }
    return status;
}

static void split_axes(struct exec *exec, unsigned marked, bool keep_dims) {
    const struct tensor *x = exec->x[0];
    struct tensor *y = exec->y[0];
    struct reduce_memo *memo = exec->memo;
    int64_t steps[TENSOR_RANK_MAX];
    strided_dense(x->dims, x->rank, steps);
    *memo = (struct reduce_memo){.count = 1, .together = true, .inner = 1, .tail = 1};
    y->rank = 0;
    for (int i = 0; i < x->rank; i++) {
        bool reduce = (marked >> i & 1) != 0;
        if (reduce) {
            memo->together = memo->together && memo->inner == 1;
            memo->tail *= memo->inner > 1 ? x->dims[i] : 1;
            memo->dims[memo->reduced] = x->dims[i];
            memo->steps[memo->reduced++] = steps[i];
            memo->count *= x->dims[i];
        } else {
            memo->tail = memo->tail == 1 || x->dims[i] == 1 ? memo->tail : 0;
            memo->inner *= memo->reduced > 0 ? x->dims[i] : 1;
            memo->kept_dims[memo->kept] = x->dims[i];
            memo->kept_steps[memo->kept++] = steps[i];
        }
        if (!reduce || keep_dims) {
            y->dims[y->rank++] = reduce ? 1 : x->dims[i];
        }
    }
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct reduce_state *state = exec->node->state;
    unsigned marked;
    enum status status = marked_axes(exec, &marked, err);
    if (status == STATUS_OK) {
        split_axes(exec, marked, state->keep_dims);
    }
    return status;
}

/* ---- walks --------------------------------------------------------------------- */

/* Steps an index over `rank` dims; *at follows.  False behind the last. */
static bool next(int rank, const int64_t *dims, const int64_t *steps, int64_t *index,
                 int64_t *at) {
    int axis = rank - 1;
    while (axis >= 0 && ++index[axis] == dims[axis]) {
        *at -= (dims[axis] - 1) * steps[axis];
        index[axis--] = 0;
    }
    if (axis >= 0) {
        *at += steps[axis];
    }
    return axis >= 0;
}

static double step_real(enum reduction reduction, double sum, double x) {
    switch (reduction) {
    case SUM:
    case MEAN:
    case LOG_SUM:
        return sum + x;
    case MAX:
        return x > sum || isnan(x) ? x : sum;
    case MIN:
        return x < sum || isnan(x) ? x : sum;
    case PROD:
        return sum * x;
    case L1:
        return sum + fabs(x);
    case L2:
    case SUM_SQUARE:
        return sum + x * x;
    case LOG_SUM_EXP:
        break;
    }
    return sum + exp(x);
}

static double first_real(enum reduction reduction) {
    return reduction == MAX    ? -INFINITY
           : reduction == MIN  ? INFINITY
           : reduction == PROD ? 1
                               : 0;
}

static double last_real(enum reduction reduction, double sum, int64_t count) {
    switch (reduction) {
    case MEAN:
        return sum / (double)count;
    case L2:
        return sqrt(sum);
    case LOG_SUM:
    case LOG_SUM_EXP:
        return log(sum);
    case SUM:
    case MAX:
    case MIN:
    case PROD:
    case L1:
    case SUM_SQUARE:
        break;
    }
    return sum;
}

/* exp() of large numbers would overflow: their maximum is taken out first. */
static double log_sum_exp_shift(const double *values, bool known) {
    return known && isfinite(*values) ? *values : 0;
}

#define REAL(name, type)                                                                \
    static double fold_##name(enum reduction reduction, const struct reduce_memo *memo, \
                              const type *x, double shift) {                            \
        int64_t index[TENSOR_RANK_MAX] = {0}, at = 0;                                   \
        double sum = first_real(reduction);                                             \
        if (memo->count == 0) {                                                         \
            return sum;                                                                 \
        }                                                                               \
        do {                                                                            \
            sum = step_real(reduction, sum, (double)x[at] - shift);                     \
        } while (next(memo->reduced, memo->dims, memo->steps, index, &at));             \
        return sum;                                                                     \
    }                                                                                   \
    static void run_##name(enum reduction reduction, const struct reduce_memo *memo,    \
                           const type *x, size_t count, type *y) {                      \
        int64_t index[TENSOR_RANK_MAX] = {0}, at = 0;                                   \
        for (size_t i = 0; i < count; i++) {                                            \
            bool shifted = reduction == LOG_SUM_EXP;                                    \
            double most = shifted ? fold_##name(MAX, memo, x + at, 0) : 0;              \
            double shift = log_sum_exp_shift(&most, shifted);                           \
            double sum = fold_##name(reduction, memo, x + at, shift);                   \
            y[i] = (type)(last_real(reduction, sum, memo->count) + shift);              \
            (void)next(memo->kept, memo->kept_dims, memo->kept_steps, index, &at);      \
        }                                                                               \
    }

REAL(f32, float)
REAL(f64, double)

static uint64_t step_whole(enum reduction reduction, uint64_t sum, int64_t x) {
    switch (reduction) {
    case MAX:
        return x > (int64_t)sum ? (uint64_t)x : sum;
    case MIN:
        return x < (int64_t)sum ? (uint64_t)x : sum;
    case PROD:
        return sum * (uint64_t)x;
    case L1:
        return sum + (x < 0 ? 0 - (uint64_t)x : (uint64_t)x);
    case L2:
    case SUM_SQUARE:
        return sum + (uint64_t)x * (uint64_t)x;
    case SUM:
    case MEAN:
    case LOG_SUM:
    case LOG_SUM_EXP:
        break;
    }
    return sum + (uint64_t)x;
}

static int64_t last_whole(enum reduction reduction, uint64_t sum, int64_t count) {
    switch (reduction) {
    case MEAN:
        return count == 0 ? 0 : (int64_t)sum / count;
    case L2:
        /* Squares that wrapped around are no number below nought, whose root is none. */
        return (int64_t)sqrt((double)sum);
    case LOG_SUM:
    case LOG_SUM_EXP: /* refused at load */
    case SUM:
    case MAX:
    case MIN:
    case PROD:
    case L1:
    case SUM_SQUARE:
        break;
    }
    return (int64_t)sum;
}

/* MAX and MIN start from the type's lowest and highest; `flip` makes the order of
 * unsigned 64 bits that of signed ones. */
#define WHOLE(name, type, lowest, highest, flip)                                       \
    static void run_##name(enum reduction reduction, const struct reduce_memo *memo,   \
                           const type *x, size_t count, type *y) {                     \
        int64_t index[TENSOR_RANK_MAX] = {0}, at = 0;                                  \
        bool extreme = reduction == MAX || reduction == MIN;                           \
        uint64_t turn = extreme ? (flip) : 0;                                          \
        uint64_t first = reduction == MAX    ? (uint64_t)(lowest) ^ turn               \
                         : reduction == MIN  ? (uint64_t)(highest) ^ turn              \
                         : reduction == PROD ? 1                                       \
                                             : 0;                                      \
        for (size_t i = 0; i < count; i++) {                                           \
            int64_t inner[TENSOR_RANK_MAX] = {0}, from = at;                           \
            uint64_t sum = first;                                                      \
            bool more = memo->count > 0;                                               \
            while (more) {                                                             \
                sum = step_whole(reduction, sum, (int64_t)((uint64_t)x[from] ^ turn)); \
                more = next(memo->reduced, memo->dims, memo->steps, inner, &from);     \
            }                                                                          \
            y[i] = (type)(last_whole(reduction, sum, memo->count) ^ (int64_t)turn);    \
            (void)next(memo->kept, memo->kept_dims, memo->kept_steps, index, &at);     \
        }                                                                              \
    }

WHOLE(i8, int8_t, INT8_MIN, INT8_MAX, 0)
WHOLE(u8, uint8_t, 0, UINT8_MAX, 0)
WHOLE(i16, int16_t, INT16_MIN, INT16_MAX, 0)
WHOLE(u16, uint16_t, 0, UINT16_MAX, 0)
WHOLE(i32, int32_t, INT32_MIN, INT32_MAX, 0)
WHOLE(u32, uint32_t, 0, UINT32_MAX, 0)
WHOLE(i64, int64_t, INT64_MIN, INT64_MAX, 0)
WHOLE(u64, uint64_t, 0, UINT64_MAX, UINT64_C(1) << 63)
WHOLE(bool, bool, 0, 1, 0)

/* ---- run ----------------------------------------------------------------------- */

#define EACH_REDUCED(CASE) \
    CASE(DTYPE_F32, f32)   \
    CASE(DTYPE_F64, f64)   \
    CASE(DTYPE_I8, i8)     \
    CASE(DTYPE_U8, u8)     \
    CASE(DTYPE_I16, i16)   \
    CASE(DTYPE_U16, u16)   \
    CASE(DTYPE_I32, i32)   \
    CASE(DTYPE_U32, u32)   \
    CASE(DTYPE_I64, i64)   \
    CASE(DTYPE_U64, u64)

/* Columns that are summed side by side. */
#define COLUMNS 64

static void add_rows(const float *x, int64_t rows, int64_t step, int64_t columns,
                     double *sums) {
    int64_t row = 0;
    for (; row + 4 <= rows; row += 4, x += 4 * step) { /* fewer walks over the sums */
        for (int64_t i = 0; i < columns; i++) {
            const float *c = x + i;
            double left = (double)c[0] + (double)c[step];
            sums[i] += left + ((double)c[2 * step] + (double)c[3 * step]);
        }
    }
    for (; row < rows; row++, x += step) {
        for (int64_t i = 0; i < columns; i++) {
            sums[i] += (double)x[i];
        }
    }
}

static void most_of_rows(const float *x, int64_t rows, int64_t step, int64_t columns,
                         double *sums) {
    for (int64_t row = 0; row < rows; row++, x += step) {
        for (int64_t i = 0; i < columns; i++) {
            double element = (double)x[i];
            sums[i] = element > sums[i] || isnan(element) ? element : sums[i];
        }
    }
}

static void least_of_rows(const float *x, int64_t rows, int64_t step, int64_t columns,
                          double *sums) {
    for (int64_t row = 0; row < rows; row++, x += step) {
        for (int64_t i = 0; i < columns; i++) {
            double element = (double)x[i];
            sums[i] = element < sums[i] || isnan(element) ? element : sums[i];
        }
    }
}

/* The least of `count` neighbours, at least one; a NaN where there is one.  Four chains,
 * because one would wait for each comparison. */
static float least_of_row(const float *x, int64_t count) {
    float least[4] = {x[0], x[0], x[0], x[0]}, nan = 0;
    int64_t i = 0;
    for (; i + 4 <= count; i += 4) {
        for (int k = 0; k < 4; k++) {
            least[k] = x[i + k] < least[k] ? x[i + k] : least[k];
            nan = isnan(x[i + k]) ? x[i + k] : nan;
        }
    }
    for (; i < count; i++) {
        least[0] = x[i] < least[0] ? x[i] : least[0];
        nan = isnan(x[i]) ? x[i] : nan;
    }
    least[0] = least[1] < least[0] ? least[1] : least[0];
    least[2] = least[3] < least[2] ? least[3] : least[2];
    return isnan(nan) ? nan : least[2] < least[0] ? least[2] : least[0];
}

/* x [outer, memo->count, memo->inner] to y [outer, memo->inner]. */
static void run_middle(enum reduction reduction, const struct reduce_memo *memo,
                       const float *x, int64_t outer, float *y) {
    for (int64_t o = 0; o < outer; o++, x += memo->count * memo->inner) {
        for (int64_t at = 0; at < memo->inner; at += COLUMNS) {
            double sums[COLUMNS];
            int64_t columns = memo->inner - at < COLUMNS ? memo->inner - at : COLUMNS;
            for (int64_t i = 0; i < columns; i++) {
                sums[i] = first_real(reduction);
            }
            (reduction == MAX ? most_of_rows
             : reduction == MIN
                 ? least_of_rows
                 : add_rows)(x + at, memo->count, memo->inner, columns, sums);
            for (int64_t i = 0; i < columns; i++) {
                *y++ = (float)last_real(reduction, sums[i], memo->count);
            }
        }
    }
}

/* x [outer, count / tail, inner, tail] to y [outer, inner]: groups of channels, say. */
static void run_around(enum reduction reduction, const struct reduce_memo *memo,
                       const float *x, int64_t outer, float *y) {
    const int64_t rows = memo->count / memo->tail, row = memo->inner * memo->tail;
    for (int64_t o = 0; o < outer; o++, x += rows * row) {
        for (int64_t at = 0; at < memo->inner; at += COLUMNS) {
            double sums[COLUMNS] = {0};
            float parts[COLUMNS];
            int64_t columns = memo->inner - at < COLUMNS ? memo->inner - at : COLUMNS;
            for (int64_t r = 0; r < rows; r++) {
                reduce_rows_sum(columns, memo->tail, x + r * row + at * memo->tail,
                                parts);
                for (int64_t i = 0; i < columns; i++) {
                    sums[i] += (double)parts[i];
                }
            }
            for (int64_t i = 0; i < columns; i++) {
                *y++ = (float)last_real(reduction, sums[i], memo->count);
            }
        }
    }
}

/* The kernels' ways; false where there is none. */
static bool run_fast(enum reduction reduction, const struct reduce_memo *memo,
                     const struct tensor *x, int64_t rows, float *y) {
    bool in_rows =
        reduction == SUM || reduction == MEAN || reduction == MAX || reduction == MIN;
    if (x->dtype != DTYPE_F32 || memo->count == 0) {
        return false;
    }
    if (in_rows && memo->together && memo->inner > 1) {
        run_middle(reduction, memo, x->data, rows / memo->inner, y);
        return true;
    }
    if (!memo->together && memo->tail > 0 && (reduction == SUM || reduction == MEAN)) {
        run_around(reduction, memo, x->data, rows / memo->inner, y);
        return true;
    }
    if (!memo->together || memo->inner != 1) {
        return false;
    }
    if (reduction == MAX) {
        reduce_rows_max(rows, memo->count, x->data, y);
        return true;
    }
    for (int64_t r = 0; reduction == MIN && r < rows; r++) {
        y[r] = least_of_row((const float *)x->data + r * memo->count, memo->count);
    }
    if (reduction != SUM && reduction != MEAN) {
        return reduction == MIN;
    }
    reduce_rows_sum(rows, memo->count, x->data, y);
    if (reduction == MEAN) {
        float size = (float)memo->count;
        ew_binary(EW_DIV, EW_SCALAR_B, rows, y, &size, y);
    }
    return true;
}

static enum status run(struct exec *exec, struct error *err) {
    const enum reduction *reduction = exec->node->op->param;
    const struct reduce_memo *memo = exec->memo;
    const struct tensor *x = exec->x[0];
    size_t count = tensor_count(exec->y[0]);
    void *y = exec->y[0]->data;
    (void)err; /* cannot fail */
    if (count == 0 || run_fast(*reduction, memo, x, (int64_t)count, y)) {
        return STATUS_OK;
    }
    switch (x->dtype) {
#define CASE(dtype, name)                                \
    case dtype:                                          \
        run_##name(*reduction, memo, x->data, count, y); \
        break;
        EACH_REDUCED(CASE)
        CASE(DTYPE_BOOL, bool)
#undef CASE
    case DTYPE_NONE:
    case DTYPE_STRING:
    case DTYPE_F16:
    case DTYPE_BF16:
    CASE_DTYPE_UNUSUAL:
        break; /* refused at load */
    }
    return STATUS_OK;
}

/* ---- ArgMax, ArgMin ------------------------------------------------------------ */

struct arg_state {
    int64_t axis;
    bool keep_dims, last;
};

static enum status arg_prepare(struct load *load, struct error *err) {
    struct arg_state *state = load_state(load, struct arg_state);
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    status = attr_int(load->node, "axis", 0, &state->axis, err);
    if (status == STATUS_OK) {
        status = attr_bool(load->node, "keepdims", true, &state->keep_dims, err);
    }
    if (status == STATUS_OK) {
        status = attr_bool(load->node, "select_last_index", false, &state->last, err);
    }
    return status;
}

static enum status arg_shape(struct exec *exec, struct error *err) {
    const struct arg_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    int axis;
    enum status status = exec_axis(exec, state->axis, x->rank, &axis, err);
    if (status != STATUS_OK) {
        return status;
    }
    if (x->dims[axis] == 0) {
        return node_error(exec->node, err, STATUS_POISON,
                          "axis %d is empty, so it has no extreme", axis);
    }
    split_axes(exec, 1U << axis, state->keep_dims);
    return STATUS_OK;
}

#define ARG(name, type)                                                                 \
    static void arg_##name(bool least, bool last, const struct reduce_memo *memo,       \
                           const type *x, size_t count, int64_t *y) {                   \
        int64_t index[TENSOR_RANK_MAX] = {0}, at = 0;                                   \
        for (size_t i = 0; i < count; i++) {                                            \
            int64_t best = 0;                                                           \
            for (int64_t j = 1; j < memo->count; j++) {                                 \
                type a = x[at + j * memo->steps[0]], b = x[at + best * memo->steps[0]]; \
                if ((least ? a < b : a > b) || (last && !(least ? a > b : a < b))) {    \
                    best = j;                                                           \
                }                                                                       \
            }                                                                           \
            y[i] = best;                                                                \
            (void)next(memo->kept, memo->kept_dims, memo->kept_steps, index, &at);      \
        }                                                                               \
    }

ARG(f32, float)
ARG(f64, double)
ARG(i8, int8_t)
ARG(u8, uint8_t)
ARG(i16, int16_t)
ARG(u16, uint16_t)
ARG(i32, int32_t)
ARG(u32, uint32_t)
ARG(i64, int64_t)
ARG(u64, uint64_t)

static enum status arg_run(struct exec *exec, struct error *err) {
    const struct arg_state *state = exec->node->state;
    const struct reduce_memo *memo = exec->memo;
    const bool *least = exec->node->op->param;
    const struct tensor *x = exec->x[0];
    size_t count = tensor_count(exec->y[0]);
    int64_t *y = exec->y[0]->data;
    (void)err; /* cannot fail */
    switch (x->dtype) {
#define CASE(dtype, name)                                         \
    case dtype:                                                   \
        arg_##name(*least, state->last, memo, x->data, count, y); \
        break;
        EACH_REDUCED(CASE)
#undef CASE
    case DTYPE_NONE:
    case DTYPE_BOOL:
    case DTYPE_STRING:
    case DTYPE_F16:
    case DTYPE_BF16:
    CASE_DTYPE_UNUSUAL:
        break; /* refused at load */
    }
    return STATUS_OK;
}

/* ---- the table ----------------------------------------------------------------- */

#define TYPES_REDUCED TYPES_NUMBER

static const enum reduction sum = SUM, mean = MEAN, max = MAX, min = MIN, prod = PROD,
                            l1 = L1, l2 = L2, sum_square = SUM_SQUARE, log_sum = LOG_SUM,
                            log_sum_exp = LOG_SUM_EXP;
static const bool most = false, least = true;

/* Axes were an attribute until `moved` made them an input. */
#define REDUCE(text, moved, which, allowed)                                             \
    {                                                                                   \
        .name = text,                                                                   \
        .since = 1,                                                                     \
        .inputs_min = 1,                                                                \
        .inputs_max = 1,                                                                \
        .types = {allowed},                                                             \
        .memo_size = sizeof(struct reduce_memo),                                        \
        .param = &(which),                                                              \
        .prepare = prepare,                                                             \
        .shape = shape,                                                                 \
        .run = run,                                                                     \
    },                                                                                  \
    {                                                                                   \
        .name = text, .since = moved, .inputs_min = 1, .inputs_max = 2,                 \
        .shape_inputs = 2, .types = {allowed, TYPES_I64},                               \
        .memo_size = sizeof(struct reduce_memo), .param = &(which), .prepare = prepare, \
        .shape = shape, .run = run,                                                     \
    }
#define EXTREME(text, which)                                        \
    {                                                               \
        .name = text, .since = 1, .inputs_min = 1, .inputs_max = 1, \
        .types = {TYPES_REDUCED}, .output_dtype = DTYPE_I64,        \
        .memo_size = sizeof(struct reduce_memo), .param = &(which), \
        .prepare = arg_prepare, .shape = arg_shape, .run = arg_run, \
    }

static const struct op ops[] = {
    REDUCE("ReduceSum", 13, sum, TYPES_REDUCED),
    REDUCE("ReduceMean", 18, mean, TYPES_REDUCED),
    REDUCE("ReduceMax", 18, max, TYPES_REDUCED | TYPES_BOOL),
    REDUCE("ReduceMin", 18, min, TYPES_REDUCED | TYPES_BOOL),
    REDUCE("ReduceProd", 18, prod, TYPES_REDUCED),
    REDUCE("ReduceL1", 18, l1, TYPES_REDUCED),
    REDUCE("ReduceL2", 18, l2, TYPES_REDUCED),
    REDUCE("ReduceSumSquare", 18, sum_square, TYPES_REDUCED),
    REDUCE("ReduceLogSum", 18, log_sum, TYPES_FLOAT),
    REDUCE("ReduceLogSumExp", 18, log_sum_exp, TYPES_FLOAT),
    EXTREME("ArgMax", most),
    EXTREME("ArgMin", least),
};

const struct op_list ops_reduce = OP_LIST(ops);
