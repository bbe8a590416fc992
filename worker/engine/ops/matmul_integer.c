/* matmul_integer.c - products of 8-bit integers, summed exactly in 32 bits: MatMulInteger
 * leaves the sums, QLinearMatMul and QGemm make bytes of them again, MatMulIntegerToFloat
 * floats. */
#include "base/size.h"
#include "engine/ops/bytes.h"
#include "engine/ops/number.h"
#include "engine/ops/ops.h"

/* Places of the inputs; 0 where there are none. */
struct places {
    int b, a_zero, b_zero;
    int a_scale, b_scale, y_scale, y_zero;
    int sum_bias, bias; /* of int32, added to the sums; of floats, to the result */
};

struct product_state {
    bool trans_b;
    float alpha;
    const void *packed; /* B, or NULL where it is not constant */
};

/* How an int32 bias is spread over the result. */
enum spread { SPREAD_ALL, SPREAD_COLUMNS, SPREAD_ROWS, SPREAD_ELEMENTS, SPREAD_MISFIT };

/* Sizes of the product and of what is multiplied in turn. */
struct product {
    int64_t m, n, k;
    enum spread bias_spread;
    bool by_row; /* rows of A have zero points, scales or biases of their own */
    /* In scratch, in bytes, behind `add`. */
    size_t zeros_at, scales_at, bias_at, row_sums_at, a_at, packed_at;
    int batch_rank;
    int64_t batch[TENSOR_RANK_MAX];
    int64_t a_steps[TENSOR_RANK_MAX], b_steps[TENSOR_RANK_MAX]; /* in matrices */
};

static enum status misfit(const struct exec *exec, const struct tensor *b,
                          struct error *err) {
    const struct tensor *a = exec->x[0];
    char left[TENSOR_SHAPE_TEXT_MAX], right[TENSOR_SHAPE_TEXT_MAX];
    return node_error(exec->node, err, STATUS_POISON, "%s and %s cannot be multiplied",
                      tensor_shape_text(a->dims, a->rank, left, sizeof(left)),
                      tensor_shape_text(b->dims, b->rank, right, sizeof(right)));
}

/* ---- load ------------------------------------------------------------------------- */

static enum status prepare(struct load *load, struct error *err) {
    const struct places *places = load->node->op->param;
    const int floats[] = {places->a_scale, places->b_scale, places->y_scale,
                          places->bias};
    struct product_state *state = load_state(load, struct product_state);
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    state->alpha = 1;
    return bytes_check_types(load, floats, ARRAY_COUNT(floats), places->sum_bias, err);
}

/* The result has the type of its zero point. */
static enum status set_bytes(struct load *load, struct error *err) {
    const struct places *places = load->node->op->param;
    enum dtype dtype = graph_input_dtype(load->graph, load->node, places->y_zero);
    if (dtype != DTYPE_U8 && dtype != DTYPE_I8) {
        return node_error(load->node, err, STATUS_UNSUPPORTED, "makes %s",
                          dtype_name(dtype));
    }
    graph_set_output(load->graph, load->node, 0, dtype);
    return STATUS_OK;
}

static enum status scaled_prepare(struct load *load, struct error *err) {
    enum status status = prepare(load, err);
    return status == STATUS_OK ? set_bytes(load, err) : status;
}

/* Bytes where it has a scale for its result, else floats. */
static enum status gemm_prepare(struct load *load, struct error *err) {
    const struct places *places = load->node->op->param;
    struct product_state *state;
    enum status status = prepare(load, err);
    if (status != STATUS_OK) {
        return status;
    }
    state = load->node->state;
    status = attr_bool(load->node, "transB", false, &state->trans_b, err);
    if (status == STATUS_OK) {
        status = attr_float(load->node, "alpha", 1, &state->alpha, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (graph_input(load->graph, load->node, places->y_scale) != NULL) {
        return set_bytes(load, err);
    }
    graph_set_output(load->graph, load->node, 0, DTYPE_F32);
    return STATUS_OK;
}

static void pack_matrix(const struct product_state *state, const struct tensor *b,
                        int64_t first, int64_t k, int64_t n, void *packed) {
    gemm_bytes_pack(k, n, (const uint8_t *)b->data + first, state->trans_b ? 1 : n,
                    state->trans_b ? k : 1, bytes_right_flip(b->dtype), packed);
}

static enum status pack(struct load *load, struct error *err) {
    const struct places *places = load->node->op->param;
    struct product_state *state = load->node->state;
    const struct tensor *b = graph_constant(load->graph, load->node, places->b);
    int64_t k, n;
    size_t size;
    void *packed;
    if (b == NULL || b->rank != 2) {
        return STATUS_OK;
    }
    k = b->dims[state->trans_b ? 1 : 0];
    n = b->dims[state->trans_b ? 0 : 1];
    size = gemm_bytes_pack_size(k, n);
    packed = size == SIZE_MAX ? NULL : graph_memory(load->graph, size);
    if (packed == NULL) {
        return load_no_memory(load, err);
    }
    pack_matrix(state, b, 0, k, n, packed);
    state->packed = packed;
    load->consumed = 1U << (unsigned)places->b;
    return STATUS_OK;
}

/* ---- shape ------------------------------------------------------------------------ */

/* Dimension `i` of `rank` batch axes, 1 where the tensor has fewer. */
static int64_t batch_dim(const struct tensor *x, int rank, int i) {
    int own = x->rank - 2 - (rank - i);
    return own >= 0 ? x->dims[own] : 1;
}

static bool plan_batch(struct product *product, const struct tensor *a,
                       const struct tensor *b) {
    int rank = (a->rank > b->rank ? a->rank : b->rank) - 2;
    int64_t a_step = 1, b_step = 1;
    product->batch_rank = rank;
    for (int i = rank - 1; i >= 0; i--) {
        int64_t p = batch_dim(a, rank, i), q = batch_dim(b, rank, i);
        if (p != q && p != 1 && q != 1) {
            return false;
        }
        product->batch[i] = p == 1 ? q : p;
        product->a_steps[i] = p == 1 ? 0 : a_step;
        product->b_steps[i] = q == 1 ? 0 : b_step;
        a_step *= p;
        b_step *= q;
    }
    return true;
}

static enum spread spread_of(const struct tensor *bias, int64_t m, int64_t n) {
    const int64_t count = bias == NULL ? 1 : (int64_t)tensor_count(bias);
    const int64_t last = bias == NULL || bias->rank == 0 ? 1 : bias->dims[bias->rank - 1];
    return count == 1                    ? SPREAD_ALL
           : count == n && last == n     ? SPREAD_COLUMNS
           : count == m && last == 1     ? SPREAD_ROWS
           : count == m * n && last == n ? SPREAD_ELEMENTS
                                         : SPREAD_MISFIT;
}

static bool factors_fit(const struct exec *exec, const struct places *places,
                        const struct product *product) {
    const int64_t m = product->m, n = product->n;
    const struct tensor *b_zero = bytes_input(exec, places->b_zero);
    const struct tensor *y_zero = bytes_input(exec, places->y_zero);
    return (b_zero == NULL || bytes_in(b_zero)) && (y_zero == NULL || bytes_in(y_zero)) &&
           bytes_fits(bytes_input(exec, places->a_zero), m) &&
           bytes_fits(bytes_input(exec, places->a_scale), m) && bytes_fits(b_zero, n) &&
           bytes_fits(bytes_input(exec, places->b_scale), n) &&
           bytes_fits(bytes_input(exec, places->y_scale), 1) && bytes_fits(y_zero, 1) &&
           bytes_fits(bytes_input(exec, places->bias), n) &&
           spread_of(bytes_input(exec, places->sum_bias), m, n) != SPREAD_MISFIT;
}

static bool is_one(const struct tensor *x) {
    return x == NULL || tensor_count(x) == 1;
}

/* What rows of A have of their own; else all rows that meet the same B are one matrix. */
static void join_rows(const struct exec *exec, const struct places *places,
                      struct product *product) {
    product->bias_spread =
        spread_of(bytes_input(exec, places->sum_bias), product->m, product->n);
    product->by_row = !is_one(bytes_input(exec, places->a_zero)) ||
                      !is_one(bytes_input(exec, places->a_scale)) ||
                      product->bias_spread > SPREAD_COLUMNS;
    for (int i = 0; i < product->batch_rank; i++) {
        if (product->by_row || product->b_steps[i] != 0) {
            return;
        }
    }
    for (int i = 0; i < product->batch_rank; i++) {
        product->m *= product->batch[i];
    }
    product->batch_rank = 0;
}

/* Rows of A are multiplied where they lie. */
static bool reads_in_place(const struct exec *exec, const struct product *product) {
    return exec->x[0]->dtype == DTYPE_U8 && gemm_bytes_row_size(product->k) == product->k;
}

static bool plan_scratch(const struct exec *exec, struct product *product, size_t *size) {
    const struct places *places = exec->node->op->param;
    const struct product_state *state = exec->node->state;
    const size_t line =
        size_align(((size_t)product->n + GEMM_BYTES_SLACK) * sizeof(int32_t), 64);
    const size_t a_size =
        reads_in_place(exec, product) ? 0 : (size_t)gemm_bytes_row_size(product->k);
    const size_t packed =
        state->packed != NULL ? 0 : gemm_bytes_pack_size(product->k, product->n);
    size_t rows;
    product->zeros_at = line;
    product->scales_at = 2 * line;
    product->bias_at = product->scales_at + line;
    product->row_sums_at = product->bias_at + (places->bias > 0 ? line : 0);
    product->a_at =
        product->row_sums_at + size_align((size_t)product->m * sizeof(int32_t), 64);
    return size_mul((size_t)product->m, a_size, &rows) &&
           size_add(size_align(rows, 64), product->a_at, &product->packed_at) &&
           size_add(product->packed_at, packed, size);
}

/* A vector as a matrix of one row, or of one column. */
static struct tensor as_matrix(const struct tensor *x, bool column) {
    struct tensor made = *x;
    if (x->rank == 1) {
        made.rank = 2;
        made.dims[0] = column ? x->dims[0] : 1;
        made.dims[1] = column ? 1 : x->dims[0];
    }
    return made;
}

/* Without the axes that vectors did not have. */
static void set_output(const struct exec *exec, const struct product *product,
                       const struct tensor *b) {
    struct tensor *y = exec->y[0];
    y->rank = product->batch_rank;
    memcpy(y->dims, product->batch, sizeof(y->dims));
    if (exec->x[0]->rank > 1) {
        y->dims[y->rank++] = product->m;
    }
    if (b->rank > 1) {
        y->dims[y->rank++] = product->n;
    }
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct places *places = exec->node->op->param;
    const struct product_state *state = exec->node->state;
    const struct tensor *b = exec->x[places->b];
    const struct tensor left = as_matrix(exec->x[0], false), right = as_matrix(b, true);
    struct product *product = exec->memo;
    const int turned = state->trans_b ? 1 : 0;
    if (left.rank < 2 || right.rank < 2 || (b->rank == 1 && state->trans_b) ||
        left.dims[left.rank - 1] != right.dims[right.rank - 2 + turned] ||
        !plan_batch(product, &left, &right)) {
        return misfit(exec, b, err);
    }
    product->m = left.dims[left.rank - 2];
    product->k = left.dims[left.rank - 1];
    product->n = right.dims[right.rank - 1 - turned];
    if (!factors_fit(exec, places, product)) {
        return node_error(exec->node, err, STATUS_POISON,
                          "a scale, zero point or bias is neither one number nor one for "
                          "each row or column, or a zero point is no byte");
    }
    set_output(exec, product, b);
    join_rows(exec, places, product);
    if (!plan_scratch(exec, product, &exec->scratch_size)) {
        return misfit(exec, b, err);
    }
    return STATUS_OK;
}

/* ---- run -------------------------------------------------------------------------- */

/* One run: what its products share. */
struct work {
    const struct exec *exec;
    const struct places *places;
    const struct product_state *state;
    const struct product *product;
    unsigned char *scratch;
    const int32_t *zeros; /* of B's columns; NULL where all are 0 */
    struct gemm_bytes_tail tail;
};

static void begin(struct work *w) {
    const struct exec *exec = w->exec;
    const struct product *product = w->product;
    const struct tensor *y = exec->y[0], *bias = bytes_input(exec, w->places->bias);
    const struct tensor *y_zero = bytes_input(exec, w->places->y_zero);
    int32_t *zeros = (int32_t *)(void *)(w->scratch + product->zeros_at);
    float *biases = (float *)(void *)(w->scratch + product->bias_at);
    const bool any =
        bytes_right_zeros(bytes_input(exec, w->places->b_zero), product->n,
                          bytes_right_flip(exec->x[w->places->b]->dtype), zeros);
    w->zeros = any ? zeros : NULL;
    w->tail.form = y->dtype == DTYPE_I32   ? GEMM_BYTES_SUMS
                   : y->dtype == DTYPE_F32 ? GEMM_BYTES_FLOATS
                                           : GEMM_BYTES_BYTES;
    w->tail.add = (const int32_t *)(void *)w->scratch;
    w->tail.b_zero = w->zeros;
    w->tail.row_sums = (const int32_t *)(void *)(w->scratch + product->row_sums_at);
    w->tail.scale = (const float *)(void *)(w->scratch + product->scales_at);
    w->tail.low = bytes_low(y);
    w->tail.zero = y_zero == NULL ? 0 : (int32_t)number_integer(y_zero, 0);
    if (bias != NULL) {
        for (int64_t j = 0; j < product->n; j++) {
            biases[j] = ((const float *)bias->data)[tensor_count(bias) == 1 ? 0 : j];
        }
        memset(biases + product->n, 0, GEMM_BYTES_SLACK * sizeof(*biases));
        w->tail.bias = biases;
    }
}

/* The int32 bias of a row: where it starts, and how far its elements are apart. */
static const int32_t *sum_bias(const struct work *w, int64_t row, int64_t *step) {
    const struct tensor *bias = bytes_input(w->exec, w->places->sum_bias);
    const enum spread spread = w->product->bias_spread;
    *step = spread == SPREAD_COLUMNS || spread == SPREAD_ELEMENTS ? 1 : 0;
    return bias == NULL ? NULL
                        : (const int32_t *)bias->data + (spread == SPREAD_ROWS ? row
                                                         : spread == SPREAD_ELEMENTS
                                                             ? row * w->product->n
                                                             : 0);
}

/* `rows` rows from `row` on, which have the same factors. */
static void multiply(const struct work *w, const uint8_t *a, int64_t lda,
                     const void *packed, int64_t row, int64_t rows, unsigned char *y) {
    const struct product *product = w->product;
    const struct tensor *a_scale = bytes_input(w->exec, w->places->a_scale);
    const size_t width = w->tail.form == GEMM_BYTES_BYTES ? 1 : 4;
    struct gemm_bytes_tail tail = w->tail;
    int64_t step;
    const int32_t *bias = sum_bias(w, row, &step);
    const int32_t zero = bytes_left_zero(bytes_input(w->exec, w->places->a_zero), row,
                                         bytes_left_flip(w->exec->x[0]->dtype));
    bytes_terms(product->n, product->k, zero, gemm_bytes_columns(packed), w->zeros, bias,
                step, (int32_t *)(void *)w->scratch);
    if (a_scale != NULL) {
        const float *left = a_scale->data;
        bytes_scales(product->n, w->state->alpha * left[is_one(a_scale) ? 0 : row],
                     w->exec->x[w->places->b_scale],
                     bytes_input(w->exec, w->places->y_scale),
                     (float *)(void *)(w->scratch + product->scales_at));
    }
    tail.row_sums += row;
    gemm_bytes(rows, product->n, product->k, a + row * lda, lda, packed, &tail,
               y + (size_t)(row * product->n) * width, product->n);
}

/* One matrix of A, [m,k], by one packed B. */
static void multiply_matrix(const struct work *w, const uint8_t *a, const void *packed,
                            unsigned char *y) {
    const struct product *product = w->product;
    const int64_t m = product->m, k = product->k;
    int64_t lda = k;
    if (!reads_in_place(w->exec, product)) {
        uint8_t *copy = w->scratch + product->a_at;
        gemm_bytes_copy(m, k, a, k, bytes_left_flip(w->exec->x[0]->dtype), copy);
        a = copy;
        lda = gemm_bytes_row_size(k);
    }
    if (w->zeros != NULL) {
        gemm_bytes_row_sums(m, k, a, lda,
                            (int32_t *)(void *)(w->scratch + product->row_sums_at));
    }
    if (!product->by_row) {
        multiply(w, a, lda, packed, 0, m, y);
        return;
    }
    for (int64_t row = 0; row < m; row++) {
        multiply(w, a, lda, packed, row, 1, y);
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const struct product *product = exec->memo;
    struct work w = {.exec = exec,
                     .places = exec->node->op->param,
                     .state = exec->node->state,
                     .product = product,
                     .scratch = exec->scratch};
    const struct tensor *a = exec->x[0], *b = exec->x[w.places->b];
    const int64_t m = product->m, n = product->n, k = product->k;
    const size_t size = (size_t)(m * n) * dtype_size(exec->y[0]->dtype);
    const void *packed = w.state->packed;
    int64_t count = 1, packed_from = -1;
    (void)err; /* cannot fail */
    for (int i = 0; i < product->batch_rank; i++) {
        count *= product->batch[i];
    }
    if (size == 0 || count == 0) {
        return STATUS_OK;
    }
    begin(&w);
    for (int64_t i = 0; i < count; i++) {
        int64_t left = i, a_at = 0, b_at = 0;
        for (int d = product->batch_rank - 1; d >= 0; d--) {
            a_at += left % product->batch[d] * product->a_steps[d];
            b_at += left % product->batch[d] * product->b_steps[d];
            left /= product->batch[d];
        }
        if (w.state->packed == NULL && b_at != packed_from) {
            packed = w.scratch + product->packed_at;
            pack_matrix(w.state, b, b_at * k * n, k, n, w.scratch + product->packed_at);
            packed_from = b_at;
        }
        multiply_matrix(&w, (const uint8_t *)a->data + a_at * m * k, packed,
                        (unsigned char *)exec->y[0]->data + (size_t)i * size);
    }
    if (exec->node->act.kind != ACT_NONE) {
        act_run(&exec->node->act, (int64_t)tensor_count(exec->y[0]), exec->y[0]->data,
                exec->y[0]->data);
    }
    return STATUS_OK;
}

/* ---- operators -------------------------------------------------------------------- */

static const struct places plain = {.b = 1, .a_zero = 2, .b_zero = 3};
static const struct places scaled = {.b = 3,
                                     .a_scale = 1,
                                     .a_zero = 2,
                                     .b_scale = 4,
                                     .b_zero = 5,
                                     .y_scale = 6,
                                     .y_zero = 7};
static const struct places to_float = {
    .b = 1, .a_scale = 2, .b_scale = 3, .a_zero = 4, .b_zero = 5, .bias = 6};
static const struct places gemm = {.b = 3,
                                   .a_scale = 1,
                                   .a_zero = 2,
                                   .b_scale = 4,
                                   .b_zero = 5,
                                   .sum_bias = 6,
                                   .y_scale = 7,
                                   .y_zero = 8};

static const struct op ops[] = {
    {
        .name = "MatMulInteger",
        .since = 10,
        .inputs_min = 2,
        .inputs_max = 4,
        .types = {TYPES_8, TYPES_8, TYPES_8, TYPES_8},
        .output_dtype = DTYPE_I32,
        .memo_size = sizeof(struct product),
        .param = &plain,
        .prepare = prepare,
        .pack = pack,
        .shape = shape,
        .run = run,
    },
    {
        .name = "QLinearMatMul",
        .since = 10,
        .inputs_min = 8,
        .inputs_max = 8,
        .types = {TYPES_8, TYPES_F32, TYPES_8, TYPES_8, TYPES_F32, TYPES_8 | TYPES_F32},
        .memo_size = sizeof(struct product),
        .param = &scaled,
        .prepare = scaled_prepare,
        .pack = pack,
        .shape = shape,
        .run = run,
    },
    {
        /* a, b, a_scale, b_scale, a_zero, b_zero, bias: com.microsoft's. */
        .domain = "millrace",
        .name = "MatMulIntegerToFloat",
        .since = 1,
        .inputs_min = 4,
        .inputs_max = 7,
        .flags = OP_FUSES_ACTIVATION,
        .types = {TYPES_8, TYPES_8, TYPES_F32, TYPES_F32, TYPES_8, TYPES_8 | TYPES_F32},
        .output_dtype = DTYPE_F32,
        .memo_size = sizeof(struct product),
        .param = &to_float,
        .prepare = prepare,
        .pack = pack,
        .shape = shape,
        .run = run,
    },
    {
        /* a, a_scale, a_zero, b, b_scale, b_zero, bias, y_scale, y_zero: com.microsoft's,
         * but for transA. */
        .domain = "millrace",
        .name = "QGemm",
        .since = 1,
        .inputs_min = 6,
        .inputs_max = 9,
        .flags = OP_FUSES_ACTIVATION,
        .types = {TYPES_8, TYPES_F32, TYPES_8, TYPES_8, TYPES_F32,
                  TYPES_8 | TYPES_F32 | TYPE_BIT(DTYPE_I32)},
        .memo_size = sizeof(struct product),
        .param = &gemm,
        .prepare = gemm_prepare,
        .pack = pack,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_matmul_integer = OP_LIST(ops);
