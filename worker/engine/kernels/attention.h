/* attention.h - softmax(scale Q K^T + mask) V, many heads at once.
 *
 *     for each batch and head of keys         K and V packed once
 *         for each head of queries            several may share a head of keys
 *             for each block of queries       scores stay in the second cache
 *                 product, cap, mask, softmax, product
 *
 * An operand says where its rows lie, so that heads need not be split or merged by
 * copies.  A query's result does not depend on the others, nor on the batch.
 *
 * Depends on: nothing.
 * Ownership: all memory is the caller's; nothing here allocates.
 * Threads: any; scratch belongs to one call at a time. */
#ifndef MILLRACE_ENGINE_KERNELS_ATTENTION_H
#define MILLRACE_ENGINE_KERNELS_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ATTENTION_UNBOUNDED (-1)
#define ATTENTION_WINDOW_MAX (INT64_C(1) << 40)

/* Rows of contiguous elements; distances in elements. */
struct attention_rows {
    void *data; /* read only, but for results */
    int64_t batch, head, row;
};

/* What the scores are copied to the caller after. */
enum attention_stage {
    ATTENTION_PRODUCT,
    ATTENTION_CAP,
    ATTENTION_MASK,
    ATTENTION_SOFTMAX,
    ATTENTION_STAGE_COUNT
};

struct attention {
    int64_t batch, heads, kv_heads; /* kv_heads divides heads */
    int64_t queries, keys, size, v_size;
    float scale, softcap; /* softcap 0: none */
    bool causal;          /* key j only if j <= i + offset */
    int64_t left, right;  /* key j only if -left <= j - (i + offset) <= right */
    int64_t past;         /* offset, where `valid` is NULL */
    const int64_t *valid; /* [batch]: keys from there on are padding; the offset is
                             valid - queries */
    struct attention_rows q, k, v, y;
    struct attention_rows mask; /* added to scores; data NULL for none */
    int64_t mask_keys;          /* keys behind these are masked */
    bool mask_is_bool;          /* true attends; else of the type of q */
    bool mask_is_column;        /* one number for all keys of a query, not a bool */
    bool empty_is_nan;          /* a query that sees no key gives NaN instead of 0 */
    void *scores;               /* [batch, heads, queries, keys] or NULL */
    enum attention_stage stage;
};

/* Bytes of scratch, aligned to 64; SIZE_MAX where that overflows. */
size_t attention_f32_scratch_size(const struct attention *call);
size_t attention_f64_scratch_size(const struct attention *call);

void attention_f32(const struct attention *call, void *scratch);
void attention_f64(const struct attention *call, void *scratch);

#endif
