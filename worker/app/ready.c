/* ready.c - see ready.h. */
#include "app/ready.h"

#include <assert.h>

#include "base/clock.h"
#include "base/cond.h"

/* So much work, or time to make it ready, is worth waking a thread. */
#define WAKE_US 100

enum status ready_init(struct ready *ready, const struct models *models,
                       struct error *err) {
    int count = models->count;
    *ready = (struct ready){
        .models = calloc((size_t)count, sizeof(*ready->models)),
        .shares = {.items = calloc((size_t)count, sizeof(*ready->shares.items)),
                   .count = count}};
    if (ready->models == NULL || ready->shares.items == NULL ||
        pthread_mutex_init(&ready->lock, NULL) != 0) {
        ready_release(ready);
        return error_set(err, STATUS_NO_MEMORY, "no memory for a queue of batches");
    }
    if (!cond_init(&ready->not_empty)) {
        (void)pthread_mutex_destroy(&ready->lock); /* fails only while locked */
        ready_release(ready);
        return error_set(err, STATUS_NO_MEMORY, "no memory for a queue of batches");
    }
    ready->made = true;
    for (int i = 0; i < count; i++) {
        ready->shares.items[i].weight = models->items[i]->item.weight;
    }
    return STATUS_OK;
}

void ready_release(struct ready *ready) {
    if (ready->made) {
        (void)pthread_mutex_destroy(&ready->lock); /* both fail only while in use */
        (void)pthread_cond_destroy(&ready->not_empty);
    }
    free(ready->models);
    free(ready->shares.items);
    *ready = (struct ready){.made = false};
}

static void append(struct ready_line *line, struct batch *batch) {
    batch->next = NULL;
    if (line->first == NULL) {
        line->first = batch;
    } else {
        line->last->next = batch;
    }
    line->last = batch;
}

static struct batch *take_first(struct ready_line *line) {
    struct batch *batch = line->first;
    assert(batch != NULL);
    line->first = batch->next;
    return batch;
}

static bool passes_others(const struct batch *batch) {
    return batch->reason == BATCH_PRIORITY || batch->reason == BATCH_DEADLINE;
}

/* Locks: ready->lock held. */
static void wake(struct ready *ready) {
    for (int i = 0; i < ready->unheard && i < ready->poppers; i++) {
        (void)pthread_cond_signal(&ready->not_empty); /* fails only on misuse */
    }
    ready->unheard = 0;
    ready->cost_us = 0;
}

/* Locks: ready->lock held. */
static void announce(struct ready *ready, const struct batch *batch, int64_t now_us) {
    if (ready->unheard == 0) {
        ready->since_us = ready->pushed_us;
    }
    ready->pushed_us = now_us;
    if (ready->poppers == 0) {
        return; /* whoever is done looks by itself */
    }
    ready->unheard++;
    ready->cost_us += batch->cost_us;
    if (batch->cost_us == 0 || ready->cost_us >= WAKE_US ||
        now_us - ready->since_us >= WAKE_US) {
        wake(ready);
    }
}

void ready_wake(struct ready *ready) {
    (void)pthread_mutex_lock(&ready->lock); /* fails only on misuse */
    wake(ready);
    (void)pthread_mutex_unlock(&ready->lock);
}

bool ready_push(struct ready *ready, struct batch *batch, int64_t now_us) {
    struct ready_model *model = &ready->models[batch->model_index];
    bool taken;
    (void)pthread_mutex_lock(&ready->lock); /* fails only on misuse */
    taken = !ready->closed;
    if (taken) {
        append(passes_others(batch) ? &model->urgent : &model->ordinary, batch);
        share_add(&ready->shares, batch->model_index);
        atomic_fetch_add(&ready->waiting, 1);
        announce(ready, batch, now_us);
    }
    (void)pthread_mutex_unlock(&ready->lock);
    return taken;
}

/* Locks: ready->lock held. */
static struct batch *take_next(struct ready *ready) {
    int index = share_take(&ready->shares);
    struct ready_model *model;
    struct batch *batch;
    if (index < 0) {
        return NULL;
    }
    model = &ready->models[index];
    batch = take_first(share_urgent_first(&model->passed, model->urgent.first != NULL,
                                          model->ordinary.first != NULL)
                           ? &model->urgent
                           : &model->ordinary);
    share_charge(&ready->shares, index, batch->cost_us);
    atomic_fetch_add(&model->running, 1);
    atomic_fetch_sub(&ready->waiting, 1);
    return batch;
}

struct batch *ready_pop(struct ready *ready, int64_t timeout_us) {
    int64_t until_us = clock_now_us() + timeout_us;
    struct batch *batch = NULL;
    (void)pthread_mutex_lock(&ready->lock); /* fails only on misuse */
    if (!ready->closed) {
        batch = take_next(ready);
    }
    if (batch == NULL && timeout_us > 0) {
        ready->poppers++;
        atomic_fetch_add(&ready->idle, 1);
        while (!ready->closed && (batch = take_next(ready)) == NULL &&
               cond_wait_until(&ready->not_empty, &ready->lock, until_us)) {
        }
        atomic_fetch_sub(&ready->idle, 1);
        ready->poppers--;
    }
    (void)pthread_mutex_unlock(&ready->lock);
    return batch;
}

void ready_done(struct ready *ready, const struct batch *batch, int64_t taken_us) {
    int index = batch->model_index;
    (void)pthread_mutex_lock(&ready->lock); /* fails only on misuse */
    share_charge(&ready->shares, index, taken_us - batch->cost_us);
    atomic_fetch_sub(&ready->models[index].running, 1);
    (void)pthread_mutex_unlock(&ready->lock);
}

bool ready_runs(const struct ready *ready, int model_index) {
    return atomic_load(&ready->models[model_index].running) > 0;
}

int ready_waiting_of(struct ready *ready, int model_index) {
    int waiting;
    (void)pthread_mutex_lock(&ready->lock); /* fails only on misuse */
    waiting = ready->shares.items[model_index].waiting;
    (void)pthread_mutex_unlock(&ready->lock);
    return waiting;
}

int ready_waiting(struct ready *ready) {
    return atomic_load(&ready->waiting);
}

bool ready_is_idle(struct ready *ready) {
    return atomic_load(&ready->waiting) < atomic_load(&ready->idle);
}

void ready_close(struct ready *ready) {
    (void)pthread_mutex_lock(&ready->lock); /* fails only on misuse */
    ready->closed = true;
    (void)pthread_cond_broadcast(&ready->not_empty); /* fails only on misuse */
    (void)pthread_mutex_unlock(&ready->lock);
}
