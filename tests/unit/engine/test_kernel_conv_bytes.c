/* test_kernel_conv_bytes.c - convolutions of bytes: what the definition says, to the bit,
 * at every level, of any axes, groups, strides, dilations and pads, in either layout. */
#include "engine/kernels/conv_bytes.h"

#include "tests/unit/engine/kernel_test.h"

/* Room that ends where the sanitizers watch, at an odd address. */
static uint8_t *bytes_random(int64_t count) {
    uint8_t *x = (uint8_t *)keep(malloc((size_t)count + 1)) + 1;
    for (int64_t i = 0; i < count; i++) {
        x[i] = (uint8_t)number_between(0, 255);
    }
    return x;
}

static int32_t *numbers_random(int64_t count, int64_t reach) {
    int32_t *x = keep(malloc((size_t)count * sizeof(*x)));
    for (int64_t i = 0; i < count; i++) {
        x[i] = (int32_t)number_between(-reach, reach);
    }
    return x;
}

static struct conv_bytes_axis axis_random(int64_t most) {
    struct conv_bytes_axis a = {.kernel = number_between(1, 4),
                                .stride = number_between(1, 3),
                                .dilation = number_between(1, 2)};
    int64_t end = number_between(0, 3), room;
    a.pad = number_between(0, 3);
    a.in = number_between(1, most);
    room = a.in + a.pad + end - ((a.kernel - 1) * a.dilation + 1);
    if (room < 0) {
        a.in -= room;
        room = 0;
    }
    a.out = room / a.stride + 1;
    return a;
}

static bool only_few; /* channels, so that windows are read where they lie */

static struct conv_bytes conv_random(bool depthwise) {
    static const int64_t widths[] = {2, 3, 8, 16, 24, 31, 32, 64, 65, 72, 96, 130, 2701};
    struct conv_bytes c = {.axes = (int)number_between(1, depthwise ? 2 : 3)};
    for (int i = 0; i < c.axes; i++) {
        c.axis[i] = axis_random(c.axes == 1 ? 30 : 7);
    }
    if (number_between(0, 4) == 0 && !depthwise) { /* as it is, without windows */
        for (int i = 0; i < c.axes; i++) {
            const int64_t in = c.axis[i].in;
            c.axis[i] = (struct conv_bytes_axis){in, in, 1, 1, 1, 0};
        }
    }
    c.groups = number_between(0, 2) == 0 ? number_between(2, 3) : 1;
    c.channels_in = c.groups * number_between(1, 9);
    c.channels_out = c.groups * number_between(1, 40);
    if (depthwise) {
        c.groups = widths[number_between(0, ARRAY_COUNT(widths) - 1)];
        c.channels_in = c.channels_out = c.groups;
    }
    if (only_few) {
        c.axes = number_between(1, 4) > 1 ? 2 : 1;
        c.axis[1] = c.axes == 2 ? axis_random(40) : c.axis[1];
        c.axis[c.axes - 1].dilation = 1;
        c.groups = 1;
        c.channels_in = number_between(1, 4);
    }
    c.flip = number_between(0, 1) == 1 ? GEMM_BYTES_FLIP : 0;
    c.w_flip = number_between(0, 1) == 1 ? GEMM_BYTES_FLIP : 0;
    c.x_last = number_between(0, 1) == 1;
    c.y_last = number_between(0, 2) > 0;
    return c;
}

static int64_t count_of(const struct conv_bytes *c, char what) {
    const int64_t size = c->pool_2x2 ? 2 : 1;
    int64_t count = 1;
    for (int i = 0; i < c->axes; i++) {
        count *= what == 'i'   ? c->axis[i].in
                 : what == 'o' ? c->axis[i].out / size
                               : c->axis[i].kernel;
    }
    return count;
}

/* One image and the numbers that go with it. */
struct given {
    const struct conv_bytes *c;
    const uint8_t *x, *w;
    uint8_t x_zero;
    const int32_t *zero; /* of weights, or NULL */
    struct gemm_bytes_tail tail;
};

/* The pixel a tap of a window sees, -1 in the padding. */
static int64_t seen(const struct conv_bytes *c, int64_t window, int64_t tap) {
    int64_t at = 0, step = 1;
    for (int i = c->axes - 1; i >= 0; i--) {
        const struct conv_bytes_axis *a = &c->axis[i];
        const int64_t place =
            window % a->out * a->stride + tap % a->kernel * a->dilation - a->pad;
        if (place < 0 || place >= a->in) {
            return -1;
        }
        at += place * step;
        step *= a->in;
        window /= a->out;
        tap /= a->kernel;
    }
    return at;
}

static int32_t sum_of(const struct given *g, int64_t window, int64_t output) {
    const struct conv_bytes *c = g->c;
    const int64_t channels = c->channels_in / c->groups, taps = count_of(c, 'k');
    const int64_t group = output / (c->channels_out / c->groups);
    const int64_t pixels = count_of(c, 'i');
    int64_t sum = g->tail.add[output];
    for (int64_t i = 0; i < channels * taps; i++) {
        const int64_t pixel = seen(c, window, i % taps);
        const int64_t channel = group * channels + i / taps;
        const int64_t at =
            c->x_last ? pixel * c->channels_in + channel : channel * pixels + pixel;
        const int32_t x = pixel < 0 ? g->x_zero : g->x[at] ^ c->flip;
        const int32_t w = (int8_t)(g->w[output * channels * taps + i] ^ c->w_flip);
        sum += (int64_t)x * (w - (g->zero == NULL ? 0 : g->zero[output]));
    }
    return (int32_t)sum;
}

/* The largest sum of what is pooled to a pixel. */
static int32_t pooled_of(const struct given *g, int64_t pixel, int64_t output) {
    const int64_t width = g->c->axis[1].out;
    const int64_t first = pixel / (width / 2) * 2 * width + pixel % (width / 2) * 2;
    int32_t most = INT32_MIN;
    for (int64_t i = 0; i < 4; i++) {
        const int32_t sum = sum_of(g, first + i / 2 * width + i % 2, output);
        most = sum > most ? sum : most;
    }
    return most;
}

static void check_element(const struct given *g, int32_t sum, int64_t output,
                          const void *y, int64_t at) {
    const struct gemm_bytes_tail *t = &g->tail;
    if (t->form == GEMM_BYTES_SUMS) {
        ck_assert_int_eq(((const int32_t *)y)[at], sum);
        return;
    }
    const float scaled = (float)sum * t->scale[output];
    if (t->form == GEMM_BYTES_FLOATS) {
        const float want = t->bias != NULL ? scaled + t->bias[output] : scaled;
        ck_assert(same_bits(1, (const float *)y + at, &want));
        return;
    }
    const double whole = nearbyint((double)scaled) + t->zero;
    ck_assert_int_eq(((const uint8_t *)y)[at],
                     (uint8_t)(int)fmin(fmax(whole, t->low), t->low + 255));
}

static void *packed_of(const struct given *g) {
    void *packed = memory_aligned(conv_bytes_pack_size(g->c));
    void *scratch = memory_aligned(conv_bytes_pack_scratch(g->c));
    conv_bytes_pack(g->c, g->w, g->zero, packed, scratch);
    return packed;
}

static void check_columns(const struct given *g, const void *packed) {
    const struct conv_bytes *c = g->c;
    const int64_t k = c->channels_in / c->groups * count_of(c, 'k');
    int32_t *sums = keep(malloc((size_t)c->channels_out * sizeof(*sums)));
    conv_bytes_columns(c, packed, sums);
    for (int64_t o = 0; o < c->channels_out; o++) {
        int32_t sum = 0;
        for (int64_t i = 0; i < k; i++) {
            sum += (int8_t)(g->w[o * k + i] ^ c->w_flip);
            sum -= g->zero != NULL && conv_bytes_is_depthwise(c) ? g->zero[o] : 0;
        }
        ck_assert_int_eq(sums[o], sum);
    }
}

static void check(struct given *g, int64_t batch) {
    const struct conv_bytes *c = g->c;
    const int64_t pixels = count_of(c, 'o'), x_size = count_of(c, 'i') * c->channels_in;
    const int64_t y_count = pixels * c->channels_out;
    const size_t width = g->tail.form == GEMM_BYTES_BYTES ? 1 : 4;
    const uint8_t *x = bytes_random(batch * x_size);
    g->tail.b_zero = conv_bytes_is_depthwise(c) ? NULL : g->zero;
    FOR_EACH_LEVEL(level) {
        const void *packed = packed_of(g);
        unsigned char *y = keep(malloc((size_t)(batch * y_count) * width));
        check_columns(g, packed);
        conv_bytes_run(c, batch, x, g->x_zero, packed, &g->tail, y,
                       memory_aligned(conv_bytes_scratch_size(c)));
        for (int64_t i = 0; i < batch * y_count; i++) {
            const int64_t at = i % y_count;
            const int64_t output = c->y_last ? at % c->channels_out : at / pixels;
            const int64_t window = c->y_last ? at / c->channels_out : at % pixels;
            g->x = x + i / y_count * x_size;
            if (i % 7 == 0 || y_count < 3000) {
                check_element(g,
                              c->pool_2x2 ? pooled_of(g, window, output)
                                          : sum_of(g, window, output),
                              output, y, i);
            }
        }
    }
}

static void check_random(bool depthwise, int form) {
    struct conv_bytes c = conv_random(depthwise);
    const int64_t outputs = c.channels_out + GEMM_BYTES_SLACK;
    float *scale = floats_random(outputs);
    struct given g = {.c = &c,
                      .x_zero = (uint8_t)number_between(0, 255),
                      .zero = number_between(0, 1) == 0 ? NULL
                                                        : numbers_random(outputs, 127)};
    g.w = bytes_random(c.channels_in / c.groups * c.channels_out * count_of(&c, 'k'));
    c.doubled = depthwise && g.zero != NULL;
    c.pool_2x2 = form == GEMM_BYTES_BYTES && conv_bytes_pools(&c) && c.axis[0].out > 1 &&
                 c.axis[1].out > 1;
    for (int64_t i = 0; i < outputs; i++) {
        scale[i] = fabsf(scale[i]) / 256;
    }
    g.tail = (struct gemm_bytes_tail){.form = (enum gemm_bytes_form)form,
                                      .add = numbers_random(outputs, 5000),
                                      .scale = scale};
    g.tail.bias = number_between(0, 1) == 1 ? floats_random(outputs) : NULL;
    g.tail.low = number_between(0, 1) == 1 ? -128 : 0;
    g.tail.zero = g.tail.low + (int32_t)number_between(0, 255);
    check(&g, number_between(1, 2));
}

START_TEST(windows_are_the_definition) {
    for (int i = 0; i < 150; i++) {
        check_random(false, i % 3);
    }
}
END_TEST

/* The direct way, pooling and not. */
START_TEST(few_channels_are_the_definition) {
    for (int i = 0; i < 150; i++) {
        only_few = true;
        check_random(false, i % 3);
        only_few = false;
    }
}
END_TEST

START_TEST(depthwise_is_the_definition) {
    for (int i = 0; i < 150; i++) {
        check_random(true, i % 3);
    }
}
END_TEST

/* Several blocks of windows, and several bands of rows. */
START_TEST(large_images_are_cut) {
    for (int depthwise = 0; depthwise < 2; depthwise++) {
        struct conv_bytes c = {.axes = 2,
                               .axis = {{40, 20, 3, 2, 1, 1}, {60, 30, 3, 2, 1, 1}},
                               .channels_in = 64,
                               .channels_out = depthwise ? 64 : 8,
                               .groups = depthwise ? 64 : 1,
                               .x_last = true,
                               .y_last = true};
        struct given g = {.c = &c, .x_zero = 3};
        g.w = bytes_random(64 * 64 * 9);
        g.tail = (struct gemm_bytes_tail){.form = GEMM_BYTES_SUMS,
                                          .add = numbers_random(100, 50)};
        check(&g, 1);
    }
}
END_TEST

/* A stride past the image counts for nothing. */
START_TEST(one_result_does_not_step) {
    struct conv_bytes c = {
        .axes = 2,
        .axis = {{3, 1, 3, INT32_MAX, 1, 0}, {3, 1, 3, INT32_MAX, 1, 0}},
        .channels_in = 5,
        .channels_out = 5,
        .groups = 5,
        .y_last = true};
    struct given g = {.c = &c, .x_zero = 3, .w = bytes_random(5 * 9)};
    g.tail =
        (struct gemm_bytes_tail){.form = GEMM_BYTES_SUMS, .add = numbers_random(100, 50)};
    ck_assert_uint_lt(conv_bytes_scratch_size(&c), 10000);
    check(&g, 1);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        windows_are_the_definition,  few_channels_are_the_definition,
        depthwise_is_the_definition, large_images_are_cut,
        one_result_does_not_step,
    };
    return suite_run_kernels("engine kernels: conv_bytes", tests, ARRAY_COUNT(tests));
}
