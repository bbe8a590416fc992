/* conv.c - which way a convolution is computed, and its memory; see conv_impl.h. */
#include "engine/kernels/conv.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#include "base/size.h"
#include "engine/kernels/conv_impl.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/gemm.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/pool.h"

#define FLOATS_PER_LINE (CACHE_LINE / sizeof(float))

static int64_t max64(int64_t a, int64_t b) {
    return a > b ? a : b;
}

int64_t conv_padded_h(const struct conv *conv) {
    return max64(conv->in_h + conv->pad_top, (conv->out_h - 1) * conv->stride_h +
                                                 (conv->kernel_h - 1) * conv->dilation_h +
                                                 1);
}

int64_t conv_padded_w(const struct conv *conv) {
    return max64(conv->in_w + conv->pad_left,
                 (conv->out_w - 1) * conv->stride_w +
                     (conv->kernel_w - 1) * conv->dilation_w + 1);
}

static bool conv_is_padded(const struct conv *conv) {
    return conv_padded_h(conv) != conv->in_h || conv_padded_w(conv) != conv->in_w;
}

bool conv_is_pointwise(const struct conv *conv) {
    return conv->kernel_h == 1 && conv->kernel_w == 1 && conv->stride_h == 1 &&
           conv->stride_w == 1 && conv->pad_top == 0 && conv->pad_left == 0 &&
           conv->out_h == conv->in_h && conv->out_w == conv->in_w;
}

int64_t conv_taps(const struct conv *conv) {
    return conv->channels_in / conv->groups * conv->kernel_h * conv->kernel_w;
}

/* Floats in a x b x c, a whole number of cache lines; SIZE_MAX where too many. */
static size_t floats(int64_t a, int64_t b, int64_t c) {
    size_t count = 0;
    if (!size_mul((size_t)a, (size_t)b, &count) || !size_mul(count, (size_t)c, &count) ||
        count > SIZE_MAX / CACHE_LINE) {
        return SIZE_MAX;
    }
    return size_align(count, FLOATS_PER_LINE);
}

static size_t bytes(size_t count) {
    return count > SIZE_MAX / sizeof(float) ? SIZE_MAX : count * sizeof(float);
}

/* Input channels of a group, innermost, up to which tiles read the image itself: the
 * windows of a tile's pixels lie in the first cache.  Behind that rows are gathered. */
#define DIRECT_CHANNELS_MAX 128

static bool is_direct(const struct conv *conv) {
    return (conv->x_layout == LAYOUT_NCHW ||
            conv->channels_in / conv->groups <= DIRECT_CHANNELS_MAX) &&
           conv_taps(conv) <= CONV_DIRECT_TAPS_MAX &&
           floats(conv->channels_in, conv_padded_h(conv), conv_padded_w(conv)) <=
               INT32_MAX;
}

/* Told without the image's size, which packing does not know; ops see to it that offsets
 * in an image are of 32 bits. */
static bool is_dot(const struct conv *conv) {
    return conv->x_layout == LAYOUT_NHWC && conv->groups == 1 && !conv->pool_2x2 &&
           conv->kernel_h * conv->kernel_w <= CONV_DIRECT_TAPS_MAX &&
           conv_dot_suits(conv->channels_out, conv_taps(conv));
}

/* Fewer channels than this do not pay for the transforms. */
#define WINOGRAD_CHANNELS_MIN 16

static bool is_winograd(const struct conv *conv) {
    return conv->x_layout == LAYOUT_NHWC && conv->groups == 1 && !conv->pool_2x2 &&
           conv->kernel_h == 3 && conv->kernel_w == 3 && conv->stride_h == 1 &&
           conv->stride_w == 1 && conv->dilation_h == 1 && conv->dilation_w == 1 &&
           conv->channels_in >= WINOGRAD_CHANNELS_MIN &&
           conv->channels_out >= WINOGRAD_CHANNELS_MIN;
}

static enum conv_way conv_way(const struct conv *conv) {
    assert(conv->x_layout == LAYOUT_NCHW || conv->y_layout == LAYOUT_NHWC);
    const bool depthwise = conv->groups > 1 && conv->groups == conv->channels_in;
    if (conv->y_layout == LAYOUT_NCHW) {
        assert(!conv->pool_2x2);
        if (depthwise) {
            return CONV_DEPTHWISE_NCHW;
        }
        return conv_shift_suits(conv, conv_taps(conv)) ? CONV_SHIFT : CONV_COLUMNS;
    }
    if (depthwise) {
        return CONV_DEPTHWISE_NHWC;
    }
    if (conv->x_layout == LAYOUT_NHWC && !conv->pool_2x2 && conv_grouped_suits(conv)) {
        return CONV_GROUPED;
    }
    if (is_winograd(conv)) {
        return CONV_WINOGRAD;
    }
    if (is_dot(conv)) {
        return CONV_DOT;
    }
    return is_direct(conv) ? CONV_DIRECT : CONV_ROWS;
}

int64_t conv_rows_columns(const struct conv *conv) {
    const int64_t outputs = conv->channels_out / conv->groups;
    return outputs == 1 ? 2 : outputs;
}

bool conv_rows_are_image(const struct conv *conv) {
    return conv_is_pointwise(conv) &&
           conv_rows_columns(conv) == conv->channels_out / conv->groups;
}

bool conv_can_accumulate(const struct conv *conv) {
    const enum conv_way way = conv_way(conv);
    return !conv->pool_2x2 && conv->y_layout == LAYOUT_NHWC &&
           (way == CONV_DIRECT || way == CONV_DOT || way == CONV_GROUPED ||
            way == CONV_ROWS || way == CONV_WINOGRAD);
}

size_t conv_pack_size(const struct conv *conv) {
    const int64_t taps = conv_taps(conv);
    size_t size = SIZE_MAX;
    switch (conv_way(conv)) {
    case CONV_COLUMNS:
        return bytes(floats((taps + GEMM_K_BLOCK - 1) / GEMM_K_BLOCK, conv->channels_out,
                            GEMM_A_STRIDE));
    case CONV_WINOGRAD:
        if (!size_mul(gemm_pack_size(conv->channels_in, conv->channels_out),
                      (size_t)conv_winograd_points(conv), &size)) {
            return SIZE_MAX;
        }
        return size;
    case CONV_DIRECT:
    case CONV_ROWS:
        if (!size_mul(gemm_pack_size(taps, conv_rows_columns(conv)), (size_t)conv->groups,
                      &size)) {
            return SIZE_MAX;
        }
        return size;
    case CONV_DOT:
    case CONV_GROUPED:
    case CONV_SHIFT:
    case CONV_DEPTHWISE_NCHW:
    case CONV_DEPTHWISE_NHWC:
    case CONV_WAY_COUNT:
        break;
    }
    return bytes(floats(conv->channels_out, taps, 1));
}

void conv_pack(const struct conv *conv, const float *w, float *packed) {
    const int64_t taps = conv_taps(conv), outputs = conv->channels_out;
    switch (conv_way(conv)) {
    case CONV_COLUMNS:
        conv_columns_pack(conv, w, packed);
        return;
    case CONV_DIRECT:
    case CONV_ROWS:
        conv_rows_pack(conv, w, packed);
        return;
    case CONV_DOT:
        conv_dot_pack(conv, w, packed);
        return;
    case CONV_GROUPED:
        conv_grouped_pack(conv, w, packed);
        return;
    case CONV_WINOGRAD:
        conv_winograd_pack(conv, w, packed);
        return;
    case CONV_SHIFT:
    case CONV_DEPTHWISE_NHWC:
        transpose_f32(outputs, taps, w, packed);
        return;
    case CONV_DEPTHWISE_NCHW:
    case CONV_WAY_COUNT:
        break;
    }
    memcpy(packed, w, (size_t)(outputs * taps) * sizeof(*packed));
}

static struct conv_volume one_plane(const struct conv *conv) {
    return (struct conv_volume){
        .plane = *conv,
        .channels = conv->channels_in,
        .in_d = 1,
        .out_d = 1,
        .kernel_d = 1,
        .stride_d = 1,
        .dilation_d = 1,
    };
}

/* Tiles do all of the activation, so that they may pool behind it. */
static bool clamps_alone(const struct conv *conv) {
    float floor, ceil;
    return act_clamps(&conv->act, &floor, &ceil) == NULL;
}

static bool reads_padded(enum conv_way way) {
    return way == CONV_DIRECT || way == CONV_DOT || way == CONV_GROUPED;
}

static struct conv_scratch scratch_of(const struct conv *conv) {
    struct conv_scratch s = {0};
    const enum conv_way way = conv_way(conv);
    if (reads_padded(way) && conv_is_padded(conv)) {
        s.image = floats(conv->channels_in, conv_padded_h(conv), conv_padded_w(conv));
    }
    if ((way == CONV_ROWS || way == CONV_DEPTHWISE_NHWC) &&
        conv->x_layout == LAYOUT_NCHW && conv->channels_in > 1) {
        s.image = floats(conv->channels_in, conv->in_h, conv->in_w);
    }
    if (way == CONV_SHIFT) {
        const struct conv_volume plane = one_plane(conv);
        s.piece = conv_shift_scratch(&plane);
    } else if (way == CONV_WINOGRAD) {
        s.piece = size_align(conv_winograd_scratch(conv), FLOATS_PER_LINE);
    } else if (way == CONV_COLUMNS) {
        s.piece = floats(GEMM_K_BLOCK, CONV_COLUMNS_STRIDE, 1);
    } else if (way == CONV_ROWS && !conv_rows_are_image(conv)) {
        s.piece = floats(CONV_ROWS_MAX, GEMM_A_STRIDE, 1);
    } else if (way == CONV_DEPTHWISE_NHWC && conv->channels_out > conv->channels_in) {
        s.piece = floats(conv->channels_out, conv->in_h, conv->in_w);
    }
    if (conv->pool_2x2 && !(way == CONV_DIRECT && clamps_alone(conv))) {
        s.unpooled = floats(conv->channels_out, conv->out_h, conv->out_w);
    }
    return s;
}

size_t conv_scratch_size(const struct conv *conv) {
    const struct conv_scratch s = scratch_of(conv);
    size_t count = 0;
    if (!size_add(s.image, s.piece, &count) || !size_add(count, s.unpooled, &count)) {
        return SIZE_MAX;
    }
    return bytes(count);
}

void conv_pad_planes(const struct conv *conv, int64_t planes, int64_t size,
                     const float *x, float *padded) {
    const int64_t height = conv_padded_h(conv), width = conv_padded_w(conv) * size;
    const int64_t left = conv->pad_left * size, middle = conv->in_w * size;
    const int64_t right = width - left - middle;
    for (int64_t i = 0; i < planes * height; i++, padded += width) {
        const int64_t row = i % height - conv->pad_top;
        if (row < 0 || row >= conv->in_h) {
            memset(padded, 0, (size_t)width * sizeof(*padded));
            continue;
        }
        memset(padded, 0, (size_t)left * sizeof(*padded));
        memcpy(padded + left, x, (size_t)middle * sizeof(*padded));
        memset(padded + left + middle, 0, (size_t)right * sizeof(*padded));
        x += middle;
    }
}

static void pad_image(const struct conv *conv, const float *x, float *padded) {
    if (conv->x_layout == LAYOUT_NHWC) {
        conv_pad_planes(conv, 1, conv->channels_in, x, padded);
    } else {
        conv_pad_planes(conv, conv->channels_in, 1, x, padded);
    }
}

static void pool_image(const struct conv *conv, const float *x, float *y) {
    const struct pool pool = {
        .channels = conv->channels_out,
        .in_h = conv->out_h,
        .in_w = conv->out_w,
        .out_h = conv->out_h / 2,
        .out_w = conv->out_w / 2,
        .kernel_h = 2,
        .kernel_w = 2,
        .stride_h = 2,
        .stride_w = 2,
        .dilation_h = 1,
        .dilation_w = 1,
        .layout = LAYOUT_NHWC,
    };
    pool_max(&pool, 1, x, y);
}

/* What clamps in the tiles did not do, on one image of y. */
static void finish_image(const struct conv *conv, float *y) {
    float floor, ceil;
    const struct act *rest = act_clamps(&conv->act, &floor, &ceil);
    if (rest != NULL) {
        act_run(rest, conv->channels_out * conv->out_h * conv->out_w, y, y);
    }
}

/* A channel for each output channel that reads it. */
static void widen_image(const struct conv *conv, const float *x, float *wide) {
    const int64_t times = conv->channels_out / conv->channels_in;
    for (int64_t i = 0; i < conv->channels_in * conv->in_h * conv->in_w; i++) {
        for (int64_t k = 0; k < times; k++) {
            *wide++ = x[i];
        }
    }
}

static void run_image(const struct conv *conv, enum conv_way way, const float *x,
                      const float *packed, const float *bias, float *y, float *piece) {
    const struct conv_volume plane = one_plane(conv);
    switch (way) {
    case CONV_SHIFT:
        conv_shift_run(&plane, x, packed, bias, y, piece);
        return;
    case CONV_DIRECT:
        conv_direct_run(conv, x, packed, bias, y);
        finish_image(conv, y);
        return;
    case CONV_DOT:
        conv_dot_run(conv, x, packed, bias, y);
        finish_image(conv, y);
        return;
    case CONV_GROUPED:
        conv_grouped_run(conv, x, packed, bias, y);
        finish_image(conv, y);
        return;
    case CONV_COLUMNS:
        conv_columns_run(conv, x, packed, bias, y, piece);
        finish_image(conv, y);
        return;
    case CONV_ROWS:
        conv_rows_run(conv, 1, x, packed, bias, y, piece);
        return;
    case CONV_WINOGRAD:
        conv_winograd_run(conv, 1, x, packed, bias, y, piece);
        return;
    case CONV_DEPTHWISE_NCHW:
        conv_depthwise_nchw_run(conv, x, packed, bias, y);
        return;
    case CONV_DEPTHWISE_NHWC:
        if (piece != NULL) {
            widen_image(conv, x, piece);
        }
        conv_depthwise_nhwc_run(conv, piece != NULL ? piece : x, packed, bias, y);
        return;
    case CONV_WAY_COUNT:
        break;
    }
    assert(false);
}

/* The pixels of all images may be taken as one row. */
static bool is_one_row(const struct conv *conv) {
    return conv_is_pointwise(conv) && !conv->pool_2x2 &&
           (conv->x_layout == LAYOUT_NHWC || conv->channels_in == 1);
}

void conv_run(const struct conv *conv, int64_t batch, const float *x, const float *packed,
              const float *bias, float *y, void *scratch) {
    const enum conv_way way = conv_way(conv);
    const struct conv_scratch s = scratch_of(conv);
    struct conv plain = *conv; /* without a pooling that is done behind it */
    float *image = scratch;
    float *piece = s.piece > 0 ? image + s.image : NULL;
    float *unpooled = s.unpooled > 0 ? image + s.image + s.piece : NULL;
    const int64_t x_count = conv->channels_in * conv->in_h * conv->in_w;
    const int64_t size = conv->pool_2x2 ? 2 : 1;
    const int64_t y_count =
        conv->channels_out * (conv->out_h / size) * (conv->out_w / size);
    if (y_count == 0) {
        return;
    }
    plain.pool_2x2 = conv->pool_2x2 && unpooled == NULL;
    if (way == CONV_WINOGRAD) {
        conv_winograd_run(conv, batch, x, packed, bias, y, piece);
        return;
    }
    if (reads_padded(way) && is_one_row(conv)) {
        plain.in_h = plain.out_h = 1;
        plain.in_w = plain.out_w = batch * conv->in_h * conv->in_w;
        run_image(&plain, way, x, packed, bias, y, piece);
        return;
    }
    if (way == CONV_ROWS && s.image == 0 && s.unpooled == 0) {
        conv_rows_run(conv, batch, x, packed, bias, y, piece);
        return;
    }
    for (int64_t i = 0; i < batch; i++, x += x_count, y += y_count) {
        const float *from = x;
        if (s.image > 0 && reads_padded(way)) {
            pad_image(conv, x, image);
            from = image;
        } else if (s.image > 0) {
            transpose_f32(conv->channels_in, conv->in_h * conv->in_w, x, image);
            from = image;
        }
        run_image(&plain, way, from, packed, bias, unpooled != NULL ? unpooled : y,
                  piece);
        if (unpooled != NULL) {
            pool_image(conv, unpooled, y);
        }
    }
}
