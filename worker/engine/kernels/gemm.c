/* gemm.c - blocking and packing around the tiles of gemm.inc.
 *
 *     for each block of k (512)                 C is read and written once for each
 *         for each block of rows (10 tiles)      fits the second cache; turned, on the
 *             for each panel of columns (32)      stack, where A is transposed
 *                 gemm_strip: the panel's block stays while the tiles pass, and the
 *                             next one is on its way
 *
 * Sums of unfinished blocks wait in C, as exact float32, so blocking changes no bit. */
#include "engine/kernels/gemm.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "engine/kernels/blas.h"
#include "engine/kernels/kernels.h"

#define BLOCK_TILES 10
#define BLOCK_ROWS_MAX (BLOCK_TILES * 14)
/* A dynamic B up to this many elements is read where it lies; a larger one is packed
 * first, because its rows lie on too many pages. */
#define DIRECT_COUNT_MAX (64 * 1024)
/* Of k, turned at once on the stack: 16 KiB. */
#define COLUMN_DEPTH 128

static int64_t min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

/* The width of all panels together. */
static int64_t packed_width(int64_t n) {
    return n == 1 ? 1 : divide_up(n, GEMM_PANEL_STEP) * GEMM_PANEL_STEP;
}

size_t gemm_pack_size(int64_t k, int64_t n) {
    size_t size = 0;
    if (!size_mul((size_t)packed_width(n), (size_t)k, &size) ||
        !size_mul(size, sizeof(float), &size) || !size_add(size, GEMM_ALIGN - 1, &size)) {
        return SIZE_MAX;
    }
    return size & ~(size_t)(GEMM_ALIGN - 1);
}

int64_t gemm_packed_index(int64_t k, int64_t n, int64_t p, int64_t j) {
    if (n == 1) {
        return p;
    }
    const int64_t col = j - j % GEMM_PANEL;
    return col * k + p * gemm_panel_width(n - col) + j - col;
}

/* One panel: rows of `width`, of which `cols` are real; b as for gemm_pack. */
static void pack_panel(int64_t k, int64_t cols, int64_t width, const float *b,
                       int64_t ldb, bool trans, float *packed) {
    if (cols < width) {
        memset(packed, 0, (size_t)(k * width) * sizeof(*packed));
    }
    if (trans) {
        kernels_current()->transpose(cols, k, b, ldb, packed, width);
        return;
    }
    for (int64_t p = 0; p < k; p++) {
        memcpy(packed + p * width, b + p * ldb, (size_t)cols * sizeof(*packed));
    }
}

void gemm_pack(int64_t k, int64_t n, const float *b, int64_t ldb, bool trans,
               float *packed) {
    if (n == 1) {
        pack_panel(k, 1, 1, b, ldb, trans, packed);
        return;
    }
    for (int64_t col = 0; col < n; col += GEMM_PANEL) {
        pack_panel(k, min64(n - col, GEMM_PANEL), gemm_panel_width(n - col),
                   b + col * (trans ? ldb : 1), ldb, trans, packed + col * k);
    }
}

size_t gemm_panel_count(int64_t k) {
    return (size_t)(k * GEMM_PANEL);
}

/* A panel's rows of [n,k] lie just where the packed panel is to be. */
void gemm_pack_in_place(int64_t k, int64_t n, float *b, float *scratch) {
    for (int64_t col = 0; n > 1 && col < n; col += GEMM_PANEL) {
        const int64_t cols = min64(n - col, GEMM_PANEL);
        memcpy(scratch, b + col * k, (size_t)(cols * k) * sizeof(*b));
        pack_panel(k, cols, gemm_panel_width(n - col), scratch, k, true, b + col * k);
    }
}

/* A product as the loops below see it: A may be transposed, B packed. */
struct product {
    int64_t m, n, k;
    const float *a;
    int64_t a_row, a_col;
    const float *b;
    int64_t ldb; /* 0 where b is packed */
    float *c;
    int64_t ldc;
    struct gemm_strip strip; /* alpha, bias and clamps of every strip */
    const struct act *rest;  /* what the tiles do not do, or NULL */
};

/* Packed B from column `col` and k from `p`. */
static const float *panel_at(const struct product *g, int64_t col, int64_t p) {
    return g->b + col * g->k + p * gemm_panel_width(g->n - col);
}

/* Sets the part of a strip that belongs to the columns from `col` and k from `p`. */
static void strip_columns(const struct product *g, int64_t col, int64_t p,
                          struct gemm_strip *s) {
    s->cols = min64(GEMM_PANEL, g->n - col);
    s->bias = g->strip.bias != NULL ? g->strip.bias + col : NULL;
    s->b_padded = g->ldb == 0;
    if (s->b_padded) {
        s->ldb = gemm_panel_width(g->n - col);
        s->b = panel_at(g, col, p);
    } else {
        s->ldb = g->ldb;
        s->b = g->b + p * g->ldb + col;
    }
}

/* The panel that follows the one at `col` and `p`, or NULL. */
static const float *panel_after(const struct product *g, int64_t col, int64_t p,
                                int64_t depth) {
    if (g->ldb != 0) {
        return NULL;
    }
    col += GEMM_PANEL;
    if (col >= g->n) {
        col = 0;
        p += depth;
    }
    return p < g->k ? panel_at(g, col, p) : NULL;
}

/* Rows of a transposed A. */
static void turn_rows(const struct product *g, int64_t row, int64_t rows, int64_t p,
                      int64_t depth, float *block) {
    const float *a = g->a + row * g->a_row + p * g->a_col;
    kernels_current()->transpose(depth, rows, a, g->a_col, block, GEMM_A_STRIDE);
}

static void run_rest(const struct product *g, int64_t row, int64_t rows) {
    for (int64_t i = row; i < row + rows && g->rest != NULL; i++) {
        act_run(g->rest, g->n, g->c + i * g->ldc, g->c + i * g->ldc);
    }
}

/* Few rows: no blocks, B is streamed once. */
static void run_few(const struct product *g, const struct kernels *kernels) {
    struct gemm_strip s = g->strip;
    s.rows = g->m;
    s.k = g->k;
    s.a = g->a;
    s.lda = g->a_row;
    s.ldc = g->ldc;
    s.last = true;
    if (g->ldb == 0) {
        s.b = g->b;
        s.c = g->c;
        s.b_padded = true;
        kernels->gemm_few(&s, g->n);
    } else {
        for (int64_t col = 0; col < g->n; col += GEMM_PANEL) {
            strip_columns(g, col, 0, &s);
            s.c = g->c + col;
            kernels->gemm_strip(&s);
        }
    }
    run_rest(g, 0, g->m);
}

static void run_block(const struct product *g, const struct kernels *kernels, int64_t p,
                      int64_t depth) {
    float block[BLOCK_ROWS_MAX * GEMM_A_STRIDE] CACHE_ALIGNED;
    const bool turned = g->a_col != 1;
    const int64_t blocks = divide_up(g->m, BLOCK_TILES * kernels->tile_rows);
    struct gemm_strip s = g->strip;
    s.k = depth;
    s.a = block;
    s.lda = turned ? GEMM_A_STRIDE : g->a_row;
    s.ldc = g->ldc;
    s.from_c = g->strip.from_c || p > 0;
    s.last = p + depth == g->k;
    int64_t row = 0;
    for (int64_t t = 0; t < blocks; t++) {
        s.rows = (g->m - row + blocks - t - 1) / (blocks - t);
        if (turned) {
            turn_rows(g, row, s.rows, p, depth, block);
        } else {
            s.a = g->a + row * g->a_row + p;
        }
        for (int64_t col = 0; col < g->n; col += GEMM_PANEL) {
            strip_columns(g, col, p, &s);
            s.c = g->c + row * g->ldc + col;
            s.ahead = panel_after(g, col, p, depth);
            kernels->gemm_strip(&s);
        }
        if (s.last) {
            run_rest(g, row, s.rows);
        }
        row += s.rows;
    }
}

static void run(const struct product *g) {
    const struct kernels *kernels = kernels_current();
    if (g->m == 0 || g->n == 0) {
        return;
    }
    if (g->m <= GEMM_FEW_ROWS && (g->a_col == 1 || g->k <= 1)) {
        run_few(g, kernels);
        return;
    }
    const int64_t blocks = g->k > 0 ? divide_up(g->k, GEMM_K_BLOCK) : 1;
    int64_t p = 0;
    for (int64_t t = 0; t < blocks; t++) {
        const int64_t depth = divide_up(g->k - p, blocks - t);
        run_block(g, kernels, p, depth);
        p += depth;
    }
}

/* n = 1: B is one column, and each row a dot product. */
static void run_column(int64_t m, int64_t k, const float *a, int64_t lda, const float *b,
                       const struct gemm_tail *tail, float *c, int64_t ldc) {
    const struct kernels *kernels = kernels_current();
    const float bias = tail->bias != NULL ? tail->bias[0] : 0.0F;
    for (int64_t i = 0; i < m; i++) {
        float dot = kernels->dot(k, a + i * lda, b);
        dot += tail->accumulate ? c[i * ldc] : 0.0F;
        c[i * ldc] = dot * tail->alpha + bias;
    }
    const int64_t count = ldc == 1 ? m : 1;
    for (int64_t i = 0; i < m; i += count) {
        act_run(&tail->act, count, c + i * ldc, c + i * ldc);
    }
}

void gemm_run(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
              const float *packed, const struct gemm_tail *tail, float *c, int64_t ldc) {
    static const struct gemm_tail plain = {.alpha = 1.0F};
    tail = tail != NULL ? tail : &plain;
    if (n == 1) {
        run_column(m, k, a, lda, packed, tail, c, ldc);
        return;
    }
    struct product g = {.m = m,
                        .n = n,
                        .k = k,
                        .a = a,
                        .a_row = lda,
                        .a_col = 1,
                        .b = packed,
                        .c = c,
                        .ldc = ldc};
    g.strip.from_c = tail->accumulate;
    g.strip.alpha = tail->alpha;
    g.strip.bias = tail->bias;
    g.rest = act_clamps(&tail->act, &g.strip.floor, &g.strip.ceil);
    run(&g);
}

/* A transposed B, and one too large to be read where it lies, is packed first.  One
 * column needs no packing, however it lies. */
static bool packs_first(bool trans_b, int64_t m, int64_t n, int64_t k) {
    return n != 1 && (trans_b || (m > GEMM_FEW_ROWS && k * n > DIRECT_COUNT_MAX));
}

size_t gemm_f32_scratch_size(bool trans_b, int64_t m, int64_t n, int64_t k) {
    return packs_first(trans_b, m, n, k) ? gemm_pack_size(k, n) : 0;
}

static void scale_rows(int64_t m, int64_t n, float factor, float *c, int64_t ldc) {
    for (int64_t i = 0; i < m; i++) {
        float *row = c + i * ldc;
        if (factor == 0.0F) {
            memset(row, 0, (size_t)n * sizeof(*row));
        } else {
            kernels_current()->scale_shift(n, factor, 0.0F, row, row);
        }
    }
}

/* The tiles scale C by beta / alpha first; beyond this it might overflow where the
 * result does not. */
#define RATIO_MAX 1024.0F

static void plain_product(int64_t m, int64_t n, int64_t k, bool trans_a, bool trans_b,
                          float alpha, const float *a, int64_t lda, const float *b,
                          int64_t ldb, float beta, float *c, int64_t ldc) {
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            double sum = 0.0;
            for (int64_t p = 0; p < k; p++) {
                sum += (double)(trans_a ? a[p * lda + i] : a[i * lda + p]) *
                       (double)(trans_b ? b[j * ldb + p] : b[p * ldb + j]);
            }
            float *to = c + i * ldc + j;
            *to = (float)((double)alpha * sum + (double)beta * (double)*to);
        }
    }
}

void gemm_f32(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, float alpha,
              const float *a, int64_t lda, const float *b, int64_t ldb, float beta,
              float *c, int64_t ldc, float *scratch) {
    if (alpha == 0.0F) {
        scale_rows(m, n, beta, c, ldc);
        return;
    }
    /* The tiles compute alpha * (A B + C). */
    const bool accumulate = beta != 0.0F;
    if (fabsf(beta) > RATIO_MAX * fabsf(alpha)) {
        plain_product(m, n, k, trans_a, trans_b, alpha, a, lda, b, ldb, beta, c, ldc);
        return;
    }
    if (accumulate && beta != alpha) {
        scale_rows(m, n, beta / alpha, c, ldc);
    }
    if (n == 1 && !trans_a && (trans_b || ldb == 1)) {
        const struct gemm_tail tail = {.alpha = alpha, .accumulate = accumulate};
        run_column(m, k, a, lda, b, &tail, c, ldc);
        return;
    }
    struct product g = {.m = m, .n = n, .k = k, .a = a, .b = b, .c = c, .ldc = ldc};
    g.a_row = trans_a ? 1 : lda;
    g.a_col = trans_a ? lda : 1;
    g.ldb = trans_b ? 1 : ldb; /* of one column, where it is still transposed */
    if (packs_first(trans_b, m, n, k)) {
        assert(scratch != NULL || k == 0);
        gemm_pack(k, n, b, ldb, trans_b, scratch);
        g.b = scratch;
        g.ldb = 0;
    }
    g.strip.from_c = accumulate;
    g.strip.alpha = alpha;
    g.strip.floor = -INFINITY;
    g.strip.ceil = INFINITY;
    run(&g);
}

/* C' = B' A' has the same chains, and fills whole vectors once A is turned. */
void gemm_f32_column(int64_t m, int64_t k, float alpha, const float *a, int64_t lda,
                     const float *b, float *c) {
    float turned[COLUMN_DEPTH * GEMM_PANEL] CACHE_ALIGNED;
    const struct kernels *kernels = kernels_current();
    struct gemm_strip s = {.rows = 1, .alpha = alpha, .b = turned, .ldb = GEMM_PANEL};
    s.floor = -INFINITY;
    s.ceil = INFINITY;
    if (k == 0) {
        memset(c, 0, (size_t)m * sizeof(*c));
    }
    for (int64_t row = 0; row < m; row += GEMM_PANEL) {
        s.cols = min64(GEMM_PANEL, m - row);
        s.c = c + row;
        for (int64_t p = 0; p < k; p += COLUMN_DEPTH) {
            s.k = min64(COLUMN_DEPTH, k - p);
            s.a = b + p;
            s.from_c = p > 0;
            s.last = p + s.k == k;
            kernels->transpose(s.cols, s.k, a + row * lda + p, lda, turned, GEMM_PANEL);
            kernels->gemm_strip(&s);
        }
    }
}

/* For a machine without OpenBLAS. */
static void plain_f64(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k,
                      double alpha, const double *a, int64_t lda, const double *b,
                      int64_t ldb, double beta, double *c, int64_t ldc) {
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            double sum = 0.0;
            for (int64_t p = 0; p < k; p++) {
                sum += (trans_a ? a[p * lda + i] : a[i * lda + p]) *
                       (trans_b ? b[j * ldb + p] : b[p * ldb + j]);
            }
            double *to = c + i * ldc + j;
            *to = alpha * sum + (beta != 0.0 ? beta * *to : 0.0);
        }
    }
}

void gemm_f64(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, double alpha,
              const double *a, int64_t lda, const double *b, int64_t ldb, double beta,
              double *c, int64_t ldc) {
    if (!blas_gemm_f64(trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)) {
        plain_f64(trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    }
}

/* Unsigned inside, where wrapping around is defined. */
#define GEMM_INTEGER(name, type, wide)                                             \
    void name(int64_t m, int64_t n, int64_t k, const type *a, int64_t lda,         \
              const type *b, int64_t ldb, type *c, int64_t ldc) {                  \
        for (int64_t i = 0; i < m; i++) {                                          \
            type *row = c + i * ldc;                                               \
            memset(row, 0, (size_t)n * sizeof(*row));                              \
            for (int64_t p = 0; p < k; p++) {                                      \
                const wide factor = (wide)a[i * lda + p];                          \
                for (int64_t j = 0; j < n; j++) {                                  \
                    row[j] = (type)((wide)row[j] + factor * (wide)b[p * ldb + j]); \
                }                                                                  \
            }                                                                      \
        }                                                                          \
    }

GEMM_INTEGER(gemm_i32, int32_t, uint32_t)
GEMM_INTEGER(gemm_i64, int64_t, uint64_t)
