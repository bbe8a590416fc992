/* batches.c - see batches.h. */
#include "app/batches.h"

#include <stdlib.h>

/* Batches of a model beyond those that are needed: how many, what they may take to be
 * run, and how large they may be, all together. */
#define SPARE_MAX 16
#define SPARE_US 2000
#define SPARE_SIZE_MAX ((size_t)1 << 20)

/* Enough that each compute thread has one, one more waits for it, and the intake can
 * fill another meanwhile; one for each length, where rows are padded. */
static int batches_needed(const struct config *config) {
    size_t lengths = 1;
    for (size_t i = 0; i < config->model_count; i++) {
        size_t own = config->models[i].pad_length_count;
        lengths = own > lengths ? own : lengths;
    }
    return config->worker.threads * 3 + 1 + (int)lengths;
}

/* More of those that are small and quickly run, so that threads need not hand over each
 * one alone. */
static int batches_to_spare(const struct batch_model *item, int64_t cost_us) {
    size_t size = batch_fixed_size(item);
    int spare = SPARE_MAX;
    if (item->cost.count == 0 || size == 0) {
        return 0;
    }
    while (spare > 0 &&
           (spare * cost_us > SPARE_US || size > SPARE_SIZE_MAX / (size_t)spare)) {
        spare--;
    }
    return spare;
}

int batches_open_max(const struct config *config) {
    return batches_needed(config) - config->worker.threads - 1;
}

static enum status create_of(struct batches *batches, const struct config *config, int m,
                             struct error *err) {
    const struct batch_model *item = batches->serving->items[m];
    struct batches_of *of = &batches->models[m];
    int64_t cost_us = cost_ns(&item->cost, item->aim.rows) / 1000;
    int count = batches_needed(config) + batches_to_spare(item, cost_us);
    atomic_store(&of->cost_us, cost_us);
    if (!queue_init(&of->unused, (size_t)count)) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for a queue");
    }
    batches->model_count++;
    for (int i = 0; i < count; i++) {
        struct batch **batch = &batches->all[batches->all_count];
        enum status status = batch_create(item, m, batch, err);
        if (status != STATUS_OK) {
            return status;
        }
        batches->all_count++;
        serving_adopt(batches->serving, *batch);
        batches_give_back(batches, *batch);
    }
    return STATUS_OK;
}

enum status batches_init(struct batches *batches, const struct config *config,
                         struct serving *serving, struct error *err) {
    size_t count = (size_t)serving->models->count;
    size_t most = count * (size_t)(batches_needed(config) + SPARE_MAX);
    enum status status = STATUS_OK;
    batches->serving = serving;
    batches->models = calloc(count, sizeof(*batches->models));
    batches->all = calloc(most, sizeof(struct batch *));
    if (batches->models == NULL || batches->all == NULL) {
        return error_set(err, STATUS_NO_MEMORY, "no memory for batches");
    }
    for (int m = 0; m < serving->models->count && status == STATUS_OK; m++) {
        status = create_of(batches, config, m, err);
    }
    return status;
}

void batches_release(struct batches *batches) {
    for (int m = 0; m < batches->model_count; m++) {
        queue_release(&batches->models[m].unused);
    }
    for (int i = 0; i < batches->all_count; i++) {
        batch_destroy(batches->all[i]);
    }
    free(batches->models);
    free(batches->all);
    *batches = (struct batches){.models = NULL};
}

struct batch *batches_take(struct batches *batches, int model) {
    struct batch *batch = queue_pop(&batches->models[model].unused, 0);
    if (batch != NULL) {
        serving_rebind(batches->serving, batch);
    }
    return batch;
}

void batches_give_back(struct batches *batches, struct batch *batch) {
    struct batches_of *of = &batches->models[batch->model_index];
    /* There is room for all; a closed queue only means that nobody wants it now. */
    (void)!queue_push(&of->unused, batch, 0);
    atomic_store(&of->returned, true);
}

bool batches_returned(struct batches *batches, int model) {
    return atomic_exchange(&batches->models[model].returned, false);
}

void batches_changed(struct batches *batches, int model) {
    atomic_store(&batches->models[model].returned, true);
}

void batches_rebind(struct batches *batches) {
    for (int m = 0; m < batches->model_count; m++) {
        for (size_t left = queue_count(&batches->models[m].unused); left > 0; left--) {
            struct batch *batch = batches_take(batches, m);
            if (batch == NULL) {
                break;
            }
            batches_give_back(batches, batch);
        }
    }
}

void batches_note_cost(struct batches *batches, int model, int64_t taken_us) {
    /* Slow batches count at once, fast ones little by little. */
    int64_t before_us = batches_cost_us(batches, model);
    atomic_store(&batches->models[model].cost_us,
                 taken_us > before_us ? taken_us : (7 * before_us + taken_us) / 8);
}

int64_t batches_cost_us(const struct batches *batches, int model) {
    return atomic_load(&batches->models[model].cost_us);
}

int64_t batches_cost_of(const struct batches *batches, const struct batch *batch) {
    int64_t ns = batch_cost_ns(batch, batch->count);
    return ns > 0 ? (ns + 999) / 1000 : batches_cost_us(batches, batch->model_index);
}

size_t batches_count(const struct batches *batches, int model) {
    return batches->models[model].unused.capacity;
}

void batches_close(struct batches *batches) {
    for (int m = 0; m < batches->model_count; m++) {
        queue_close(&batches->models[m].unused);
    }
}
