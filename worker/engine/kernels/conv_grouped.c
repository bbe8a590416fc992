/* conv_grouped.c - convolution in groups of a few channels, channels innermost on both
 * sides: a vector of channels is spread over the outputs of its groups; see conv_impl.h.
 */
#include "engine/kernels/conv_impl.h"
#include "engine/kernels/kernels.h"

bool conv_grouped_suits(const struct conv *conv) {
    const int64_t group = conv->channels_in / conv->groups;
    return conv->groups > 1 && conv->channels_in == conv->channels_out && group > 1 &&
           group <= CONV_GROUPED_MAX && (group & (group - 1)) == 0;
}

void conv_grouped_pack(const struct conv *conv, const float *w, float *packed) {
    const int64_t group = conv->channels_in / conv->groups, channels = conv->channels_out;
    const int64_t kernel = conv->kernel_h * conv->kernel_w;
    for (int64_t o = 0; o < channels; o++) {
        for (int64_t j = 0; j < group; j++) {
            for (int64_t k = 0; k < kernel; k++) {
                packed[(k * group + j) * channels + o] = w[(o * group + j) * kernel + k];
            }
        }
    }
}

void conv_grouped_run(const struct conv *conv, const float *x, const float *packed,
                      const float *bias, float *y) {
    const int64_t pixel = conv->channels_in, row = conv_padded_w(conv) * pixel;
    struct conv_grouped g = {
        .channels = pixel,
        .group = pixel / conv->groups,
        .tap_rows = conv->kernel_h,
        .tap_columns = conv->kernel_w,
        .x = x,
        .x_row = conv->dilation_h * row,
        .x_column = conv->dilation_w * pixel,
        .x_step = conv->stride_h * row,
        .x_pixel = conv->stride_w * pixel,
        .w = packed,
        .bias = bias,
        .y = y,
        .y_row = conv->out_w * pixel,
        .y_pixel = pixel,
        .out_h = conv->out_h,
        .out_w = conv->out_w,
        .accumulate = conv->accumulate,
    };
    (void)act_clamps(&conv->act, &g.floor, &g.ceil); /* conv.c does the rest */
    kernels_current()->conv_grouped(&g);
}
