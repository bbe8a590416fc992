/* tfidf.c - TfIdfVectorizer: how often each n-gram of a pool occurs in a row of words.
 *
 * The pool is a tree of words: a path from the root is an n-gram, and the node it ends at
 * tells which that is.  Nodes lie in one hash table, by parent and word.
 *
 *     pool "a", "a b", "b c d":      root -a-> 1 -b-> 2
 *                                    root -b-> 3 -c-> 4 -d-> 5
 */
#include "base/size.h"
#include "engine/ops/number.h"
#include "engine/ops/ops.h"

#define TFIDF_OUTPUTS_MAX (1 << 28)

enum mode { MODE_TF, MODE_IDF, MODE_TFIDF };

struct word {
    int64_t number;
    struct span text; /* of string pools; else empty */
};

struct tree_node {
    int32_t parent; /* index + 1 into nodes; 0: this slot is free */
    int32_t child;  /* its own number, from 1; the root is 0 */
    int32_t gram;   /* the n-gram that ends here, or -1 */
    struct word word;
};

struct tfidf_state {
    int mode;
    int64_t min_length, max_length, max_skip;
    int64_t columns;
    struct tree_node *slots; /* a power of two of them, at most half full */
    size_t slot_mask;
    int32_t nodes;
    const float *weights;      /* one for each n-gram, or NULL */
    const int64_t *columns_of; /* n-grams */
};

/* ---- the tree ---------------------------------------------------------------------- */

static size_t hash(int32_t parent, const struct word *word) {
    uint64_t h = 0xcbf29ce484222325U ^ (uint64_t)(uint32_t)parent;
    h = (h ^ (uint64_t)word->number) * 0x100000001b3U;
    for (size_t i = 0; i < word->text.size; i++) {
        h = (h ^ word->text.data[i]) * 0x100000001b3U;
    }
    h ^= h >> 29;
    h *= 0xbf58476d1ce4e5b9U;
    return (size_t)(h ^ h >> 32);
}

static bool same_word(const struct word *a, const struct word *b) {
    return a->number == b->number && a->text.size == b->text.size &&
           (a->text.size == 0 || memcmp(a->text.data, b->text.data, a->text.size) == 0);
}

/* The child's slot, or the free one where it belongs. */
static struct tree_node *find(const struct tfidf_state *state, int32_t parent,
                              const struct word *word) {
    for (size_t at = hash(parent, word);; at++) {
        struct tree_node *slot = &state->slots[at & state->slot_mask];
        if (slot->parent == 0 ||
            (slot->parent == parent + 1 && same_word(&slot->word, word))) {
            return slot;
        }
    }
}

/* ---- attributes -------------------------------------------------------------------- */

struct pool {
    const struct attr *numbers, *texts;
    size_t size;
    struct attr_ints starts, outputs; /* of n-grams of length 1, 2, ..; of each n-gram */
};

static struct word pool_word(const struct pool *pool, size_t at) {
    struct word word = {0};
    if (pool->texts != NULL) {
        word.text = pool->texts->as.texts[at];
    } else {
        word.number = pool->numbers->as.ints[at];
    }
    return word;
}

static bool read_pool(struct node *node, struct pool *pool) {
    pool->numbers = attr_find(node, "pool_int64s");
    pool->texts = attr_find(node, "pool_strings");
    if (pool->texts != NULL && pool->texts->kind == ATTR_TEXTS) {
        pool->size = pool->texts->count;
        return pool->numbers == NULL || pool->numbers->count == 0;
    }
    pool->texts = NULL;
    if (pool->numbers == NULL || pool->numbers->kind != ATTR_INTS) {
        return false;
    }
    pool->size = pool->numbers->count;
    return true;
}

/* Puts the n-gram at `at` into the tree. */
static void add_gram(struct tfidf_state *state, const struct pool *pool, size_t at,
                     size_t length, int32_t gram) {
    int32_t parent = 0;
    for (size_t i = 0; i < length; i++) {
        struct word word = pool_word(pool, at + i);
        struct tree_node *slot = find(state, parent, &word);
        if (slot->parent == 0) {
            *slot = (struct tree_node){
                .parent = parent + 1, .child = ++state->nodes, .gram = -1, .word = word};
        }
        if (i == length - 1) {
            slot->gram = gram;
        }
        parent = slot->child;
    }
}

/* The n-grams of all lengths; false where the lists do not fit together. */
static bool add_grams(struct tfidf_state *state, const struct pool *pool) {
    size_t gram = 0;
    for (size_t n = 0; n < pool->starts.count; n++) {
        size_t length = n + 1, end = n + 1 < pool->starts.count
                                         ? (size_t)pool->starts.values[n + 1]
                                         : pool->size;
        size_t at = (size_t)pool->starts.values[n];
        if (at > end || end > pool->size || (end - at) % length != 0) {
            return false;
        }
        for (; at < end; at += length, gram++) {
            if (gram == pool->outputs.count) {
                return false;
            }
            if ((int64_t)length >= state->min_length &&
                (int64_t)length <= state->max_length) {
                add_gram(state, pool, at, length, (int32_t)gram);
            }
        }
    }
    return gram == pool->outputs.count;
}

static enum status build(struct load *load, struct tfidf_state *state,
                         const struct pool *pool, struct error *err) {
    size_t slots = 16;
    for (size_t i = 0; i < pool->outputs.count; i++) {
        int64_t output = pool->outputs.values[i];
        if (output < 0 || output >= TFIDF_OUTPUTS_MAX) {
            return node_error(load->node, err, STATUS_INVALID, "ngram_indexes holds %lld",
                              (long long)output);
        }
        state->columns = output >= state->columns ? output + 1 : state->columns;
    }
    while (slots < 2 * pool->size) {
        slots *= 2;
    }
    state->slot_mask = slots - 1;
    state->slots = arena_alloc(&load->graph->arena, slots, sizeof(*state->slots));
    if (state->slots == NULL || pool->size > INT32_MAX / 4) {
        return load_no_memory(load, err);
    }
    state->columns_of = pool->outputs.values;
    return add_grams(state, pool)
               ? STATUS_OK
               : node_error(load->node, err, STATUS_INVALID,
                            "ngram_counts and ngram_indexes do not suit a pool of %zu",
                            pool->size);
}

static enum status read_numbers(struct load *load, struct tfidf_state *state,
                                struct error *err) {
    static const char *const modes[] = {"TF", "IDF", "TFIDF", NULL};
    struct node *node = load->node;
    enum status status = attr_word(node, "mode", MODE_TF, modes, &state->mode, err);
    if (status == STATUS_OK) {
        status =
            attr_int_in(node, "min_gram_length", 1, 1, 1 << 20, &state->min_length, err);
    }
    if (status == STATUS_OK) {
        status = attr_int_in(node, "max_gram_length", state->min_length,
                             state->min_length, 1 << 20, &state->max_length, err);
    }
    return status == STATUS_OK
               ? attr_int_in(node, "max_skip_count", 0, 0, 1 << 20, &state->max_skip, err)
               : status;
}

static enum status prepare(struct load *load, struct error *err) {
    struct tfidf_state *state = load_state(load, struct tfidf_state);
    const struct attr *weights = attr_find(load->node, "weights");
    struct pool pool = {0};
    enum status status;
    if (state == NULL) {
        return load_no_memory(load, err);
    }
    graph_set_output(load->graph, load->node, 0, DTYPE_F32);
    status = read_numbers(load, state, err);
    if (status == STATUS_OK) {
        status = attr_ints(load->node, "ngram_counts", &pool.starts, err);
    }
    if (status == STATUS_OK) {
        status = attr_ints(load->node, "ngram_indexes", &pool.outputs, err);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (!read_pool(load->node, &pool) ||
        (pool.texts != NULL) !=
            (graph_input_dtype(load->graph, load->node, 0) == DTYPE_STRING)) {
        return node_error(load->node, err, STATUS_INVALID,
                          "needs one pool, of the input's kind");
    }
    status = build(load, state, &pool, err);
    if (status == STATUS_OK && weights != NULL && weights->count > 0) {
        if (weights->kind != ATTR_FLOATS || weights->count != pool.outputs.count) {
            return node_error(load->node, err, STATUS_INVALID,
                              "needs a weight for each of %zu n-grams",
                              pool.outputs.count);
        }
        state->weights = weights->as.floats;
    }
    return status;
}

/* ---- run --------------------------------------------------------------------------- */

static enum status shape(struct exec *exec, struct error *err) {
    const struct tfidf_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    struct tensor *y = exec->y[0];
    if (x->rank > 2) {
        return node_error(exec->node, err, STATUS_POISON,
                          "the input has rank %d, not 1 or 2", x->rank);
    }
    y->rank = x->rank == 2 ? 2 : 1;
    y->dims[0] = x->rank == 2 ? x->dims[0] : state->columns;
    y->dims[1] = state->columns;
    return STATUS_OK;
}

static struct word input_word(const struct tensor *x, int64_t at) {
    struct word word = {0};
    if (x->dtype == DTYPE_STRING) {
        word.text = ((const struct span *)x->data)[at];
    } else {
        word.number = number_integer(x, at);
    }
    return word;
}

static void count_gram(const struct tfidf_state *state, int32_t gram, float *y) {
    float weight = state->weights == NULL ? 1 : state->weights[gram];
    float *to = &y[state->columns_of[gram]];
    switch ((enum mode)state->mode) {
    case MODE_TF:
        *to += 1;
        break;
    case MODE_IDF:
        *to = weight;
        break;
    case MODE_TFIDF:
        *to += weight;
        break;
    }
}

/* All n-grams that begin at `at` and take every `step`th word. */
static void count_from(const struct tfidf_state *state, const struct tensor *x,
                       int64_t at, int64_t end, int64_t step, float *y) {
    int32_t parent = 0;
    for (int64_t n = 1; n <= state->max_length && at < end; n++, at += step) {
        struct word word = input_word(x, at);
        const struct tree_node *slot = find(state, parent, &word);
        if (slot->parent == 0) {
            return;
        }
        if (slot->gram >= 0 && (n > 1 || step == 1)) { /* a word alone skips nothing */
            count_gram(state, slot->gram, y);
        }
        parent = slot->child;
    }
}

static enum status run(struct exec *exec, struct error *err) {
    const struct tfidf_state *state = exec->node->state;
    const struct tensor *x = exec->x[0];
    int64_t count = (int64_t)tensor_count(x);
    int64_t rows = x->rank == 2 ? x->dims[0] : 1, words = rows > 0 ? count / rows : 0;
    float *y = exec->y[0]->data;
    (void)err; /* cannot fail */
    if (tensor_size(exec->y[0]) > 0) {
        memset(y, 0, tensor_size(exec->y[0]));
    }
    for (int64_t r = 0; r < rows; r++, y += state->columns) {
        for (int64_t step = 1; step <= state->max_skip + 1 && step <= words; step++) {
            for (int64_t at = r * words; at < (r + 1) * words; at++) {
                count_from(state, x, at, (r + 1) * words, step, y);
            }
        }
    }
    return STATUS_OK;
}

static const struct op ops[] = {
    {
        .name = "TfIdfVectorizer",
        .since = 9,
        .inputs_min = 1,
        .inputs_max = 1,
        .types = {TYPES_STRING | TYPES_INDEX},
        .prepare = prepare,
        .shape = shape,
        .run = run,
    },
};

const struct op_list ops_tfidf = OP_LIST(ops);
