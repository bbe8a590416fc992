/* flex_attention.h - the FlexAttention that runs graphs; one without is an Attention, see
 * attention.c.
 *
 * Depends on: engine/op.h.
 * Ownership: static and immutable.
 * Threads: read-only. */
#ifndef MILLRACE_ENGINE_OPS_FLEX_ATTENTION_H
#define MILLRACE_ENGINE_OPS_FLEX_ATTENTION_H

#include "engine/op.h"

/* Not in the table: attention.c gives it to the nodes that need it. */
extern const struct op flex_attention_op;

#endif
