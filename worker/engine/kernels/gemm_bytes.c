/* gemm_bytes.c - see gemm_bytes.h.  Packed are first the sums of the columns, then panels
 * of GEMM_PANEL columns, the last one of GEMM_PANEL_STEP where that is enough: of each
 * four rows a panel holds the columns' four bytes side by side, filled up with zeros. */
#include "engine/kernels/gemm_bytes.h"

#include <string.h>

#include "base/size.h"
#include "engine/kernels/kernels.h"

/* Bytes of A that stay in the second cache while the panels pass. */
#define BLOCK_BYTES (192 * 1024)

static int64_t quads_of(int64_t k) {
    return k / 4 + (k % 4 > 0);
}

static int64_t min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* Columns of B with those that fill up the last panel. */
static size_t width_of(int64_t n) {
    return size_align((size_t)n, GEMM_PANEL_STEP);
}

size_t gemm_bytes_pack_size(int64_t k, int64_t n) {
    size_t size;
    return (size_t)n < SIZE_MAX / 8 &&
                   size_mul(width_of(n), 4 * (size_t)quads_of(k) + sizeof(int32_t), &size)
               ? size
               : SIZE_MAX;
}

const int32_t *gemm_bytes_columns(const void *packed) {
    return packed;
}

/* Four rows of B, or fewer, of a panel. */
static void pack_quad(int64_t rows, int64_t cols, const uint8_t *b, int64_t row,
                      int64_t col, uint8_t flip, int32_t *sums, uint8_t *to) {
    for (int64_t j = 0; j < cols; j++) {
        for (int64_t r = 0; r < rows; r++) {
            const uint8_t byte = b[r * row + j * col] ^ flip;
            sums[j] += (int8_t)byte;
            to[4 * j + r] = byte;
        }
    }
}

/* The same of four rows side by side, all columns of a panel. */
static void weave_quad(const uint8_t *restrict b, int64_t row, uint8_t flip,
                       int32_t *restrict sums, uint8_t *restrict to) {
    for (int64_t j = 0; j < GEMM_PANEL; j++) {
        const uint8_t a0 = b[j] ^ flip, a1 = b[row + j] ^ flip;
        const uint8_t a2 = b[2 * row + j] ^ flip, a3 = b[3 * row + j] ^ flip;
        sums[j] += (int8_t)a0 + (int8_t)a1 + (int8_t)a2 + (int8_t)a3;
        to[4 * j] = a0;
        to[4 * j + 1] = a1;
        to[4 * j + 2] = a2;
        to[4 * j + 3] = a3;
    }
}

void gemm_bytes_pack(int64_t k, int64_t n, const uint8_t *b, int64_t row, int64_t col,
                     uint8_t flip, void *packed) {
    int32_t *sums = packed;
    uint8_t *panels = (uint8_t *)packed + width_of(n) * sizeof(*sums);
    memset(sums, 0, width_of(n) * sizeof(*sums));
    for (int64_t j = 0; j < n; j += GEMM_PANEL) {
        const int64_t cols = min64(n - j, GEMM_PANEL), width = gemm_panel_width(n - j);
        uint8_t *to = panels + j * 4 * quads_of(k);
        if (cols < width || k % 4 > 0) {
            memset(to, 0, (size_t)(width * 4 * quads_of(k)));
        }
        for (int64_t p = 0; p < k; p += 4, to += 4 * width) {
            const uint8_t *from = b + p * row + j * col;
            if (col == 1 && cols == GEMM_PANEL && k - p >= 4) {
                weave_quad(from, row, flip, sums + j, to);
            } else {
                pack_quad(min64(k - p, 4), cols, from, row, col, flip, sums + j, to);
            }
        }
    }
}

void gemm_bytes_pack_begin(int64_t k, int64_t n, void *packed) {
    memset(packed, 0, gemm_bytes_pack_size(k, n));
}

void gemm_bytes_pack_column(int64_t k, int64_t n, int64_t j, const uint8_t *b,
                            uint8_t flip, void *packed) {
    const int64_t col = j - j % GEMM_PANEL, width = gemm_panel_width(n - col);
    int32_t *sums = packed;
    uint8_t *to = (uint8_t *)packed + width_of(n) * sizeof(*sums);
    to += col * 4 * quads_of(k) + (j - col) * 4;
    for (int64_t p = 0; p < k; p += 4, to += 4 * width) {
        pack_quad(min64(k - p, 4), 1, b + p, 1, 0, flip, sums + j, to);
    }
}

/* Rows whose distance is a multiple of half a page fight for the same sets of the cache.
 */
int64_t gemm_bytes_row_size(int64_t k) {
    const int64_t size = 4 * quads_of(k);
    return size >= 1024 && size % 1024 == 0 ? size + 64 : size;
}

void gemm_bytes_flip(int64_t count, const uint8_t *restrict x, uint8_t flip,
                     uint8_t *restrict y) {
    for (int64_t i = 0; i < count; i++) {
        y[i] = x[i] ^ flip;
    }
}

void gemm_bytes_copy(int64_t m, int64_t k, const uint8_t *x, int64_t ldx, uint8_t flip,
                     uint8_t *a) {
    const int64_t size = gemm_bytes_row_size(k);
    for (int64_t i = 0; i < m; i++) {
        gemm_bytes_flip(k, x + i * ldx, flip, a + i * size);
        memset(a + i * size + k, 0, (size_t)(size - k));
    }
}

static int32_t sum_of(int64_t count, const uint8_t *x) {
    uint32_t sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += x[i];
    }
    return (int32_t)sum;
}

void gemm_bytes_row_sums(int64_t m, int64_t k, const uint8_t *a, int64_t lda,
                         int32_t *sums) {
    for (int64_t i = 0; i < m; i++) {
        sums[i] = sum_of(k, a + i * lda);
    }
}

/* The part of a tail that belongs to the columns from `col` on. */
static struct gemm_bytes_tail tail_at(const struct gemm_bytes_tail *tail, int64_t row,
                                      int64_t col) {
    struct gemm_bytes_tail part = *tail;
    part.add += col;
    part.b_zero = part.b_zero == NULL ? NULL : part.b_zero + col;
    part.row_sums = part.b_zero == NULL ? NULL : part.row_sums + row;
    part.scale = part.scale == NULL ? NULL : part.scale + col;
    part.bias = part.bias == NULL ? NULL : part.bias + col;
    return part;
}

void gemm_bytes_pieces(int64_t m, int64_t n, const struct gemm_bytes_pieces *a,
                       const void *packed, const struct gemm_bytes_tail *tail, void *c,
                       int64_t ldc) {
    const struct kernels_bytes *kernels = kernels_current()->bytes;
    const uint8_t *panels = (const uint8_t *)packed + width_of(n) * sizeof(int32_t);
    const int64_t most = BLOCK_BYTES / (a->lda > 0 ? a->lda : 1) + kernels->tile_rows;
    const int64_t blocks = m / most + (m % most > 0);
    const size_t size = tail->form == GEMM_BYTES_BYTES ? 1 : 4;
    int64_t row = 0;
    for (int64_t t = 0; t < blocks; t++) {
        struct gemm_bytes_strip s = {.rows = (m - row + blocks - t - 1) / (blocks - t),
                                     .pieces = a->count,
                                     .quads = a->quads,
                                     .a = a->a + row * a->lda,
                                     .lda = a->lda,
                                     .piece_step = a->step,
                                     .ldc = ldc};
        for (int64_t col = 0; col < n; col += GEMM_PANEL) {
            s.cols = min64(n - col, GEMM_PANEL);
            s.width = gemm_panel_width(n - col);
            s.b = (const int8_t *)panels + col * 4 * a->count * a->quads;
            s.c = (uint8_t *)c + (size_t)(row * ldc + col) * size;
            s.tail = tail_at(tail, row, col);
            kernels->gemm(&s);
        }
        row += s.rows;
    }
}

void gemm_bytes(int64_t m, int64_t n, int64_t k, const uint8_t *a, int64_t lda,
                const void *packed, const struct gemm_bytes_tail *tail, void *c,
                int64_t ldc) {
    const struct gemm_bytes_pieces rows = {
        .a = a, .lda = lda, .count = 1, .quads = quads_of(k)};
    gemm_bytes_pieces(m, n, &rows, packed, tail, c, ldc);
}

void gemm_bytes_pool_2x2(int64_t count, int64_t n, const int32_t *top,
                         const int32_t *bottom, int64_t step,
                         const struct gemm_bytes_tail *tail, uint8_t *y) {
    const struct gemm_bytes_pool p = {.count = count,
                                      .cols = n,
                                      .top = top,
                                      .bottom = bottom,
                                      .step = step,
                                      .tail = tail,
                                      .y = y};
    kernels_current()->bytes->pool(&p);
}
