/* queue.c - see queue.h. */
#include "base/queue.h"

#include <assert.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/size.h"

/* A deadline this far away (over 30,000 years) is none. */
#define FOREVER_US (INT64_MAX / 8)

static void lock(struct queue *queue) {
    int rc = pthread_mutex_lock(&queue->lock);
    assert(rc == 0);
    (void)rc; /* read by the assert alone */
}

static void unlock(struct queue *queue) {
    int rc = pthread_mutex_unlock(&queue->lock);
    assert(rc == 0);
    (void)rc; /* read by the assert alone */
}

/* One wait; false once the deadline has passed.  Locks: queue->lock held. */
static bool wait_on(struct queue *queue, pthread_cond_t *cond, size_t *waiters,
                    int64_t deadline_us) {
    bool early;
    (*waiters)++;
    early = cond_wait_until(cond, &queue->lock, deadline_us);
    (*waiters)--;
    return early;
}

static int64_t deadline_after(int64_t timeout_us) {
    return clock_now_us() + (timeout_us < FOREVER_US ? timeout_us : FOREVER_US);
}

bool queue_init(struct queue *queue, size_t capacity) {
    assert(capacity > 0);
    assert(capacity <= QUEUE_CAPACITY_MAX);
    *queue = (struct queue){.capacity = capacity};
    queue->items = calloc(capacity, sizeof(*queue->items));
    if (queue->items == NULL) {
        return false;
    }
    if (pthread_mutex_init(&queue->lock, NULL) != 0 || !cond_init(&queue->not_full) ||
        !cond_init(&queue->not_empty)) {
        free(queue->items); /* on Linux none of these allocates, nor fails */
        queue->items = NULL;
        return false;
    }
    return true;
}

void queue_release(struct queue *queue) {
    if (queue->items != NULL) {
        assert(queue->pushers == 0);
        assert(queue->poppers == 0);
        (void)pthread_cond_destroy(&queue->not_empty); /* nobody waits on it */
        (void)pthread_cond_destroy(&queue->not_full);
        (void)pthread_mutex_destroy(&queue->lock);
        free(queue->items);
    }
    *queue = (struct queue){0};
}

bool queue_push(struct queue *queue, void *item, int64_t timeout_us) {
    int64_t deadline_us = 0;
    bool pushed = false;
    bool may_wait = timeout_us > 0;
    assert(item != NULL);
    if (may_wait) {
        deadline_us = deadline_after(timeout_us);
    }
    lock(queue);
    while (!queue->closed && queue->count == queue->capacity && may_wait) {
        may_wait = wait_on(queue, &queue->not_full, &queue->pushers, deadline_us);
    }
    if (!queue->closed && queue->count < queue->capacity) {
        queue->items[(queue->head + queue->count) % queue->capacity] = item;
        queue->count++;
        pushed = true;
        if (queue->poppers > 0) {
            (void)pthread_cond_signal(&queue->not_empty); /* cannot fail */
        }
    }
    unlock(queue);
    return pushed;
}

size_t queue_pop_many(struct queue *queue, void **items, size_t max, int64_t timeout_us) {
    int64_t deadline_us = 0;
    bool may_wait = timeout_us > 0;
    size_t taken;
    assert(max > 0);
    if (may_wait) {
        deadline_us = deadline_after(timeout_us);
    }
    lock(queue);
    while (!queue->closed && queue->count == 0 && may_wait) {
        may_wait = wait_on(queue, &queue->not_empty, &queue->poppers, deadline_us);
    }
    taken = size_min(queue->count, max);
    for (size_t i = 0; i < taken; i++) {
        items[i] = queue->items[queue->head];
        queue->items[queue->head] = NULL;
        queue->head = (queue->head + 1) % queue->capacity;
    }
    queue->count -= taken;
    if (taken > 0 && queue->pushers > 0) {
        /* Room for several wakes several; one too many only looks and sleeps again. */
        (void)(taken == 1 ? pthread_cond_signal(&queue->not_full)
                          : pthread_cond_broadcast(&queue->not_full));
    }
    unlock(queue);
    return taken;
}

void *queue_pop(struct queue *queue, int64_t timeout_us) {
    void *item = NULL;
    return queue_pop_many(queue, &item, 1, timeout_us) == 1 ? item : NULL;
}

void queue_close(struct queue *queue) {
    lock(queue);
    queue->closed = true;
    (void)pthread_cond_broadcast(&queue->not_full); /* cannot fail */
    (void)pthread_cond_broadcast(&queue->not_empty);
    unlock(queue);
}

size_t queue_count(struct queue *queue) {
    size_t count;
    lock(queue);
    count = queue->count;
    unlock(queue);
    return count;
}
