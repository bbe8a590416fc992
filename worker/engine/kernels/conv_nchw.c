/* conv_nchw.c - convolution with pixels innermost; see conv_impl.h.
 *
 *     weights [outputs, taps]  x  columns [taps, pixels]  =  y [outputs, pixels]
 *
 * Columns are made in pieces of up to 256 taps by 192 pixels, which stay in the second
 * cache while all outputs pass. */
#include <assert.h>
#include <string.h>

#include "engine/kernels/conv_impl.h"
#include "engine/kernels/kernels.h"

static int64_t min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

/* Output columns ox in [first, end) whose ix = ox * stride + shift lies in [0, in_w). */
static void valid_columns(const struct conv *conv, int64_t shift, int64_t *first,
                          int64_t *end) {
    *first = shift < 0 ? divide_up(-shift, conv->stride_w) : 0;
    *end = shift < conv->in_w ? (conv->in_w - shift - 1) / conv->stride_w + 1 : 0;
    *end = min64(*end, conv->out_w);
    *first = min64(*first, *end);
}

static void copy_strided(int64_t count, const float *x, int64_t stride, float *y) {
    if (stride == 1) {
        memcpy(y, x, (size_t)count * sizeof(*y));
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        y[i] = x[i * stride];
    }
}

static void zero(int64_t count, float *y) {
    memset(y, 0, (size_t)count * sizeof(*y));
}

/* One row of columns: tap (i, j) of `plane` for `count` pixels from `pixel`. */
static void fill_row(const struct conv *conv, const float *plane, int64_t i, int64_t j,
                     int64_t pixel, int64_t count, float *row) {
    const int64_t shift = j * conv->dilation_w - conv->pad_left;
    int64_t first, end;
    valid_columns(conv, shift, &first, &end);
    int64_t oy = pixel / conv->out_w, ox = pixel % conv->out_w;
    while (count > 0) {
        const int64_t width = min64(conv->out_w - ox, count);
        const int64_t iy = oy * conv->stride_h - conv->pad_top + i * conv->dilation_h;
        /* Pixels ox .. from are left of the image, from .. to in it, the rest right. */
        int64_t from = first < ox ? ox : min64(first, ox + width);
        int64_t to = end < from ? from : min64(end, ox + width);
        if (iy < 0 || iy >= conv->in_h) {
            from = to = ox + width;
            zero(width, row);
        } else {
            zero(from - ox, row);
            copy_strided(to - from,
                         plane + iy * conv->in_w + from * conv->stride_w + shift,
                         conv->stride_w, row + from - ox);
            zero(ox + width - to, row + to - ox);
        }
        row += width;
        count -= width;
        oy++;
        ox = 0;
    }
}

/* Rows k .. k + depth of the columns of one group, pixels pixel .. pixel + count. */
static void fill_piece(const struct conv *conv, const float *x, int64_t k, int64_t depth,
                       int64_t pixel, int64_t count, float *piece) {
    const int64_t plane = conv->in_h * conv->in_w;
    const int64_t kernel = conv->kernel_h * conv->kernel_w;
    const int64_t padded = divide_up(count, GEMM_PANEL_STEP) * GEMM_PANEL_STEP;
    const bool pointwise = conv_is_pointwise(conv);
    for (int64_t end = k + depth; k < end; k++, piece += CONV_COLUMNS_STRIDE) {
        const float *from = x + k / kernel * plane;
        if (pointwise) {
            memcpy(piece, from + pixel, (size_t)count * sizeof(*piece));
        } else {
            const int64_t tap = k % kernel;
            fill_row(conv, from, tap / conv->kernel_w, tap % conv->kernel_w, pixel, count,
                     piece);
        }
        /* The last vector computes with these; left alone they might be denormal. */
        zero(padded - count, piece + count);
    }
}

/* Depth of block t of `blocks`, starting at k: nearly equal ones. */
static int64_t block_depth(int64_t taps, int64_t blocks, int64_t t, int64_t k) {
    return divide_up(taps - k, blocks - t);
}

void conv_columns_pack(const struct conv *conv, const float *w, float *packed) {
    const int64_t taps = conv_taps(conv);
    const int64_t blocks = taps > 0 ? divide_up(taps, GEMM_K_BLOCK) : 1;
    int64_t k = 0;
    for (int64_t t = 0; t < blocks; t++) {
        const int64_t depth = block_depth(taps, blocks, t, k);
        for (int64_t o = 0; o < conv->channels_out; o++, packed += GEMM_A_STRIDE) {
            memcpy(packed, w + o * taps + k, (size_t)depth * sizeof(*packed));
            zero(GEMM_A_STRIDE - depth, packed + depth);
        }
        k += depth;
    }
}

/* All outputs of one group for pixels pixel .. pixel + count. */
static void run_piece(const struct conv *conv, const float *x, const float *packed,
                      const struct gemm_strip *group, int64_t pixel, int64_t count,
                      float *piece) {
    const struct kernels *kernels = kernels_current();
    const int64_t taps = conv_taps(conv);
    const int64_t blocks = taps > 0 ? divide_up(taps, GEMM_K_BLOCK) : 1;
    struct gemm_strip s = *group;
    s.lda = GEMM_A_STRIDE;
    s.ldb = CONV_COLUMNS_STRIDE;
    s.b_padded = true;
    int64_t k = 0;
    for (int64_t t = 0; t < blocks; t++) {
        s.k = block_depth(taps, blocks, t, k);
        fill_piece(conv, x, k, s.k, pixel, count, piece);
        s.a = packed + t * conv->channels_out * GEMM_A_STRIDE;
        s.from_c = t > 0;
        s.last = t == blocks - 1;
        for (int64_t col = 0; col < count; col += GEMM_PANEL) {
            s.cols = min64(GEMM_PANEL, count - col);
            s.b = piece + col;
            s.c = group->c + pixel + col;
            kernels->gemm_strip(&s);
        }
        k += s.k;
    }
}

void conv_columns_run(const struct conv *conv, const float *x, const float *packed,
                      const float *bias, float *y, float *piece) {
    const int64_t pixels = conv->out_h * conv->out_w;
    const int64_t inputs = conv->channels_in / conv->groups * conv->in_h * conv->in_w;
    struct gemm_strip s = {
        .rows = conv->channels_out / conv->groups, .ldc = pixels, .alpha = 1.0F};
    (void)act_clamps(&conv->act, &s.floor, &s.ceil); /* conv.c does the rest */
    /* Pieces of nearly the same width, in whole vectors. */
    const int64_t pieces = divide_up(pixels, CONV_COLUMNS_MAX);
    const int64_t width =
        divide_up(divide_up(pixels, pieces), GEMM_PANEL_STEP) * GEMM_PANEL_STEP;
    assert(width <= CONV_COLUMNS_MAX);
    for (int64_t g = 0; g < conv->groups; g++) {
        s.row_bias = bias != NULL ? bias + g * s.rows : NULL;
        s.c = y + g * s.rows * pixels;
        for (int64_t pixel = 0; pixel < pixels; pixel += width) {
            run_piece(conv, x + g * inputs, packed + g * s.rows * GEMM_A_STRIDE, &s,
                      pixel, min64(width, pixels - pixel), piece);
        }
    }
}

/* One output plane: each tap adds a weighted shift of the input plane. */
static void depthwise_plane(const struct conv *conv, const struct kernels *kernels,
                            const float *x, const float *w, float *y) {
    for (int64_t i = 0; i < conv->kernel_h; i++) {
        for (int64_t j = 0; j < conv->kernel_w; j++, w++) {
            const int64_t shift = j * conv->dilation_w - conv->pad_left;
            int64_t first, end;
            valid_columns(conv, shift, &first, &end);
            for (int64_t oy = 0; oy < conv->out_h; oy++) {
                const int64_t iy =
                    oy * conv->stride_h - conv->pad_top + i * conv->dilation_h;
                if (iy >= 0 && iy < conv->in_h && first < end) {
                    kernels->axpy(end - first, *w,
                                  x + iy * conv->in_w + first * conv->stride_w + shift,
                                  conv->stride_w, y + oy * conv->out_w + first);
                }
            }
        }
    }
}

void conv_depthwise_nchw_run(const struct conv *conv, const float *x, const float *packed,
                             const float *bias, float *y) {
    const struct kernels *kernels = kernels_current();
    const int64_t pixels = conv->out_h * conv->out_w;
    const int64_t taps = conv->kernel_h * conv->kernel_w;
    const int64_t each = conv->channels_out / conv->groups; /* outputs of an input */
    for (int64_t o = 0; o < conv->channels_out; o++, y += pixels) {
        for (int64_t i = 0; i < pixels; i++) {
            y[i] = bias != NULL ? bias[o] : 0.0F;
        }
        depthwise_plane(conv, kernels, x + o / each * conv->in_h * conv->in_w,
                        packed + o * taps, y);
        act_run(&conv->act, pixels, y, y);
    }
}
