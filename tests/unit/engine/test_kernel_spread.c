/* test_kernel_spread.c - transposed convolution against its definition, at every level.
 */
#include "kernel_test.h"

#include "engine/kernels/spread.h"

/* Some of the shapes that decoders have, and worse. */
static struct spread random_spread(void) {
    struct spread v = {
        .channels_in = number_between(1, 40),
        .channels_out = number_between(1, number_between(0, 1) == 0 ? 3 : 40),
        .in_h = number_between(1, 9),
        .in_w = number_between(1, 9),
        .kernel_h = number_between(1, 4),
        .kernel_w = number_between(1, 4),
        .stride_h = number_between(1, 3),
        .stride_w = number_between(1, 3),
        .dilation_h = number_between(1, 2),
        .dilation_w = number_between(1, 2),
        .pad_top = number_between(0, 2),
        .pad_left = number_between(0, 2),
        .act = {.kind = number_between(0, 1) == 0 ? ACT_NONE : ACT_RELU},
    };
    if (number_between(0, 2) == 0) {
        v.stride_h = v.stride_w = 1;
    }
    /* The far side may be cut, or grow by an output padding. */
    v.out_h = (v.in_h - 1) * v.stride_h + (v.kernel_h - 1) * v.dilation_h + 1 -
              v.pad_top - number_between(-1, 2);
    v.out_w = (v.in_w - 1) * v.stride_w + (v.kernel_w - 1) * v.dilation_w + 1 -
              v.pad_left - number_between(-1, 2);
    v.way = (enum spread_way)number_between(SPREAD_ADDED, SPREAD_PHASES);
    if (!spread_allows(&v, v.way)) {
        v.way = SPREAD_PHASES;
    }
    return v;
}

/* y [out_h, out_w, channels_out] of one image. */
static void spread_plainly(const struct spread *v, const float *x, const float *w,
                           const float *bias, double *y) {
    for (int64_t i = 0; i < v->out_h * v->out_w * v->channels_out; i++) {
        y[i] = bias != NULL ? (double)bias[i % v->channels_out] : 0;
    }
    const int64_t kernel = v->kernel_h * v->kernel_w;
    for (int64_t p = 0; p < v->in_h * v->in_w * kernel; p++) {
        const int64_t pixel = p / kernel, k = p % kernel;
        const int64_t oy =
            pixel / v->in_w * v->stride_h - v->pad_top + k / v->kernel_w * v->dilation_h;
        const int64_t ox =
            pixel % v->in_w * v->stride_w - v->pad_left + k % v->kernel_w * v->dilation_w;
        if (oy < 0 || oy >= v->out_h || ox < 0 || ox >= v->out_w) {
            continue;
        }
        for (int64_t c = 0; c < v->channels_in * v->channels_out; c++) {
            const int64_t from = c / v->channels_out, to = c % v->channels_out;
            y[(oy * v->out_w + ox) * v->channels_out + to] +=
                (double)x[pixel * v->channels_in + from] * (double)w[c * kernel + k];
        }
    }
}

static void check(const struct spread *v, int64_t batch) {
    const int64_t x_count = v->in_h * v->in_w * v->channels_in;
    const int64_t y_count = v->out_h * v->out_w * v->channels_out;
    const float *x = floats_random(batch * x_count);
    const float *w =
        floats_random(v->channels_in * v->channels_out * v->kernel_h * v->kernel_w);
    const float *bias = number_between(0, 1) == 0 ? NULL : floats_random(v->channels_out);
    float *y = floats_unaligned(batch * y_count), *alone = floats_unaligned(y_count);
    float *packed = memory_aligned(spread_pack_size(v));
    void *scratch = memory_aligned(spread_scratch_size(v));
    double *plain = keep(malloc((size_t)y_count * sizeof(*plain)));
    ck_assert(spread_pack(v, w, packed));
    spread_run(v, batch, x, packed, bias, y, scratch);
    for (int64_t b = 0; b < batch; b++) {
        spread_plainly(v, x + b * x_count, w, bias, plain);
        spread_run(v, 1, x + b * x_count, packed, bias, alone, scratch);
        for (int64_t i = 0; i < y_count; i++) {
            const double is = v->act.kind == ACT_RELU && plain[i] < 0 ? 0 : plain[i];
            ck_assert_double_eq_tol(y[b * y_count + i], is, 1e-4);
        }
        ck_assert_mem_eq(alone, y + b * y_count, (size_t)y_count * sizeof(*y));
    }
}

START_TEST(a_transposed_convolution_is_its_definition) {
    FOR_EACH_FLOAT_LEVEL(level) {
        for (int i = 0; i < 300; i++) {
            const struct spread v = random_spread();
            if (v.out_h > 0 && v.out_w > 0) {
                check(&v, number_between(1, 3));
            }
        }
    }
}
END_TEST

static struct spread doubled(enum spread_way way, int64_t inputs, int64_t outputs,
                             int64_t side) {
    return (struct spread){.channels_in = inputs,
                           .channels_out = outputs,
                           .in_h = side,
                           .in_w = side / 2,
                           .out_h = 2 * side + 1,
                           .out_w = side / 2 * 2 + 1,
                           .kernel_h = 3,
                           .kernel_w = 3,
                           .stride_h = 2,
                           .stride_w = 2,
                           .dilation_h = 1,
                           .dilation_w = 1,
                           .way = way};
}

/* Pieces of an image are added up over their borders. */
START_TEST(a_large_image_is_spread_in_pieces) {
    FOR_EACH_FLOAT_LEVEL(level) {
        for (int way = SPREAD_ADDED; way <= SPREAD_PHASES; way += SPREAD_PHASES) {
            const struct spread many = doubled((enum spread_way)way, 3, 70, 20);
            const struct spread deep = doubled((enum spread_way)way, 256, 5, 18);
            check(&many, 2);
            check(&deep, 1);
        }
    }
}
END_TEST

START_TEST(the_fastest_way_is_one_that_is_allowed) {
    for (int i = 0; i < 1000; i++) {
        const struct spread v = random_spread();
        ck_assert(spread_allows(&v, spread_choose(&v, true)));
        ck_assert_int_eq(spread_choose(&v, false), SPREAD_ADDED);
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_transposed_convolution_is_its_definition,
        a_large_image_is_spread_in_pieces,
        the_fastest_way_is_one_that_is_allowed,
    };
    return suite_run_kernels("engine kernels: transposed convolution", tests,
                             ARRAY_COUNT(tests));
}
