/* arena.h - many small allocations with one lifetime and one release.
 *
 * Blocks are chained and grow; memory is zeroed and never moves.  Used for what is
 * built at load time (configuration, graphs, plans).  The batch path does not
 * allocate at all.
 *
 * Depends on: base/status.h.
 * Ownership: the arena owns all it hands out, until release.
 * Threads: one at a time. */
#ifndef MILLRACE_BASE_ARENA_H
#define MILLRACE_BASE_ARENA_H

#include <stddef.h>

#include "base/compiler.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* owned; newest first */
    size_t used;                /* bytes handed out of the newest block */
    size_t total;               /* bytes held in all blocks */
    size_t limit;               /* most bytes it may hold; 0 for no limit */
};

/* `limit` bounds what the arena may hold, in bytes; 0 for no limit. */
void arena_init(struct arena *arena, size_t limit);

/* Frees everything; accepts a zeroed arena and leaves it zeroed. */
void arena_release(struct arena *arena);

/* Zeroed memory for `count` items of `size` bytes, aligned for any type; NULL
 * where memory or the limit runs out, or the product overflows. */
MUST_CHECK void *arena_alloc(struct arena *arena, size_t count, size_t size);

/* A copy of `size` bytes with a 0 behind it; NULL as above. */
MUST_CHECK char *arena_text(struct arena *arena, const void *text, size_t size);

#endif
