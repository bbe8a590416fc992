/* conv_impl.h - inside convolution: the ways to compute one, and what they share.
 *
 * conv.c chooses a way and lays out the scratch; conv_direct.c, conv_dot.c,
 * conv_grouped.c, conv_nchw.c, conv_nhwc.c and conv_shift.c compute one image each.
 *
 * Depends on: engine/kernels/conv.h.
 * Ownership, threads: as conv.h. */
#ifndef MILLRACE_ENGINE_KERNELS_CONV_IMPL_H
#define MILLRACE_ENGINE_KERNELS_CONV_IMPL_H

#include "engine/kernels/conv.h"
#include "engine/kernels/conv_volume.h"

enum conv_way {
    CONV_DIRECT,         /* to NHWC: tiles read the image itself */
    CONV_DOT,            /* NHWC to few outputs: the image itself, channels as vectors */
    CONV_GROUPED,        /* NHWC, groups of a few channels: the image itself */
    CONV_SHIFT,          /* NCHW, few taps: rows of the image, shifted and weighted */
    CONV_COLUMNS,        /* NCHW: weights times columns of pixels */
    CONV_ROWS,           /* to NHWC: rows of pixels times packed weights */
    CONV_WINOGRAD,       /* NHWC, 3x3: tiles of pixels, transformed */
    CONV_DEPTHWISE_NCHW, /* one input channel a group */
    CONV_DEPTHWISE_NHWC, /* the same, to NHWC: an input for each output channel */
    CONV_WAY_COUNT
};

/* Taps of a direct or shifted convolution; their offsets live on the stack. */
#define CONV_DIRECT_TAPS_MAX 3200
#define CONV_SHIFT_TAPS_MAX 384

/* Pixels of one piece of columns, and the distance of its rows: an odd number of cache
 * lines, so that they spread over the cache's sets. */
#define CONV_COLUMNS_MAX 192
#define CONV_COLUMNS_STRIDE (CONV_COLUMNS_MAX + 16)

/* Parts of the scratch, in floats; 0 where not needed. */
struct conv_scratch {
    size_t
        image; /* x, padded (direct, dot, grouped) or turned to NHWC (rows, depthwise) */
    size_t piece;    /* columns or rows, or the image widened (depthwise) */
    size_t unpooled; /* y before pooling, where the way cannot pool itself */
};

/* The input one output pixel away from the image's origin reads, as far as it goes. */
int64_t conv_padded_h(const struct conv *conv);
int64_t conv_padded_w(const struct conv *conv);

/* 1x1, stride 1, no padding: the columns (rows) are the image itself. */
bool conv_is_pointwise(const struct conv *conv);

/* Multiply-adds behind one output. */
int64_t conv_taps(const struct conv *conv);

/* `planes` planes x [in_h, in_w] of pixels of `size` floats, with zeros around them. */
void conv_pad_planes(const struct conv *conv, int64_t planes, int64_t size,
                     const float *x, float *padded);

/* CONV_SHIFT, of so many taps: weights are packed as [taps, channels_out].  `v` is one
 * image [channels, in_d, in_h, in_w] and `image` conv_shift_scratch floats. */
bool conv_shift_suits(const struct conv *conv, int64_t taps);
size_t conv_shift_scratch(const struct conv_volume *v);
void conv_shift_run(const struct conv_volume *v, const float *x, const float *packed,
                    const float *bias, float *y, float *image);

/* Pixels gathered at once by CONV_ROWS: with GEMM_K_BLOCK taps each they leave room for
 * a panel of weights in the second cache. */
#define CONV_ROWS_MAX 140

/* Columns of packed weights, of CONV_DIRECT too: outputs of a group, at least 2, because
 * the format for one column is another. */
int64_t conv_rows_columns(const struct conv *conv);

/* CONV_ROWS needs no gathering: the convolution is one product of the image. */
bool conv_rows_are_image(const struct conv *conv);

/* y [channels_out, out_h, out_w] of one image x in NCHW. */
void conv_columns_run(const struct conv *conv, const float *x, const float *packed,
                      const float *bias, float *y, float *piece);
void conv_columns_pack(const struct conv *conv, const float *w, float *packed);
void conv_depthwise_nchw_run(const struct conv *conv, const float *x, const float *packed,
                             const float *bias, float *y);

/* y [batch, out_h, out_w, channels_out] of images x in NHWC; without pooling. */
void conv_rows_run(const struct conv *conv, int64_t batch, const float *x,
                   const float *packed, const float *bias, float *y, float *piece);
void conv_rows_pack(const struct conv *conv, const float *w, float *packed);
void conv_winograd_run(const struct conv *conv, int64_t batch, const float *x,
                       const float *packed, const float *bias, float *y, float *scratch);
void conv_winograd_pack(const struct conv *conv, const float *w, float *packed);
size_t conv_winograd_scratch(const struct conv *conv); /* floats */
/* Packed matrices [channels_in, channels_out]. */
int64_t conv_winograd_points(const struct conv *conv);
void conv_depthwise_nhwc_run(const struct conv *conv, const float *x, const float *packed,
                             const float *bias, float *y);

/* CONV_DOT, of so many taps; weights are packed as [outputs, kernel_h, kernel_w,
 * channels_in].  x is one image with its padding around it. */
bool conv_dot_suits(int64_t outputs, int64_t taps);
void conv_dot_pack(const struct conv *conv, const float *w, float *packed);
void conv_dot_run(const struct conv *conv, const float *x, const float *packed,
                  const float *bias, float *y);

/* CONV_GROUPED; weights are packed as [kernel_h, kernel_w, group, channels].  x is one
 * image with its padding around it. */
bool conv_grouped_suits(const struct conv *conv);
void conv_grouped_pack(const struct conv *conv, const float *w, float *packed);
void conv_grouped_run(const struct conv *conv, const float *x, const float *packed,
                      const float *bias, float *y);

/* y of one image x in x_layout with its padding around it, pooled where conv says so. */
void conv_direct_run(const struct conv *conv, const float *x, const float *packed,
                     const float *bias, float *y);

#endif
