/* plan.h - where tensors lie in the workspace.
 *
 * A pure function: sizes and lifetimes go in, offsets come out.  Items that live at the
 * same time never overlap.  Large items are placed first, each into the tightest gap
 * that the items alive with it leave.
 *
 * Depends on: base/.
 * Ownership: arrays are the caller's; nothing allocates.
 * Threads: pure. */
#ifndef MILLRACE_ENGINE_PLAN_H
#define MILLRACE_ENGINE_PLAN_H

#include "base/compiler.h"

#define PLAN_ALIGN ((size_t)64) /* bytes; of every offset */

struct plan_item {
    size_t size;     /* bytes, at most SIZE_MAX / 4 */
    int first, last; /* steps between which it lives, both included */
    size_t offset;   /* the answer, a multiple of PLAN_ALIGN */
};

/* Sets every offset and returns the bytes needed, SIZE_MAX where that overflows.
 * `order` has room for 2 * count numbers. */
size_t plan_place(struct plan_item *items, int count, int *order);

#endif
