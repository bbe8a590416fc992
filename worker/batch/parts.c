/* parts.c - see parts.h. */
#include "batch/parts.h"

#include <assert.h>

#include "base/size.h"

struct parts_text {
    struct parts_text *next;
    uint8_t bytes[];
};

bool parts_pool_init(struct parts_pool *pool) {
    pool->unused = NULL;
    pool->made = NULL;
    return pthread_mutex_init(&pool->lock, NULL) == 0;
}

static void drop_texts(struct parts *parts) {
    while (parts->texts != NULL) {
        struct parts_text *text = parts->texts;
        parts->texts = text->next;
        free(text);
    }
}

void parts_pool_release(struct parts_pool *pool) {
    while (pool->made != NULL) {
        struct parts *parts = pool->made;
        pool->made = parts->made_next;
        drop_texts(parts);
        (void)pthread_mutex_destroy(&parts->lock); /* fails only while locked */
        free(parts->bytes);
        free(parts);
    }
    (void)pthread_mutex_destroy(&pool->lock); /* fails only while locked */
}

static struct parts *make(struct parts_pool *pool) {
    struct parts *parts = calloc(1, sizeof(*parts));
    if (parts == NULL || pthread_mutex_init(&parts->lock, NULL) != 0) {
        free(parts);
        return NULL;
    }
    parts->pool = pool;
    (void)pthread_mutex_lock(&pool->lock); /* fails only on misuse */
    parts->made_next = pool->made;
    pool->made = parts;
    (void)pthread_mutex_unlock(&pool->lock);
    return parts;
}

struct parts *parts_take(struct parts_pool *pool, int rows) {
    struct parts *parts;
    (void)pthread_mutex_lock(&pool->lock); /* fails only on misuse */
    parts = pool->unused;
    if (parts != NULL) {
        pool->unused = parts->next;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    parts = parts == NULL ? make(pool) : parts;
    if (parts != NULL) {
        parts->rows = parts->left = rows;
        parts->reason.status = STATUS_OK;
        parts->batch_size = 0;
        parts->wait_us = INT64_MAX;
        parts->compute_us = 0;
        parts->output_count = 0;
    }
    return parts;
}

void parts_give_back(struct parts *parts) {
    struct parts_pool *pool = parts->pool;
    drop_texts(parts);
    (void)pthread_mutex_lock(&pool->lock); /* fails only on misuse */
    parts->next = pool->unused;
    pool->unused = parts;
    (void)pthread_mutex_unlock(&pool->lock);
}

/* ---- outputs --------------------------------------------------------------------- */

/* Makes room for all rows' outputs, of the shapes that the first ones have. */
static enum status lay_out(struct parts *parts, const struct parts_rows *rows,
                           struct error *err) {
    size_t offsets[MODEL_OUTPUTS_MAX] = {0};
    size_t size = 0;
    for (int i = 0; i < rows->output_count; i++) {
        size_t all;
        offsets[i] = size = size_align(size, 64);
        if (!size_mul(tensor_size(&rows->outputs[i]), (size_t)parts->rows, &all) ||
            !size_add(size, all, &size) || size > PARTS_SIZE_MAX) {
            return error_set(err, STATUS_POISON,
                             "the outputs of %d rows are over the limit of %zu bytes; "
                             "send fewer rows in one job",
                             parts->rows, PARTS_SIZE_MAX);
        }
    }
    if (size > parts->room) {
        free(parts->bytes);
        parts->bytes = malloc(size);
        parts->room = parts->bytes == NULL ? 0 : size;
        if (parts->bytes == NULL) {
            return error_set(err, STATUS_NO_MEMORY, "no memory for %zu bytes of outputs",
                             size);
        }
    }
    for (int i = 0; i < rows->output_count; i++) {
        const struct tensor *from = &rows->outputs[i];
        struct tensor *to = &parts->outputs[i];
        assert(from->rank < TENSOR_RANK_MAX); /* the batch's dimension was taken off */
        *to = (struct tensor){.dtype = from->dtype,
                              .rank = from->rank + 1,
                              .dims = {parts->rows},
                              .data = parts->bytes == NULL ? NULL
                                                           : parts->bytes + offsets[i]};
        memcpy(&to->dims[1], from->dims, sizeof(to->dims[0]) * (size_t)from->rank);
    }
    parts->output_count = rows->output_count;
    return STATUS_OK;
}

/* Strings live in the session until its next run: they are copied. */
static bool copy_texts(struct parts *parts, const struct span *from, size_t count,
                       struct span *to) {
    struct parts_text *text;
    uint8_t *at;
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        if (!size_add(size, from[i].size, &size)) {
            return false;
        }
    }
    text = size > PARTS_SIZE_MAX ? NULL : malloc(sizeof(*text) + size);
    if (text == NULL) {
        return false;
    }
    text->next = parts->texts;
    parts->texts = text;
    at = text->bytes;
    for (size_t i = 0; i < count; i++) {
        to[i] = span_of(at, from[i].size);
        if (from[i].size > 0) {
            memcpy(at, from[i].data, from[i].size);
        }
        at += from[i].size;
    }
    return true;
}

static enum status copy_output(struct parts *parts, int output,
                               const struct parts_rows *rows, struct error *err) {
    const struct tensor *from = &rows->outputs[output];
    const struct tensor *to = &parts->outputs[output];
    size_t size = tensor_size(from);
    if (from->dtype != to->dtype || from->rank + 1 != to->rank ||
        memcmp(from->dims, &to->dims[1], sizeof(from->dims[0]) * (size_t)from->rank) !=
            0) {
        return error_set(err, STATUS_POISON,
                         "output %d has another shape for some rows of the job than for "
                         "others; send them as jobs of one row",
                         output);
    }
    for (int i = 0; i < rows->count && size > 0; i++) {
        const uint8_t *x =
            (const uint8_t *)from->data + (size_t)i * rows->strides[output];
        uint8_t *y = (uint8_t *)to->data + (size_t)(rows->first + i) * size;
        if (from->dtype != DTYPE_STRING) {
            memcpy(y, x, size);
        } else if (!copy_texts(parts, (const void *)x, size / sizeof(struct span),
                               (void *)y)) {
            return error_set(err, STATUS_NO_MEMORY, "no memory for the outputs' texts");
        }
    }
    return STATUS_OK;
}

/* Locks: parts->lock held. */
static bool fail(struct parts *parts, int count, int cause, const struct error *reason) {
    assert(count <= parts->left);
    if (parts->reason.status == STATUS_OK) {
        parts->reason = *reason;
        parts->cause = cause;
    }
    parts->left -= count;
    return parts->left == 0;
}

bool parts_fail(struct parts *parts, int count, int cause, const struct error *reason) {
    bool last;
    (void)pthread_mutex_lock(&parts->lock); /* fails only on misuse */
    last = fail(parts, count, cause, reason);
    (void)pthread_mutex_unlock(&parts->lock);
    return last;
}

bool parts_store(struct parts *parts, const struct parts_rows *rows) {
    enum status status = STATUS_OK;
    struct error err;
    bool last;
    (void)pthread_mutex_lock(&parts->lock); /* fails only on misuse */
    if (parts->output_count == 0) {
        status = lay_out(parts, rows, &err);
    }
    for (int i = 0; i < rows->output_count && status == STATUS_OK; i++) {
        status = copy_output(parts, i, rows, &err);
    }
    if (rows->batch_size > parts->batch_size) {
        parts->batch_size = rows->batch_size;
    }
    if (rows->wait_us < parts->wait_us) {
        parts->wait_us = rows->wait_us;
    }
    parts->compute_us += rows->compute_us;
    if (status != STATUS_OK) {
        last = fail(parts, rows->count, 0, &err);
    } else {
        assert(rows->count <= parts->left);
        parts->left -= rows->count;
        last = parts->left == 0;
    }
    (void)pthread_mutex_unlock(&parts->lock);
    return last;
}
