/* matmul_integer.c - MatMulInteger and QLinearMatMul: products of 8-bit integers, summed
 * exactly in 32 bits. */
#include "base/size.h"
#include "engine/kernels/gemm_i16.h"
#include "engine/ops/bytes.h"
#include "engine/ops/number.h"
#include "engine/ops/ops.h"

/* Places of the inputs: MatMulInteger's, or QLinearMatMul's. */
struct places {
    int b, a_zero, b_zero;
    int a_scale, b_scale, y_scale, y_zero; /* 0 where there are none */
};

/* Sizes of the product and of what is multiplied in turn. */
struct product {
    int64_t m, n, k;
    int64_t lda;                     /* k, rounded up to pairs */
    size_t packed_at, rows_at, a_at; /* in scratch, in bytes, behind the sums */
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

/* A scale or zero point: one number, or one for each of `lines`. */
static bool fits_lines(const struct exec *exec, int input, int64_t lines) {
    size_t count = input > 0 && exec_has(exec, input) ? tensor_count(exec->x[input]) : 1;
    return count == 1 || count == (size_t)lines;
}

static bool factors_fit(const struct exec *exec, const struct places *places, int64_t m,
                        int64_t n) {
    return (!exec_has(exec, places->b_zero) || bytes_in(exec->x[places->b_zero])) &&
           fits_lines(exec, places->a_zero, m) && fits_lines(exec, places->a_scale, m) &&
           fits_lines(exec, places->b_zero, n) && fits_lines(exec, places->b_scale, n) &&
           fits_lines(exec, places->y_scale, 1) && fits_lines(exec, places->y_zero, 1);
}

static bool plan_scratch(struct product *product, size_t *size) {
    const size_t packed = gemm_i16_pack_size(product->k, product->n);
    product->lda = product->k + product->k % 2;
    product->packed_at = (size_t)(product->m * product->n) * sizeof(int32_t);
    if (!size_add(product->packed_at, packed, &product->rows_at)) {
        return false;
    }
    product->a_at = product->rows_at + 2 * (size_t)product->n * sizeof(int16_t);
    return size_add(product->a_at, (size_t)(product->m * product->lda) * sizeof(int16_t),
                    size);
}

static enum status shape(struct exec *exec, struct error *err) {
    const struct places *places = exec->node->op->param;
    const struct tensor *a = exec->x[0], *b = exec->x[places->b];
    struct product *product = exec->memo;
    struct tensor *y = exec->y[0];
    if (a->rank < 2 || b->rank < 2 || a->dims[a->rank - 1] != b->dims[b->rank - 2] ||
        !plan_batch(product, a, b)) {
        return misfit(exec, b, err);
    }
    product->m = a->dims[a->rank - 2];
    product->k = a->dims[a->rank - 1];
    product->n = b->dims[b->rank - 1];
    if (!factors_fit(exec, places, product->m, product->n)) {
        return node_error(exec->node, err, STATUS_POISON,
                          "a scale or zero point is neither one number nor one for each "
                          "row or column, or a zero point is no byte");
    }
    y->rank = product->batch_rank + 2;
    memcpy(y->dims, product->batch, sizeof(y->dims));
    y->dims[y->rank - 2] = product->m;
    y->dims[y->rank - 1] = product->n;
    if (!plan_scratch(product, &exec->scratch_size)) {
        return misfit(exec, b, err);
    }
    return STATUS_OK;
}

/* A zero point for the tensor, or one for each row (column). */
static int32_t zero_at(const struct tensor *zero, int64_t line) {
    if (zero == NULL) {
        return 0;
    }
    return (int32_t)number_integer(zero, tensor_count(zero) == 1 ? 0 : line);
}

static double scale_at(const struct tensor *scale, int64_t line) {
    return number_real(scale, tensor_count(scale) == 1 ? 0 : line);
}

/* A's rows, without their zero points, [m, k rounded up to pairs]. */
static void widen_rows(const struct tensor *x, int64_t first,
                       const struct product *product, const struct tensor *zero,
                       int16_t *to) {
    for (int64_t i = 0; i < product->m; i++) {
        int16_t *row = to + i * product->lda;
        bytes_widen(x, first + i * product->k, product->k, 1, zero_at(zero, i), row);
        if (product->lda > product->k) {
            row[product->k] = 0;
        }
    }
}

/* B packed, without the zero points of its columns; `rows` has room for two. */
static void pack(const struct tensor *x, int64_t first, const struct product *product,
                 const struct tensor *zero, int16_t *rows, int16_t *packed) {
    const bool by_column = zero != NULL && tensor_count(zero) > 1;
    const int64_t k = product->k, n = product->n;
    for (int64_t i = 0; i < k; i++) {
        int16_t *row = rows + i % 2 * n;
        bytes_widen(x, first + i * n, n, 1, by_column ? 0 : zero_at(zero, 0), row);
        for (int64_t j = 0; by_column && j < n; j++) {
            row[j] = (int16_t)(row[j] - zero_at(zero, j));
        }
        if (i % 2 == 1 || i == k - 1) {
            gemm_i16_pack(k, n, i / 2, rows, i % 2 == 1 ? rows + n : NULL, packed);
        }
    }
}

static void store(const struct exec *exec, const struct places *places,
                  const struct product *product, const int32_t *sums, int64_t first) {
    struct tensor *y = exec->y[0];
    const struct tensor *a_scale, *b_scale;
    double zero;
    const int64_t n = product->n;
    if (places->y_scale == 0) {
        memcpy((int32_t *)y->data + first, sums,
               (size_t)(product->m * product->n) * sizeof(*sums));
        return;
    }
    a_scale = exec->x[places->a_scale];
    b_scale = exec->x[places->b_scale];
    zero = number_real(exec->x[places->y_zero], 0);
    for (int64_t i = 0; i < product->m; i++) {
        uint8_t *row = (uint8_t *)y->data + first + i * n;
        const double left = scale_at(a_scale, i);
        const double by = number_real(exec->x[places->y_scale], 0);
        const bool one = tensor_count(b_scale) == 1;
        const double scale = left * scale_at(b_scale, 0) / by;
        if (one) {
            quantize_sums(n, sums + i * n, 0, scale, zero, bytes_low(y), row);
        }
        for (int64_t j = 0; !one && j < n; j++) {
            quantize_sums(1, sums + i * n + j, 0, left * scale_at(b_scale, j) / by, zero,
                          bytes_low(y), row + j);
        }
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const struct places *places = exec->node->op->param;
    const struct product *product = exec->memo;
    const struct tensor *a_zero =
        exec_has(exec, places->a_zero) ? exec->x[places->a_zero] : NULL;
    const struct tensor *b_zero =
        exec_has(exec, places->b_zero) ? exec->x[places->b_zero] : NULL;
    int64_t m = product->m, n = product->n, k = product->k, count = 1;
    int64_t packed_from = -1;
    unsigned char *scratch = exec->scratch;
    int32_t *sums = exec->scratch;
    int16_t *packed = (int16_t *)(void *)(scratch + product->packed_at);
    int16_t *rows = (int16_t *)(void *)(scratch + product->rows_at);
    int16_t *a = (int16_t *)(void *)(scratch + product->a_at);
    (void)err; /* cannot fail */
    for (int i = 0; i < product->batch_rank; i++) {
        count *= product->batch[i];
    }
    for (int64_t i = 0; m * n > 0 && i < count; i++) {
        int64_t left = i, a_at = 0, b_at = 0;
        for (int d = product->batch_rank - 1; d >= 0; d--) {
            a_at += left % product->batch[d] * product->a_steps[d];
            b_at += left % product->batch[d] * product->b_steps[d];
            left /= product->batch[d];
        }
        widen_rows(exec->x[0], a_at * m * k, product, a_zero, a);
        if (b_at != packed_from) { /* most often there is one B for all */
            pack(exec->x[places->b], b_at * k * n, product, b_zero, rows, packed);
            packed_from = b_at;
        }
        gemm_i16(m, n, k, a, product->lda, packed, sums, n);
        store(exec, places, product, sums, i * m * n);
    }
    return STATUS_OK;
}

static const struct places plain = {.b = 1, .a_zero = 2, .b_zero = 3};
static const struct places scaled = {.b = 3,
                                     .a_scale = 1,
                                     .a_zero = 2,
                                     .b_scale = 4,
                                     .b_zero = 5,
                                     .y_scale = 6,
                                     .y_zero = 7};

static enum status scaled_prepare(struct load *load, struct error *err) {
    enum dtype dtype = graph_input_dtype(load->graph, load->node, scaled.y_zero);
    if (dtype != DTYPE_U8 && dtype != DTYPE_I8) {
        return node_error(load->node, err, STATUS_UNSUPPORTED, "makes %s",
                          dtype_name(dtype));
    }
    graph_set_output(load->graph, load->node, 0, dtype);
    return STATUS_OK;
}

#define TYPES_8 (TYPE_BIT(DTYPE_U8) | TYPE_BIT(DTYPE_I8))

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
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_matmul_integer = OP_LIST(ops);
