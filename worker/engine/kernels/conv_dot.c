/* conv_dot.c - convolution to few output channels, channels innermost on both sides: each
 * output is the sum of its window times its weights, which lie as the window does; see
 * conv_impl.h. */
#include "engine/kernels/conv_impl.h"
#include "engine/kernels/kernels.h"

/* Taps for each output from which the sums are worth the adding of their lanes. */
#define TAPS_MIN 12

bool conv_dot_suits(int64_t outputs, int64_t taps) {
    return outputs <= CONV_DOT_OUTPUTS && taps >= TAPS_MIN * outputs;
}

void conv_dot_pack(const struct conv *conv, const float *w, float *packed) {
    const int64_t kernel = conv->kernel_h * conv->kernel_w;
    for (int64_t o = 0; o < conv->channels_out; o++) {
        kernels_current()->transpose(
            conv->channels_in, kernel, w + o * conv->channels_in * kernel, kernel,
            packed + o * conv->channels_in * kernel, conv->channels_in);
    }
}

void conv_dot_run(const struct conv *conv, const float *x, const float *packed,
                  const float *bias, float *y) {
    const int64_t pixel = conv->channels_in, row = conv_padded_w(conv) * pixel;
    const bool whole = conv->dilation_w == 1; /* a row of the window is one piece */
    const int64_t columns = whole ? 1 : conv->kernel_w;
    int32_t pieces[CONV_DIRECT_TAPS_MAX];
    struct conv_dot d = {
        .x = x,
        .x_row = conv->stride_h * row,
        .x_pixel = conv->stride_w * pixel,
        .pieces = pieces,
        .piece_count = conv->kernel_h * columns,
        .size = whole ? conv->kernel_w * pixel : pixel,
        .w = packed,
        .w_output = conv_taps(conv),
        .outputs = conv->channels_out,
        .bias = bias,
        .y = y,
        .y_row = conv->out_w * conv->channels_out,
        .y_pixel = conv->channels_out,
        .out_h = conv->out_h,
        .out_w = conv->out_w,
        .accumulate = conv->accumulate,
    };
    for (int64_t i = 0; i < d.piece_count; i++) {
        pieces[i] = (int32_t)(i / columns * conv->dilation_h * row +
                              i % columns * conv->dilation_w * pixel);
    }
    (void)act_clamps(&conv->act, &d.floor, &d.ceil); /* conv.c does the rest */
    kernels_current()->conv_dot(&d);
}
