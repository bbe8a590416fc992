/* test_kernel_volume.c - convolution and pooling of volumes beside the definition. */
#include "engine/kernels/conv_volume.h"

#include "engine/kernels/pool_volume.h"
#include "tests/unit/engine/kernel_test.h"

#define ROUNDS 40

/* One axis: its window begins at out * stride - pad. */
struct axis {
    int64_t in, out, kernel, stride, dilation, pad, pad_end;
};

static struct axis axis_random(int64_t in_most) {
    struct axis a = {
        .kernel = number_between(1, 3),
        .stride = number_between(1, 2),
        .dilation = number_between(1, 2),
    };
    const int64_t reach = (a.kernel - 1) * a.dilation + 1;
    a.pad = number_between(0, reach - 1);
    a.pad_end = number_between(0, reach - 1);
    a.in = number_between(reach, in_most);
    a.out = (a.in + a.pad + a.pad_end - reach) / a.stride + 1;
    return a;
}

static int64_t place(const struct axis *a, int64_t out, int64_t tap) {
    return out * a->stride + tap * a->dilation - a->pad;
}

static bool inside(const struct axis *a, int64_t at) {
    return at >= 0 && at < a->in;
}

static int64_t volume_size(const struct axis a[3]) {
    return a[0].in * a[1].in * a[2].in;
}

/* The sum over one output's taps; `w` is [channels, kernel...]. */
static double conv_sum(const struct axis a[3], int64_t channels, const float *x,
                       const float *w, const int64_t out[3]) {
    double sum = 0;
    for (int64_t c = 0; c < channels; c++, x += volume_size(a)) {
        for (int64_t d = 0; d < a[0].kernel; d++) {
            for (int64_t i = 0; i < a[1].kernel; i++) {
                for (int64_t j = 0; j < a[2].kernel; j++, w++) {
                    const int64_t z = place(&a[0], out[0], d);
                    const int64_t y = place(&a[1], out[1], i);
                    const int64_t v = place(&a[2], out[2], j);
                    if (inside(&a[0], z) && inside(&a[1], y) && inside(&a[2], v)) {
                        sum += (double)x[(z * a[1].in + y) * a[2].in + v] * (double)*w;
                    }
                }
            }
        }
    }
    return sum;
}

/* Runs `check` for each output of one channel, in order. */
#define FOR_EACH_OUTPUT(a, out)                                     \
    for (int64_t out[3] = {0, 0, 0}; out[0] < (a)[0].out; out[0]++) \
        for (out[1] = 0; out[1] < (a)[1].out; out[1]++)             \
            for (out[2] = 0; out[2] < (a)[2].out; out[2]++)

static struct conv_volume conv_of(const struct axis a[3], int64_t channels,
                                  int64_t outputs) {
    return (struct conv_volume){
        .plane = {.channels_in = channels * a[0].kernel,
                  .channels_out = outputs,
                  .groups = 1,
                  .in_h = a[1].in,
                  .in_w = a[2].in,
                  .out_h = a[1].out,
                  .out_w = a[2].out,
                  .kernel_h = a[1].kernel,
                  .kernel_w = a[2].kernel,
                  .stride_h = a[1].stride,
                  .stride_w = a[2].stride,
                  .dilation_h = a[1].dilation,
                  .dilation_w = a[2].dilation,
                  .pad_top = a[1].pad,
                  .pad_left = a[2].pad,
                  .x_layout = LAYOUT_NHWC,
                  .y_layout = LAYOUT_NHWC,
                  .act = {.kind = ACT_RELU}},
        .channels = channels,
        .in_d = a[0].in,
        .out_d = a[0].out,
        .kernel_d = a[0].kernel,
        .stride_d = a[0].stride,
        .dilation_d = a[0].dilation,
        .pad_front = a[0].pad,
    };
}

static struct axis axis_flat(int64_t in) {
    return (struct axis){.in = in, .out = in, .kernel = 1, .stride = 1, .dilation = 1};
}

static void check_conv(bool flat) {
    const struct axis a[3] = {flat ? axis_flat(5) : axis_random(6),
                              flat ? axis_flat(9) : axis_random(9),
                              flat ? axis_flat(12) : axis_random(12)};
    const int64_t channels = number_between(1, 20), outputs = number_between(1, 20);
    const int64_t batch = number_between(1, 2), x_size = channels * volume_size(a);
    const int64_t y_size = outputs * a[0].out * a[1].out * a[2].out;
    const int64_t taps = channels * a[0].kernel * a[1].kernel * a[2].kernel;
    struct conv_volume v = conv_of(a, channels, outputs);
    v.flat = flat;
    float *x = floats_random(batch * x_size), *w = floats_random(outputs * taps);
    float *bias = floats_random(outputs), *y = floats_unaligned(batch * y_size);
    float *packed = memory_aligned(conv_volume_pack_size(&v)), *at = y;
    void *scratch = memory_aligned(conv_volume_scratch_size(&v));
    conv_volume_pack(&v, w, floats_unaligned(outputs * taps), packed);
    conv_volume_run(&v, batch, x, packed, bias, y, scratch);
    for (int64_t i = 0; i < batch * outputs; i++) {
        const int64_t o = i % outputs;
        FOR_EACH_OUTPUT(a, out) {
            double sum = (double)bias[o] + conv_sum(a, channels, x + i / outputs * x_size,
                                                    w + o * taps, out);
            ck_assert_double_eq_tol((double)*at++, sum < 0 ? 0 : sum, 1e-4);
        }
    }
}

/* The maximum, or the average, of one output's window. */
static double pool_reference(const struct axis a[3], bool max, bool include_pad,
                             const float *x, const int64_t out[3]) {
    double most = -INFINITY, sum = 0;
    int64_t count = 0, padded = 0;
    for (int64_t d = 0; d < a[0].kernel; d++) {
        for (int64_t i = 0; i < a[1].kernel; i++) {
            for (int64_t j = 0; j < a[2].kernel; j++) {
                const int64_t z = place(&a[0], out[0], d), y = place(&a[1], out[1], i);
                const int64_t v = place(&a[2], out[2], j);
                padded += z < a[0].in + a[0].pad_end && y < a[1].in + a[1].pad_end &&
                          v < a[2].in + a[2].pad_end;
                if (inside(&a[0], z) && inside(&a[1], y) && inside(&a[2], v)) {
                    double value = (double)x[(z * a[1].in + y) * a[2].in + v];
                    most = fmax(most, value);
                    sum += value;
                    count++;
                }
            }
        }
    }
    count = include_pad ? padded : count;
    return max ? most : sum / (double)(count > 0 ? count : 1);
}

static void check_pool(bool max) {
    const struct axis a[3] = {axis_random(6), axis_random(9), axis_random(12)};
    const int64_t channels = number_between(1, 3), batch = number_between(1, 2);
    const bool include_pad = number_between(0, 1) == 1;
    const struct conv_volume like = conv_of(a, channels, channels);
    const struct conv *c = &like.plane;
    const struct pool_volume v = {
        .plane = {.channels = channels,
                  .in_h = c->in_h,
                  .in_w = c->in_w,
                  .out_h = c->out_h,
                  .out_w = c->out_w,
                  .kernel_h = c->kernel_h,
                  .kernel_w = c->kernel_w,
                  .stride_h = c->stride_h,
                  .stride_w = c->stride_w,
                  .dilation_h = c->dilation_h,
                  .dilation_w = c->dilation_w,
                  .pad_top = a[1].pad,
                  .pad_left = a[2].pad,
                  .pad_bottom = a[1].pad_end,
                  .pad_right = a[2].pad_end,
                  .count_include_pad = include_pad,
                  .layout = LAYOUT_NCHW},
        .in_d = a[0].in,
        .out_d = a[0].out,
        .kernel_d = a[0].kernel,
        .stride_d = a[0].stride,
        .dilation_d = a[0].dilation,
        .pad_front = a[0].pad,
        .pad_back = a[0].pad_end,
    };
    float *x = floats_random(batch * channels * volume_size(a));
    float *y = floats_unaligned(batch * channels * a[0].out * a[1].out * a[2].out);
    float *at = y;
    void *scratch = memory_aligned(pool_volume_scratch_size(&v));
    (max ? pool_volume_max : pool_volume_average)(&v, batch, x, y, scratch);
    for (int64_t i = 0; i < batch * channels; i++) {
        FOR_EACH_OUTPUT(a, out) {
            double wanted =
                pool_reference(a, max, include_pad, x + i * volume_size(a), out);
            if (isinf(wanted)) {
                ck_assert_float_infinite(*at++);
            } else {
                ck_assert_double_eq_tol((double)*at++, wanted, 1e-6);
            }
        }
    }
}

START_TEST(volumes_are_convolved_as_defined) {
    FOR_EACH_LEVEL(level) {
        for (int round = 0; round < ROUNDS; round++) {
            check_conv(round % 4 == 0);
        }
    }
}
END_TEST

START_TEST(volumes_are_pooled_as_defined) {
    FOR_EACH_LEVEL(level) {
        for (int round = 0; round < ROUNDS; round++) {
            check_pool(true);
            check_pool(false);
        }
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        volumes_are_convolved_as_defined,
        volumes_are_pooled_as_defined,
    };
    return suite_run_kernels("engine: kernels: volumes", tests, ARRAY_COUNT(tests));
}
