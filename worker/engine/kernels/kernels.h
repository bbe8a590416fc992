/* kernels.h - inside the kernels: the table of loops for one instruction set.
 *
 * level_portable.c, level_avx2.c and level_avx512.c each fill one from the same texts
 * (*.inc), compiled with their own flags; the families (gemm.c, conv.c, ...) do what is
 * the same at every level and call the table for the rest.  Only kernels and their
 * tests include this.
 *
 * Depends on: base/cpu.h, engine/kernels/ headers for their enums.
 * Ownership: tables are static and immutable.
 * Threads: kernels_current from any. */
#ifndef MILLRACE_ENGINE_KERNELS_KERNELS_H
#define MILLRACE_ENGINE_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cpu.h"
#include "engine/kernels/act.h"
#include "engine/kernels/bytes.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/forest.h"
#include "engine/kernels/gemm_bytes.h"
#include "engine/kernels/pool.h"
#include "engine/kernels/vmath.h"

/* Packed B is cut in panels of GEMM_PANEL columns, each row contiguous; the last panel
 * is as wide as its columns rounded up to GEMM_PANEL_STEP. */
#define GEMM_PANEL 32
#define GEMM_PANEL_STEP 16
static inline int64_t gemm_panel_width(int64_t columns_left) {
    return columns_left > GEMM_PANEL_STEP ? GEMM_PANEL : GEMM_PANEL_STEP;
}
/* Most rows for which all of k is one block, and most k in a block of more rows. */
#define GEMM_FEW_ROWS 4
#define GEMM_K_BLOCK 512
/* Distance between the rows of a block that is laid out for the tiles: no multiple of a
 * page, so that they do not fight for cache sets. */
#define GEMM_A_STRIDE (GEMM_K_BLOCK + 16)

/* Up to GEMM_PANEL columns of C over one block of k. */
struct gemm_strip {
    int64_t rows, cols, k;
    const float *a; /* [rows, k] */
    int64_t lda;
    const float *b; /* [k, cols] */
    int64_t ldb;
    const float *ahead; /* packed, the b of the strip that comes next; or NULL */
    bool b_padded;      /* rows of b may be read up to the next GEMM_PANEL_STEP */
    float *c;           /* [rows, cols] */
    int64_t ldc;
    bool from_c; /* sums start from what C holds, not from 0 */
    bool last;   /* the last block of k: finish as below */
    float alpha;
    const float *bias;     /* [cols] or NULL */
    const float *row_bias; /* [rows] or NULL */
    float floor, ceil;     /* clamps; infinite for none */
};

/* Up to GEMM_PANEL columns of gemm_bytes.h's product. */
struct gemm_bytes_strip {
    int64_t rows, cols;
    int64_t pieces, quads;   /* quads: of k, in a piece */
    const uint8_t *a;        /* [rows, pieces, quads, 4] */
    int64_t lda, piece_step; /* bytes between two rows, two pieces */
    const int8_t *b;         /* [pieces, quads, width, 4] */
    int64_t width;
    void *c;
    int64_t ldc; /* in elements */
    struct gemm_bytes_tail tail;
};

/* Sums of two rows of pixels, which become bytes pooled 2x2.  The sums may be read up to
 * the next GEMM_PANEL_STEP of columns. */
struct gemm_bytes_pool {
    int64_t count, cols;         /* count: pixels of the result */
    const int32_t *top, *bottom; /* [2 * count, step] each */
    int64_t step;
    const struct gemm_bytes_tail *tail; /* `add` is in the sums */
    uint8_t *y;                         /* [count, cols] */
};

/* Bytes of channels last, one channel a group, in pieces of DEPTHWISE_BYTES: see
 * depthwise_bytes.c.  The last piece is read as if it were whole. */
#define DEPTHWISE_BYTES 64
struct depthwise_bytes {
    int64_t count;               /* bytes in a row: pixels by channels */
    int64_t quads;               /* of taps */
    const uint8_t *const *x;     /* [4 * quads] what each tap sees first */
    int64_t period;              /* pieces until the channels come again */
    const int8_t *w;             /* [period, quads, 4, DEPTHWISE_BYTES] */
    struct gemm_bytes_tail tail; /* [period, DEPTHWISE_BYTES]: `add` in the order of the
                                    sums, and so `scale` of bytes */
    void *y;
};

/* Rows of pixels by up to GEMM_PANEL output channels, channels innermost. */
struct conv_strip {
    const float *x;       /* the first tap of the first pixel */
    int64_t x_row;        /* between the x of two output rows */
    int64_t x_pixel;      /* between the x of two output columns */
    const int32_t *taps;  /* [k] offsets from a pixel's first tap */
    const float *w;       /* [k, panel], padded to GEMM_PANEL_STEP */
    int64_t k, ldw, cols; /* cols: output channels of this strip */
    const float *bias;    /* [cols] or NULL */
    float floor, ceil;
    float *y; /* [rows, columns, y_pixel], pooled where asked */
    int64_t y_row, y_pixel;
    int64_t out_h, out_w; /* of y */
    bool pool_2x2, accumulate;
};

/* Rows of pixels of all output channels, pixels innermost: each tap is a shifted row of
 * the image, times a weight.  x may be read up to CONV_SHIFT_SLACK behind the last tap.
 */
struct conv_shift {
    const float *x;      /* the first tap of the first pixel */
    const int32_t *taps; /* [k] offsets from a pixel's first tap */
    const float *w;      /* [k, outputs] */
    int64_t k, outputs, rows, pixels;
    int64_t x_row, y_row, y_output; /* between two rows; between two channels of y */
    const float *bias;              /* [outputs] or NULL */
    float floor, ceil;
    float *y; /* [outputs, rows, pixels] */
};

#define CONV_SHIFT_SLACK 16

/* Rows of pixels of few output channels, channels innermost: what a window holds lies in
 * pieces, as its weights do. */
struct conv_dot {
    const float *x;            /* the first pixel's window */
    int64_t x_row;             /* between the x of two output rows */
    int64_t x_pixel;           /* between the x of two output columns */
    const int32_t *pieces;     /* [piece_count] offsets from a window's begin */
    int64_t piece_count, size; /* size: floats of a piece */
    const float *w;            /* [outputs, piece_count, size] */
    int64_t w_output, outputs; /* at most CONV_DOT_OUTPUTS */
    const float *bias;         /* [outputs] or NULL */
    float floor, ceil;
    float *y; /* [rows, columns, y_pixel] */
    int64_t y_row, y_pixel;
    int64_t out_h, out_w;
    bool accumulate;
};

#define CONV_DOT_OUTPUTS 4

/* Rows of pixels in groups of a few channels, as many out as in, channels innermost. */
struct conv_grouped {
    int64_t channels, group; /* group: channels of one; divides every VL */
    int64_t tap_rows, tap_columns;
    const float *x;          /* the first tap of the first pixel */
    int64_t x_row, x_column; /* between two taps' rows, columns */
    int64_t x_step, x_pixel; /* between the x of two rows, columns of y */
    const float *w;          /* [tap_rows, tap_columns, group, channels] */
    const float *bias;       /* [channels] or NULL */
    float floor, ceil;
    float *y; /* [rows, columns, channels] */
    int64_t y_row, y_pixel;
    int64_t out_h, out_w;
    bool accumulate;
};

#define CONV_GROUPED_MAX 8

/* A run of output pixels of one row that use the same taps, one channel a group,
 * channels innermost. */
struct conv_depthwise {
    int64_t channels, pixels;
    int64_t tap_rows, tap_columns;    /* taps inside the image */
    const float *x;                   /* the first tap of the first pixel */
    int64_t x_row, x_column, x_pixel; /* between two taps' rows, columns, two pixels */
    const float *w;                   /* the first tap's weights, [channels] */
    int64_t w_row;                    /* between two taps' rows */
    const float *bias;                /* [channels] or NULL */
    float floor, ceil;
    float *y; /* [pixels, channels] */
};

/* What a transformed tile of results becomes. */
struct winograd_out {
    int64_t channels, m_step; /* m_step: between the points of a tile */
    const float *bias;        /* [channels] or NULL */
    bool accumulate;          /* add to what the pixels hold */
    float floor, ceil;
};

/* One time step's gates of an LSTM, one sequence: see rnn.c. */
struct lstm_cell {
    int64_t hidden;
    const float *gates; /* [4, hidden]: i, o, f, c before their activations */
    float *c, *h;       /* [hidden], updated */
    float *y;           /* [hidden], gets h; may be h */
};

/* The same of a GRU. */
struct gru_cell {
    int64_t hidden;
    const float *gates; /* [3, hidden]: z, r, h before their activations */
    bool reset_later;   /* r scales `product`, h's product with the recurrent weights */
    float *product;     /* [hidden]; else gru_reset makes it r * h */
    float *h, *y;       /* [hidden]: updated; gets h, may be h */
};

/* Loops that have an instruction of their own at some levels. */
struct kernels_bytes {
    int64_t tile_rows;
    void (*gemm)(const struct gemm_bytes_strip *s);
    void (*pool)(const struct gemm_bytes_pool *p);
    void (*depthwise)(const struct depthwise_bytes *d);
};

struct kernels {
    enum cpu_level level;
    int64_t tile_rows; /* most rows of a tile: blocks of A are multiples of it */

    void (*gemm_strip)(const struct gemm_strip *s);
    /* m <= GEMM_FEW_ROWS rows by all of packed B, in one go. */
    void (*gemm_few)(const struct gemm_strip *s, int64_t n);
    const struct kernels_bytes *bytes;
    float (*dot)(int64_t count, const float *a, const float *b);
    void (*conv_strip)(const struct conv_strip *s);
    void (*conv_shift)(const struct conv_shift *s);
    void (*conv_dot)(const struct conv_dot *d);
    void (*conv_grouped)(const struct conv_grouped *g);
    /* y[i] += w * x[i * stride]. */
    void (*axpy)(int64_t count, float w, const float *x, int64_t stride, float *y);
    /* y[i] += w[i] * x[i]. */
    void (*mul_add)(int64_t count, const float *w, const float *x, float *y);
    void (*conv_depthwise)(const struct conv_depthwise *d);

    /* Tiles of 4 x 4 or 6 x 6 pixels of `channels` channels: see winograd.inc.  A NULL
     * among an output's pixels is left out. */
    void (*winograd_input)(int tile, int64_t channels, const float *const *pixels,
                           float *v, int64_t v_step);
    void (*winograd_output)(int tile, const struct winograd_out *o, const float *m,
                            float *const *pixels);
    /* The weights of `count` outputs, g [9, g_step], for the points of a tile: u[p *
     * u_step
     * + o]. */
    void (*winograd_weights)(int tile, int64_t count, const float *g, int64_t g_step,
                             float *u, int64_t u_step);

    /* y[c] = maximum (sum) of pixels[k][c] over 0 <= k < count, at least 1. */
    void (*pool_max_pixels)(int64_t channels, int64_t count, const float *const *pixels,
                            float *y);
    void (*pool_sum_pixels)(int64_t channels, int64_t count, const float *const *pixels,
                            float *y);
    void (*pool_max_2x2)(int64_t count, const float *top, const float *bottom, float *y);
    void (*max_into)(int64_t count, const float *x, int64_t stride, float *y);
    void (*add_into)(int64_t count, const float *x, int64_t stride, float *y);

    void (*act[ACT_KIND_COUNT])(const struct act *act, int64_t count, const float *x,
                                float *y);
    void (*exp)(int64_t count, const float *x, float *y);
    void (*log)(int64_t count, const float *x, float *y);
    void (*erf)(int64_t count, const float *x, float *y);
    void (*sqrt)(int64_t count, const float *x, float *y);
    void (*softmax)(int64_t rows, int64_t cols, const float *x, float *y);
    void (*log_softmax)(int64_t rows, int64_t cols, const float *x, float *y);
    void (*layer_norm)(int64_t rows, int64_t cols, float epsilon, const float *scale,
                       const float *bias, const float *x, float *y);
    void (*lrn)(const struct vmath_lrn *lrn, int64_t count, int64_t size,
                const float *squares, const float *x, float *y);
    void (*lstm_cell)(const struct lstm_cell *cell);
    void (*gru_reset)(const struct gru_cell *cell);
    void (*gru_cell)(const struct gru_cell *cell);

    void (*binary[EW_OP_COUNT][EW_FORM_COUNT])(int64_t count, const float *a,
                                               const float *b, float *y);
    void (*scale_shift)(int64_t count, float scale, float shift, const float *x,
                        float *y);
    void (*scale_shift_each)(int64_t count, const float *scale, const float *shift,
                             const float *x, float *y);
    /* y[c * ldy + r] = x[r * ldx + c]. */
    void (*transpose)(int64_t rows, int64_t cols, const float *x, int64_t ldx, float *y,
                      int64_t ldy);
    /* y[i] = sum over c of (x[c] - points[c * step + i])^2. */
    void (*distances)(int64_t count, int64_t cols, const float *x, const float *points,
                      int64_t step, float *y);
    /* Of a block of up to FOREST_BLOCK rows: codes[columns, FOREST_BLOCK] of
     * x[features, FOREST_BLOCK], and what the trees add to sums[targets, FOREST_BLOCK].
     * What lies behind `rows` is read and written as if it were rows. */
    void (*forest_codes)(const struct forest_masks *masks, int64_t rows, const float *x,
                         int8_t *codes);
    void (*forest_sums)(const struct forest *forest, int64_t rows, const int8_t *codes,
                        float *sums);
    /* See quantize.h. */
    void (*quantize_f32)(int64_t count, const float *x, float scale, float zero,
                         float low, uint8_t *y);
    /* Bytes without sign and with; see bytes.h. */
    void (*bytes_add[2])(const struct bytes_add *add, int64_t count, const uint8_t *a,
                         const uint8_t *b, uint8_t *y);
    void (*bytes_shift[2])(float scale, float shift, int64_t count, const uint8_t *x,
                           uint8_t *y);
    void (*bytes_mul[2])(const struct bytes_mul *mul, int64_t count, const uint8_t *a,
                         const uint8_t *b, uint8_t *y);
    void (*bytes_mul_one[2])(const struct bytes_mul *mul, int64_t count, const uint8_t *a,
                             uint8_t b, uint8_t *y);
    /* Maxima of bytes and sums in int32, y[i] with x[i * stride], or sums y[c] with
     * pixels[k][c] of all k. */
    void (*bytes_max[2])(int64_t count, const uint8_t *x, int64_t stride, void *y);
    void (*bytes_sum[2])(int64_t count, const uint8_t *x, int64_t stride, void *y);
    void (*bytes_sum_pixels[2])(int64_t channels, int64_t count,
                                const uint8_t *const *pixels, void *y);
    /* y[i * channels + c] = maximum of itself and x[i * step + c]. */
    void (*bytes_max_steps[2])(int64_t count, int64_t channels, const uint8_t *x,
                               int64_t step, uint8_t *y);
    int32_t (*bytes_sum_row[2])(int64_t count, const uint8_t *x);
    void (*bytes_floats[2])(int64_t count, const uint8_t *x, float zero, float scale,
                            float *y);
    /* y[i] = saturate(round((sums[i] + bias) * scale) + zero). */
    void (*bytes_average[2])(int64_t count, const int32_t *sums, int32_t bias,
                             float scale, float zero, uint8_t *y);
    float (*sum)(int64_t count, const float *x);
    void (*range)(int64_t count, const float *x, float *low, float *high);
    float (*max)(int64_t count, const float *x);
};

/* Where gemm_pack puts B[p,j]: an index into packed. */
int64_t gemm_packed_index(int64_t k, int64_t n, int64_t p, int64_t j);

/* Sets the clamps that make up `act`, infinite where it has none; returns what is left
 * to be done after them: `act` itself or NULL. */
const struct act *act_clamps(const struct act *act, float *floor, float *ceil);

/* Beside the levels, of x86: for processors with AVX-512 VBMI. */
void bytes_table_vbmi(const uint8_t *table, int64_t count, const uint8_t *x, uint8_t *y);

extern const struct kernels kernels_portable, kernels_avx2, kernels_avx512, kernels_vnni,
    kernels_amx;
extern const struct kernels_bytes kernels_bytes_vnni, kernels_bytes_amx;

/* The table of cpu_level(), or the one of the last kernels_select. */
const struct kernels *kernels_current(void);

/* Takes another level, which the processor must have: tests compare levels so. */
void kernels_select(enum cpu_level level);

#endif
