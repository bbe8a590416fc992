/* gemm_i16.c - see gemm_i16.h.  Packed B is cut in panels of GEMM_PANEL columns, the last
 * filled up with zeros; of each pair of rows a panel holds the columns' two numbers side
 * by side. */
#include "engine/kernels/gemm_i16.h"

#include <string.h>

#include "base/size.h"
#include "engine/kernels/kernels.h"

static int64_t pairs_of(int64_t k) {
    return k / 2 + k % 2;
}

size_t gemm_i16_pack_size(int64_t k, int64_t n) {
    size_t panels = (size_t)n / GEMM_PANEL + ((size_t)n % GEMM_PANEL > 0), size;
    return size_mul(panels, 2 * GEMM_PANEL * sizeof(int16_t), &size) &&
                   size_mul(size, (size_t)pairs_of(k), &size)
               ? size
               : SIZE_MAX;
}

void gemm_i16_pack(int64_t k, int64_t n, int64_t pair, const int16_t *even,
                   const int16_t *odd, int16_t *packed) {
    for (int64_t col = 0; col < n; col += GEMM_PANEL) {
        int16_t *to = packed + (col * pairs_of(k) + pair * GEMM_PANEL) * 2;
        const int64_t left = n - col, cols = left < GEMM_PANEL ? left : GEMM_PANEL;
        if (cols < GEMM_PANEL) {
            memset(to, 0, 2 * GEMM_PANEL * sizeof(*to));
        }
        for (int64_t j = 0; j < cols; j++) {
            to[2 * j] = even[col + j];
            to[2 * j + 1] = odd != NULL ? odd[col + j] : 0;
        }
    }
}

void gemm_i16(int64_t m, int64_t n, int64_t k, const int16_t *a, int64_t lda,
              const int16_t *packed, int32_t *c, int64_t ldc) {
    struct gemm_pairs s = {
        .rows = m, .pairs = pairs_of(k), .a = a, .lda = lda, .ldc = ldc};
    for (int64_t col = 0; col < n; col += GEMM_PANEL) {
        s.cols = n - col < GEMM_PANEL ? n - col : GEMM_PANEL;
        s.b = packed + col * s.pairs * 2;
        s.c = c + col;
        kernels_current()->gemm_pairs(&s);
    }
}
