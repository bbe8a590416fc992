/* col2im.h - windows added up into an image: the last step of ConvTranspose and all of
 * Col2Im.
 *
 * Depends on: base/tensor.h.
 * Ownership: plain data.
 * Threads: pure. */
#ifndef MILLRACE_ENGINE_OPS_COL2IM_H
#define MILLRACE_ENGINE_OPS_COL2IM_H

#include "base/tensor.h"

/* Window `p` (of `windows` along each axis) begins at p * stride - pad; tap k of it lies
 * at k * dilation further on. */
struct col2im {
    int axes;
    int64_t windows[TENSOR_RANK_MAX], image[TENSOR_RANK_MAX], kernel[TENSOR_RANK_MAX];
    int64_t stride[TENSOR_RANK_MAX], dilation[TENSOR_RANK_MAX], pad[TENSOR_RANK_MAX];
};

int64_t col2im_windows(const struct col2im *shape); /* products of the axes */
int64_t col2im_kernel(const struct col2im *shape);
int64_t col2im_image(const struct col2im *shape);

/* Writes the columns [kernel][windows] of one channel's image; 0 outside it. */
void im2col_take(const struct col2im *shape, const float *image, float *columns);

/* Adds columns [kernel][windows] of one channel to its image. */
void col2im_add(const struct col2im *shape, const float *columns, float *image);
void col2im_add_f64(const struct col2im *shape, const double *columns, double *image);

#endif
