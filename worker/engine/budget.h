/* budget.h - how much memory something may still take.
 *
 * A model's graph and those of its bodies share one; so do a session and those of its
 * bodies.  It counts what grows with what a file or a job asks for.
 *
 * Depends on: nothing.
 * Ownership: plain numbers, in whatever the memory belongs to.
 * Threads: as its owner's. */
#ifndef MILLRACE_ENGINE_BUDGET_H
#define MILLRACE_ENGINE_BUDGET_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

struct budget {
    size_t used, max; /* bytes */
};

/* False, and nothing is taken, where that would be more than is left. */
MUST_CHECK static inline bool budget_take(struct budget *budget, size_t size) {
    if (size > budget->max - budget->used) {
        return false;
    }
    budget->used += size;
    return true;
}

static inline void budget_give(struct budget *budget, size_t size) {
    assert(size <= budget->used);
    budget->used -= size;
}

#endif
