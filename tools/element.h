/* element.h - one element of a tensor as a number, and whether two tensors agree.
 *
 * For tools, where a call per element is cheap enough.
 *
 * Depends on: base/tensor.h.  Ownership: nothing is kept.  Threads: pure. */
#ifndef MILLRACE_TOOLS_ELEMENT_H
#define MILLRACE_TOOLS_ELEMENT_H

#include "base/tensor.h"

/* The element at row-major place `index` of a tensor that is not of strings.  Integers
 * past 2^53 are rounded. */
double element_real(const struct tensor *x, size_t index);

/* STATUS_INVALID says where `got` is not `wanted`: dtype and dims exactly, elements
 * within |got - wanted| <= absolute + relative * |wanted|; NaN agrees with NaN, an
 * infinity only with itself, texts byte by byte. */
MUST_CHECK enum status element_compare(const struct tensor *got,
                                       const struct tensor *wanted, double relative,
                                       double absolute, struct error *err);

#endif
