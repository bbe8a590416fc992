/* arena.c - see arena.h. */
#include "base/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdint.h>

#include "base/size.h"

enum { BLOCK_SIZE = 16 * 1024 };

struct arena_block {
    struct arena_block *next;
    size_t size; /* bytes of data */
    alignas(max_align_t) unsigned char data[];
};

void arena_init(struct arena *arena, size_t limit) {
    *arena = (struct arena){.limit = limit};
}

void arena_release(struct arena *arena) {
    struct arena_block *block = arena->blocks;
    while (block != NULL) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
    *arena = (struct arena){0};
}

static bool grow(struct arena *arena, size_t size) {
    size_t data_size = size_max(size, BLOCK_SIZE);
    struct arena_block *block;
    size_t total;
    if (!size_add(arena->total, data_size, &total) ||
        (arena->limit != 0 && total > arena->limit)) {
        return false;
    }
    block = calloc(1, sizeof(*block) + data_size);
    if (block == NULL) {
        return false;
    }
    block->size = data_size;
    block->next = arena->blocks;
    arena->blocks = block;
    arena->used = 0;
    arena->total = total;
    return true;
}

void *arena_alloc(struct arena *arena, size_t count, size_t size) {
    size_t wanted;
    void *memory;
    if (!size_mul(count, size, &wanted) || wanted > SIZE_MAX / 2) {
        return NULL;
    }
    wanted = size_align(size_max(wanted, 1), alignof(max_align_t));
    if (arena->blocks == NULL || arena->blocks->size - arena->used < wanted) {
        if (!grow(arena, wanted)) {
            return NULL;
        }
    }
    memory = arena->blocks->data + arena->used;
    arena->used += wanted;
    return memory;
}

char *arena_text(struct arena *arena, const void *text, size_t size) {
    char *copy;
    if (size == SIZE_MAX) {
        return NULL;
    }
    copy = arena_alloc(arena, size + 1, 1);
    if (copy != NULL && size > 0) {
        memcpy(copy, text, size);
    }
    return copy;
}
