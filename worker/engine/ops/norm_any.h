/* norm_any.h - BatchNormalization of doubles, and in training mode.
 *
 * Depends on: engine/op.h.
 * Ownership: static and immutable.
 * Threads: read-only. */
#ifndef MILLRACE_ENGINE_OPS_NORM_ANY_H
#define MILLRACE_ENGINE_OPS_NORM_ANY_H

#include "engine/op.h"

/* Not in the table: norm.c gives it to the nodes that need it. */
extern const struct op batch_norm_any_op;

#endif
