/* test_kernel_conv.c - convolution and pooling, every way and layout, beside the
 * definition. */
#include "engine/kernels/conv.h"

#include "engine/kernels/pool.h"
#include "tests/unit/engine/kernel_test.h"

static int64_t x_index(const struct conv *v, enum layout layout, int64_t c, int64_t y,
                       int64_t x) {
    return layout == LAYOUT_NCHW ? (c * v->in_h + y) * v->in_w + x
                                 : (y * v->in_w + x) * v->channels_in + c;
}

/* One output before pooling, by the definition. */
static double conv_reference(const struct conv *v, const float *x, const float *w,
                             const float *bias, double start, int64_t o, int64_t oy,
                             int64_t ox) {
    const int64_t inputs = v->channels_in / v->groups;
    const int64_t first = o / (v->channels_out / v->groups) * inputs;
    double sum = start + (bias != NULL ? (double)bias[o] : 0);
    for (int64_t c = 0; c < inputs; c++) {
        for (int64_t i = 0; i < v->kernel_h; i++) {
            for (int64_t j = 0; j < v->kernel_w; j++, w++) {
                const int64_t iy = oy * v->stride_h - v->pad_top + i * v->dilation_h;
                const int64_t ix = ox * v->stride_w - v->pad_left + j * v->dilation_w;
                if (iy >= 0 && iy < v->in_h && ix >= 0 && ix < v->in_w) {
                    const int64_t at = x_index(v, v->x_layout, first + c, iy, ix);
                    sum += (double)x[at] * (double)*w;
                }
            }
        }
    }
    return act_reference(&v->act, sum);
}

static double output_reference(const struct conv *v, const float *x, const float *w,
                               const float *bias, double start, int64_t o, int64_t oy,
                               int64_t ox) {
    const float *from = w + o * (v->channels_in / v->groups) * v->kernel_h * v->kernel_w;
    if (!v->pool_2x2) {
        return conv_reference(v, x, from, bias, start, o, oy, ox);
    }
    double most = -INFINITY;
    for (int64_t q = 0; q < 4; q++) {
        most = fmax(
            most, conv_reference(v, x, from, bias, 0, o, 2 * oy + q / 2, 2 * ox + q % 2));
    }
    return most;
}

struct images {
    int64_t batch;
    float *x, *w, *bias, *packed, *y, *scratch;
    int64_t x_count, y_count; /* of one image */
};

static struct images images_of(const struct conv *v, int64_t batch) {
    struct images d = {.batch = batch};
    const int64_t size = v->pool_2x2 ? 2 : 1;
    const int64_t taps = v->channels_in / v->groups * v->kernel_h * v->kernel_w;
    d.x_count = v->channels_in * v->in_h * v->in_w;
    d.y_count = v->channels_out * (v->out_h / size) * (v->out_w / size);
    d.x = floats_random(batch * d.x_count);
    d.w = floats_random(v->channels_out * taps);
    d.bias = number_between(0, 2) > 0 ? floats_random(v->channels_out) : NULL;
    d.y = floats_random(batch * d.y_count);
    d.packed = memory_aligned(conv_pack_size(v));
    d.scratch = memory_aligned(conv_scratch_size(v));
    conv_pack(v, d.w, d.packed);
    return d;
}

/* Transformed tiles of 3x3 convolutions lose a little of every term. */
static double tolerance_of(const struct conv *v) {
    const bool square = v->kernel_h == 3 && v->kernel_w == 3;
    return square ? 1e-4 + 2e-6 * (double)v->channels_in * 9 : 1e-4;
}

static void check_conv(const struct conv *v) {
    const int64_t size = v->pool_2x2 ? 2 : 1;
    const int64_t height = v->out_h / size, width = v->out_w / size;
    const struct images d = images_of(v, number_between(1, 3));
    float *start = memory_aligned((size_t)(d.batch * d.y_count + 1) * sizeof(*start));
    memcpy(start, d.y, (size_t)(d.batch * d.y_count) * sizeof(*start));
    conv_run(v, d.batch, d.x, d.packed, d.bias, d.y, d.scratch);
    for (int64_t n = 0; n < d.batch; n++) {
        for (int64_t o = 0; o < v->channels_out; o++) {
            for (int64_t p = 0; p < height * width; p++) {
                const int64_t at = v->y_layout == LAYOUT_NCHW ? o * height * width + p
                                                              : p * v->channels_out + o;
                const double from = v->accumulate ? (double)start[n * d.y_count + at] : 0;
                const double is = output_reference(v, d.x + n * d.x_count, d.w, d.bias,
                                                   from, o, p / width, p % width);
                ck_assert_double_eq_tol(d.y[n * d.y_count + at], is, tolerance_of(v));
            }
        }
    }
}

static int64_t output_size(int64_t in, int64_t kernel, int64_t stride, int64_t dilation,
                           int64_t pads) {
    return (in + pads - (kernel - 1) * dilation - 1) / stride + 1;
}

static struct conv conv_random(enum layout x_layout, enum layout y_layout) {
    struct conv v = {.x_layout = x_layout, .y_layout = y_layout};
    v.groups = number_between(0, 2) == 0 ? number_between(2, 5) : 1;
    v.channels_in = v.groups * number_between(1, number_between(0, 3) == 0 ? 40 : 4);
    if (number_between(0, 15) == 0) { /* more than tiles read themselves */
        v.channels_in = v.groups * number_between(129 / v.groups + 1, 70 + 70 / v.groups);
    }
    v.channels_out = v.groups * number_between(1, number_between(0, 1) == 0 ? 40 : 2);
    v.kernel_h = number_between(1, 4);
    v.kernel_w = number_between(1, 4);
    v.stride_h = number_between(1, 3);
    v.stride_w = number_between(1, 3);
    v.dilation_h = number_between(1, 2);
    v.dilation_w = number_between(1, 2);
    v.pad_top = number_between(0, 3);
    v.pad_left = number_between(0, 3);
    v.in_h = number_between(7, 12);
    v.in_w = number_between(7, number_between(0, 3) == 0 ? 60 : 12);
    v.out_h = output_size(v.in_h, v.kernel_h, v.stride_h, v.dilation_h,
                          v.pad_top + number_between(0, 3));
    v.out_w = output_size(v.in_w, v.kernel_w, v.stride_w, v.dilation_w,
                          v.pad_left + number_between(0, 3));
    v.act =
        (struct act){(enum act_kind)number_between(0, ACT_KIND_COUNT - 1), 0.25F, 0.5F};
    v.pool_2x2 = y_layout == LAYOUT_NHWC && number_between(0, 1) == 1;
    v.accumulate = conv_can_accumulate(&v) && number_between(0, 1) == 1;
    return v;
}

/* Groups of 2, 4 and 8 channels, more than a vector of them and less. */
START_TEST(convolution_in_groups_of_a_few_channels) {
    FOR_EACH_FLOAT_LEVEL(level) {
        for (int round = 0; round < 90; round++) {
            struct conv v = conv_random(LAYOUT_NHWC, LAYOUT_NHWC);
            v.groups = number_between(2, 20);
            v.channels_in = v.channels_out = v.groups * (INT64_C(2) << round % 3);
            v.pool_2x2 = round % 7 == 0;
            if (round % 2 == 0) {
                v.kernel_w = 3;
                v.stride_w = v.dilation_w = 1;
                v.out_w = output_size(v.in_w, 3, 1, 1, v.pad_left + number_between(0, 3));
            }
            v.accumulate = conv_can_accumulate(&v) && number_between(0, 1) == 1;
            check_conv(&v);
        }
    }
}
END_TEST

static void check_many(enum layout x_layout, enum layout y_layout) {
    FOR_EACH_FLOAT_LEVEL(level) {
        for (int round = 0; round < 80; round++) {
            const struct conv v = conv_random(x_layout, y_layout);
            check_conv(&v);
        }
    }
}

START_TEST(convolution_from_nchw_to_nchw) {
    check_many(LAYOUT_NCHW, LAYOUT_NCHW);
}
END_TEST

START_TEST(convolution_from_nchw_to_nhwc) {
    check_many(LAYOUT_NCHW, LAYOUT_NHWC);
}
END_TEST

START_TEST(convolution_from_nhwc_to_nhwc) {
    check_many(LAYOUT_NHWC, LAYOUT_NHWC);
}
END_TEST

/* As ONNX's 1-D convolutions are computed. */
START_TEST(one_row_is_a_1d_convolution) {
    FOR_EACH_FLOAT_LEVEL(level) {
        for (int round = 0; round < 60; round++) {
            const enum layout x_layout = (enum layout)(round % 2);
            struct conv v =
                conv_random(x_layout, round % 3 == 0 ? LAYOUT_NHWC : x_layout);
            v.in_h = v.out_h = v.kernel_h = v.stride_h = v.dilation_h = 1;
            v.pad_top = 0;
            v.pool_2x2 = false;
            check_conv(&v);
        }
    }
}
END_TEST

START_TEST(empty_batch_writes_nothing) {
    for (int round = 0; round < 20; round++) {
        const struct conv v = conv_random(LAYOUT_NCHW, (enum layout)(round % 2));
        const struct images d = images_of(&v, 0);
        float x = 7.0F;
        conv_run(&v, 0, d.x, d.packed, d.bias, &x, d.scratch);
        ck_assert(x == 7.0F);
    }
}
END_TEST

static struct conv conv_square(int64_t inputs, int64_t outputs, int64_t side,
                               int64_t kernel, int64_t pad) {
    return (struct conv){
        .channels_in = inputs,
        .channels_out = outputs,
        .groups = 1,
        .in_h = side,
        .in_w = side,
        .out_h = side + 2 * pad - kernel + 1,
        .out_w = side + 2 * pad - kernel + 1,
        .kernel_h = kernel,
        .kernel_w = kernel,
        .stride_h = 1,
        .stride_w = 1,
        .dilation_h = 1,
        .dilation_w = 1,
        .pad_top = pad,
        .pad_left = pad,
    };
}

/* Tiles of both sizes, cut at the edges, over several images and pieces. */
START_TEST(three_by_three_of_stride_one) {
    FOR_EACH_FLOAT_LEVEL(level) {
        for (int round = 0; round < 24; round++) {
            struct conv v = conv_square(number_between(16, 50), number_between(16, 50),
                                        number_between(3, 20), 3, number_between(0, 2));
            if (round == 0) { /* many channels take the small tile */
                v.channels_in = 165;
                v.channels_out = 160;
            }
            v.in_w += number_between(0, 5);
            v.out_w = v.in_w + 2 * v.pad_left - 2;
            v.x_layout = v.y_layout = LAYOUT_NHWC;
            v.act.kind = (enum act_kind)number_between(0, ACT_KIND_COUNT - 1);
            v.act.alpha = v.act.beta = 0.25F;
            v.accumulate = round % 2 == 1;
            ck_assert(conv_can_accumulate(&v));
            check_conv(&v);
        }
    }
}
END_TEST

/* Rows of any width, tiles of any number of outputs. */
START_TEST(few_taps_with_pixels_innermost) {
    FOR_EACH_FLOAT_LEVEL(level) {
        for (int64_t outputs = 1; outputs <= 34; outputs++) {
            struct conv v = conv_square(number_between(1, 8), outputs, 6, 3, 1);
            v.in_w = number_between(3, 75);
            v.out_w = v.in_w;
            v.stride_h = number_between(1, 2);
            v.out_h = output_size(v.in_h, 3, v.stride_h, 1, 2);
            v.act.kind = (enum act_kind)number_between(0, ACT_KIND_COUNT - 1);
            v.act.alpha = v.act.beta = 0.25F;
            check_conv(&v);
        }
    }
}
END_TEST

/* Several blocks of taps and several pieces of pixels. */
START_TEST(one_by_one_to_any_number_of_channels) {
    FOR_EACH_FLOAT_LEVEL(level) {
        for (int64_t outputs = 1; outputs <= 18; outputs++) {
            struct conv v = conv_square(8, outputs, 9, 1, 0);
            v.x_layout = v.y_layout = outputs % 5 == 0 ? LAYOUT_NCHW : LAYOUT_NHWC;
            check_conv(&v);
        }
    }
}
END_TEST

START_TEST(convolution_larger_than_its_blocks) {
    FOR_EACH_FLOAT_LEVEL(level) {
        for (int layouts = 0; layouts < 3; layouts++) {
            struct conv v = conv_square(70, 33, 16, 3, 1);
            v.x_layout = layouts == 2 ? LAYOUT_NHWC : LAYOUT_NCHW;
            v.y_layout = layouts >= 1 ? LAYOUT_NHWC : LAYOUT_NCHW;
            check_conv(&v);
            v = conv_square(300, 17, 7, 1, 0);
            check_conv(&v);
        }
    }
}
END_TEST

/* Rows of the image, or parts of the only one, in pieces: all outputs of each. */
START_TEST(images_larger_than_a_piece) {
    FOR_EACH_FLOAT_LEVEL(level) {
        for (int round = 0; round < 8; round++) {
            struct conv v = conv_square(40, number_between(33, 36), 31, 2, 1);
            v.x_layout = v.y_layout = LAYOUT_NHWC;
            if (round % 4 == 1) { /* any number of images are one row */
                v = conv_square(64, 35, 19, 1, 0);
                v.x_layout = v.y_layout = LAYOUT_NHWC;
            }
            if (round % 4 == 2) {
                v.in_h = v.out_h = v.kernel_h = 1;
                v.pad_top = 0;
                v.in_w = 900;
                v.out_w = 901;
            }
            if (round % 4 == 3) {
                v.groups = 4;
                v.channels_out = 4 * number_between(1, 9);
            }
            v.pool_2x2 = round < 4 && v.in_h > 1 && v.kernel_h > 1;
            v.accumulate = conv_can_accumulate(&v);
            check_conv(&v);
        }
    }
}
END_TEST

/* The shape of a digits network's first layer, in one call. */
START_TEST(convolution_relu_and_pool_in_one) {
    FOR_EACH_FLOAT_LEVEL(level) {
        struct conv v = conv_square(1, 32, 28, 3, 0);
        v.y_layout = LAYOUT_NHWC;
        v.act.kind = ACT_RELU;
        v.pool_2x2 = true;
        ck_assert_uint_eq(conv_scratch_size(&v), 0);
        check_conv(&v);
    }
}
END_TEST

START_TEST(image_has_the_same_bits_in_any_batch) {
    FOR_EACH_FLOAT_LEVEL(level) {
        for (int round = 0; round < 30; round++) {
            struct conv v =
                conv_random(round % 2 == 0 ? LAYOUT_NCHW : LAYOUT_NHWC, LAYOUT_NHWC);
            if (round % 5 == 0) {
                v = conv_square(17, 16, 11, 3, 1);
                v.x_layout = v.y_layout = LAYOUT_NHWC;
            }
            v.accumulate = false;
            const struct images d = images_of(&v, 3);
            float *alone = floats_random(d.y_count);
            conv_run(&v, 3, d.x, d.packed, d.bias, d.y, d.scratch);
            for (int64_t n = 0; n < 3; n++) {
                conv_run(&v, 1, d.x + n * d.x_count, d.packed, d.bias, alone, d.scratch);
                ck_assert(same_bits(d.y_count, alone, d.y + n * d.y_count));
            }
        }
    }
}
END_TEST

/* One output of a pooling, by the definition. */
static double pool_reference(const struct pool *v, bool max, const float *x, int64_t c,
                             int64_t oy, int64_t ox) {
    double sum = 0, most = -INFINITY;
    int64_t inside = 0, counted = 0;
    for (int64_t t = 0; t < v->kernel_h * v->kernel_w; t++) {
        const int64_t iy =
            oy * v->stride_h - v->pad_top + t / v->kernel_w * v->dilation_h;
        const int64_t ix =
            ox * v->stride_w - v->pad_left + t % v->kernel_w * v->dilation_w;
        counted += iy < v->in_h + v->pad_bottom && ix < v->in_w + v->pad_right;
        if (iy >= 0 && iy < v->in_h && ix >= 0 && ix < v->in_w) {
            const double value = (double)
                x[v->layout == LAYOUT_NCHW ? (c * v->in_h + iy) * v->in_w + ix
                                           : (iy * v->in_w + ix) * v->channels + c];
            sum += value;
            most = fmax(most, value);
            inside++;
        }
    }
    counted = v->count_include_pad ? counted : inside;
    return max ? most : (counted > 0 ? sum / (double)counted : 0);
}

static struct pool pool_random(void) {
    struct pool v = {.channels = number_between(1, 20)};
    v.layout = number_between(0, 1) == 0 ? LAYOUT_NCHW : LAYOUT_NHWC;
    v.in_h = number_between(6, 40);
    v.in_w = number_between(6, 40);
    v.kernel_h = v.kernel_w = v.stride_h = v.stride_w = 2;
    v.dilation_h = v.dilation_w = 1;
    if (number_between(0, 3) > 0) {
        v.kernel_h = number_between(1, 3);
        v.kernel_w = number_between(1, 3);
        v.stride_h = number_between(1, 3);
        v.stride_w = number_between(1, 3);
        v.dilation_h = number_between(1, 2);
        v.dilation_w = number_between(1, 2);
        v.pad_top = number_between(0, 2);
        v.pad_left = number_between(0, 2);
        v.pad_bottom = number_between(0, 2);
        v.pad_right = number_between(0, 2);
    }
    v.count_include_pad = number_between(0, 1) == 1;
    /* One more, as ceil_mode has it. */
    v.out_h = output_size(v.in_h, v.kernel_h, v.stride_h, v.dilation_h,
                          v.pad_top + v.pad_bottom) +
              number_between(0, 1);
    v.out_w = output_size(v.in_w, v.kernel_w, v.stride_w, v.dilation_w,
                          v.pad_left + v.pad_right) +
              number_between(0, 1);
    return v;
}

START_TEST(pooling_takes_every_window) {
    FOR_EACH_FLOAT_LEVEL(level) {
        for (int round = 0; round < 200; round++) {
            const struct pool v = pool_random();
            const bool max = number_between(0, 1) == 1;
            const int64_t batch = number_between(1, 2), pixels = v.out_h * v.out_w;
            const int64_t x_count = v.channels * v.in_h * v.in_w;
            const float *x = floats_random(batch * x_count);
            float *y = floats_random(batch * v.channels * pixels);
            (max ? pool_max : pool_average)(&v, batch, x, y);
            for (int64_t i = 0; i < batch * v.channels * pixels; i++) {
                const int64_t n = i / (v.channels * pixels),
                              at = i % (v.channels * pixels);
                const bool nchw = v.layout == LAYOUT_NCHW;
                const int64_t c = nchw ? at / pixels : at % v.channels;
                const int64_t p = nchw ? at % pixels : at / v.channels;
                const double is =
                    pool_reference(&v, max, x + n * x_count, c, p / v.out_w, p % v.out_w);
                ck_assert(isinf(is) ? isinf(y[i]) : fabs((double)y[i] - is) < 1e-6);
            }
        }
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        convolution_from_nchw_to_nchw,
        convolution_from_nchw_to_nhwc,
        convolution_in_groups_of_a_few_channels,
        convolution_from_nhwc_to_nhwc,
        three_by_three_of_stride_one,
        one_by_one_to_any_number_of_channels,
        convolution_larger_than_its_blocks,
        one_row_is_a_1d_convolution,
        empty_batch_writes_nothing,
        convolution_relu_and_pool_in_one,
        image_has_the_same_bits_in_any_batch,
        pooling_takes_every_window,
        few_taps_with_pixels_innermost,
        images_larger_than_a_piece,
    };
    return suite_run_kernels("engine kernels: conv and pool", tests, ARRAY_COUNT(tests));
}
