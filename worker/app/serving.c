/* serving.c - see serving.h. */
#include "app/serving.h"

#include <assert.h>

enum status serving_init(struct serving *serving, struct models *models,
                         void (*retire)(void *opaque, struct loaded *loaded),
                         void *opaque, struct error *err) {
    size_t count = (size_t)models->count;
    *serving = (struct serving){.models = models, .retire = retire, .opaque = opaque};
    if (pthread_mutex_init(&serving->lock, NULL) != 0) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a lock");
    }
    serving->made = true;
    serving->items = calloc(count, sizeof(*serving->items));
    serving->offered = calloc(count, sizeof(*serving->offered));
    if (serving->items == NULL || serving->offered == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for %zu models", count);
    }
    for (int i = 0; i < models->count; i++) {
        serving->items[i] = &models->items[i]->item;
    }
    return STATUS_OK;
}

void serving_release(struct serving *serving) {
    if (!serving->made) {
        return;
    }
    for (int i = 0; serving->offered != NULL && i < serving->models->count; i++) {
        loaded_close(serving->offered[i]);
    }
    for (int i = 0; i < serving->leaving_count; i++) {
        loaded_close(serving->leaving[i]);
    }
    free(serving->items);
    free(serving->offered);
    (void)pthread_mutex_destroy(&serving->lock); /* fails only while locked */
    *serving = (struct serving){.made = false};
}

static void retire(const struct serving *serving, struct loaded *loaded) {
    if (serving->retire != NULL) {
        serving->retire(serving->opaque, loaded);
    } else {
        loaded_close(loaded);
    }
}

void serving_offer(struct serving *serving, struct loaded *loaded) {
    struct loaded *before;
    (void)pthread_mutex_lock(&serving->lock); /* fails only on misuse */
    before = serving->offered[loaded->index];
    serving->offered[loaded->index] = loaded;
    if (before == NULL) {
        atomic_fetch_add(&serving->offers, 1);
    }
    (void)pthread_mutex_unlock(&serving->lock);
    if (before != NULL) {
        retire(serving, before);
    }
}

/* None waits, as almost always, or there is no room for the one that would leave. */
static bool has_none(struct serving *serving) {
    return atomic_load_explicit(&serving->offers, memory_order_relaxed) == 0 ||
           serving->leaving_count == SERVING_LEAVING_MAX;
}

bool serving_awaits(struct serving *serving, int model) {
    bool awaits;
    if (has_none(serving)) {
        return false;
    }
    (void)pthread_mutex_lock(&serving->lock); /* fails only on misuse */
    awaits = serving->offered[model] != NULL;
    (void)pthread_mutex_unlock(&serving->lock);
    return awaits;
}

struct loaded *serving_next(struct serving *serving, int model) {
    struct loaded *next;
    if (has_none(serving)) {
        return NULL;
    }
    (void)pthread_mutex_lock(&serving->lock); /* fails only on misuse */
    next = serving->offered[model];
    serving->offered[model] = NULL;
    if (next != NULL) {
        atomic_fetch_sub(&serving->offers, 1);
    }
    (void)pthread_mutex_unlock(&serving->lock);
    return next;
}

void serving_change(struct serving *serving, struct loaded *loaded) {
    struct loaded **current = &serving->models->items[loaded->index];
    assert(serving->leaving_count < SERVING_LEAVING_MAX);
    serving->leaving[serving->leaving_count++] = *current;
    *current = loaded;
    serving->items[loaded->index] = &loaded->item;
}

void serving_adopt(struct serving *serving, const struct batch *batch) {
    struct loaded *current = serving->models->items[batch->model_index];
    assert(batch->model == &current->item);
    current->batches++;
}

void serving_rebind(struct serving *serving, struct batch *batch) {
    struct loaded *current = serving->models->items[batch->model_index];
    if (batch->model == &current->item) {
        return;
    }
    for (int i = 0; i < serving->leaving_count; i++) {
        if (batch->model == &serving->leaving[i]->item) {
            assert(serving->leaving[i]->batches > 0);
            serving->leaving[i]->batches--;
        }
    }
    batch->model = &current->item; /* they are alike: loaded_check_like */
    current->batches++;
}

bool serving_sweep(struct serving *serving) {
    int kept = 0;
    for (int i = 0; i < serving->leaving_count; i++) {
        struct loaded *loaded = serving->leaving[i];
        if (loaded->batches == 0) {
            retire(serving, loaded);
        } else {
            serving->leaving[kept++] = loaded;
        }
    }
    serving->leaving_count = kept;
    return kept > 0;
}
