/* conv_f64.h - Conv of doubles.
 *
 * Depends on: engine/op.h.
 * Ownership: static and immutable.
 * Threads: read-only. */
#ifndef MILLRACE_ENGINE_OPS_CONV_F64_H
#define MILLRACE_ENGINE_OPS_CONV_F64_H

#include "engine/op.h"

/* Not in the table: conv.c gives it to the nodes that need it. */
extern const struct op conv_f64_op;

#endif
