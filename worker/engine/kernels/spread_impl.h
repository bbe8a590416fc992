/* spread_impl.h - inside transposed convolution: the way by phases; see spread.h.
 *
 *     stride 2, kernel 4:  y[2 q]     = x[q - 1] w[3] + x[q] w[1]
 *                          y[2 q + 1] = x[q] w[2] + x[q + 1] w[0]
 *
 * The outputs of one remainder (phase) by the strides are a convolution of stride 1 with
 * some of the kernel's taps: nothing is added up in memory.  Phases side by side in a row
 * are one convolution with more outputs where those of one would leave vectors empty.
 *
 * Depends on: engine/kernels/spread.h.
 * Ownership, threads: as spread.h. */
#ifndef MILLRACE_ENGINE_KERNELS_SPREAD_IMPL_H
#define MILLRACE_ENGINE_KERNELS_SPREAD_IMPL_H

#include "engine/kernels/spread.h"

/* Neither the windows nor the numbers of phases are too large. */
bool spread_phases_suit(const struct spread *spread);

/* As the functions of spread.h without "phases". */
size_t spread_phases_pack_size(const struct spread *spread);
void spread_phases_pack(const struct spread *spread, const float *w, float *packed);
size_t spread_phases_scratch_size(const struct spread *spread);
void spread_phases_run(const struct spread *spread, int64_t batch, const float *x,
                       const float *packed, const float *bias, float *y, void *scratch);

#endif
