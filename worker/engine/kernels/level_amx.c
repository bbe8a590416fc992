/* level_amx.c - products of bytes by tiles of a matrix unit (AMX); all else is as in
 * level_vnni.c.  Empty on other processors.
 *
 * A tile holds 16 rows of 64 bytes: of A 16 rows by 64 of k, of packed B, as it is, 16
 * quads of k by 16 columns, and 16 x 16 sums.  Two by two of these are in use:
 *
 *              B0   B1
 *         A0   C00  C01
 *         A1   C10  C11
 *
 * Where k is no multiple of 64 the tiles would need edges, and VNNI does it; so it does
 * where rows of A lie in pieces. */
#include "engine/kernels/kernels.h"

#if defined(__x86_64__)

#include <stdatomic.h>
#include <string.h>

#include "engine/kernels/simd_avx512.h"

#include "engine/kernels/gemm_bytes.inc"
#include "engine/kernels/depthwise_bytes.inc"

#if defined(__AMX_INT8__)

enum { TILE_SIDE = 16, TILE_BYTES = 64, PAIR_ROWS = 2 * TILE_SIDE };

/* What LDTILECFG reads: of each of the 8 tiles its rows and the bytes of these. */
struct tile_shapes {
    uint8_t palette, start, unused[14];
    uint16_t bytes[16];
    uint8_t rows[16];
};

/* Tiles 0 to 3 are C, 4 and 5 A, 6 and 7 B; `upper` rows in A0, `lower` in A1. */
static void amx_shapes(int64_t upper, int64_t lower) {
    /* What the instruction reads, gcc 12 knows in part: that it cannot know stays whole.
     */
    struct tile_shapes shapes = {.palette = 1}, *volatile kept = &shapes;
    static const uint8_t is_lower[] = {0, 0, 1, 1, 0, 1};
    for (int t = 0; t < 8; t++) {
        shapes.bytes[t] = TILE_BYTES;
        shapes.rows[t] = (uint8_t)(t >= 6 ? TILE_SIDE : is_lower[t] ? lower : upper);
    }
    atomic_signal_fence(memory_order_seq_cst);
    _tile_loadconfig(kept);
}

/* A pair of tiles of A by a panel of 32 columns, or, if `narrow`, of 16. */
ALWAYS_INLINE void amx_pair(const struct gemm_bytes_strip *s, int64_t row, int64_t upper,
                            const bool two, const bool narrow, int32_t *sums) {
    const uint8_t *a = s->a + row * s->lda, *below = a + upper * s->lda;
    const int8_t *b = s->b;
    const size_t lda = (size_t)s->lda, ldb = 4 * (size_t)s->width;
    const size_t ldc = (narrow ? 1 : 2) * TILE_BYTES;
    int32_t *second = sums + upper * (narrow ? 1 : 2) * TILE_SIDE;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t q = 0; q < s->quads; q += TILE_SIDE) {
        _tile_loadd(6, b, ldb);
        _tile_loadd(4, a, lda);
        _tile_dpbusd(0, 4, 6);
        if (two) {
            _tile_loadd(5, below, lda);
            _tile_dpbusd(2, 5, 6);
        }
        if (!narrow) {
            _tile_loadd(7, b + TILE_BYTES, ldb);
            _tile_dpbusd(1, 4, 7);
        }
        if (!narrow && two) {
            _tile_dpbusd(3, 5, 7);
        }
        a += TILE_BYTES;
        below += TILE_BYTES;
        b += (size_t)TILE_SIDE * ldb;
    }
    _tile_stored(0, sums, ldc);
    if (!narrow) {
        _tile_stored(1, sums + TILE_SIDE, ldc);
    }
    if (two) {
        _tile_stored(2, second, ldc);
    }
    if (!narrow && two) {
        _tile_stored(3, second + TILE_SIDE, ldc);
    }
}

static void amx_rows(const struct gemm_bytes_strip *s, int64_t row, int64_t rows,
                     int64_t upper) {
    int32_t sums[PAIR_ROWS * PAIR_ROWS] CACHE_ALIGNED;
    const bool narrow = s->width == TILE_SIDE;
    if (rows > upper && narrow) {
        amx_pair(s, row, upper, true, true, sums);
    } else if (rows > upper) {
        amx_pair(s, row, upper, true, false, sums);
    } else if (narrow) {
        amx_pair(s, row, upper, false, true, sums);
    } else {
        amx_pair(s, row, upper, false, false, sums);
    }
    quads_finish(s, row, rows, 0, s->width, sums);
}

static void amx_strip(const struct gemm_bytes_strip *s) {
    const int64_t pairs = (s->rows + PAIR_ROWS - 1) / PAIR_ROWS;
    int64_t row = 0, shaped = 0;
    if (s->quads % TILE_SIDE != 0 || s->quads == 0 || s->pieces > 1 ||
        s->rows < TILE_SIDE / 2) {
        gemm_bytes_strip(s);
        return;
    }
    for (int64_t t = 0; t < pairs; t++) {
        const int64_t rows = (s->rows - row + pairs - t - 1) / (pairs - t);
        const int64_t upper = rows > TILE_SIDE ? (rows + 1) / 2 : rows;
        if (rows != shaped) {
            amx_shapes(upper, rows > upper ? rows - upper : 1);
            shaped = rows;
        }
        amx_rows(s, row, rows, upper);
        row += rows;
    }
    _tile_release(); /* tiles in use are much to save where threads change */
}
#else
#define amx_strip gemm_bytes_strip
#endif

const struct kernels_bytes kernels_bytes_amx = {
    .tile_rows = QUADS_ROWS,
    .gemm = amx_strip,
    .pool = gemm_bytes_pool,
    .depthwise = depthwise_bytes,
};

#endif
