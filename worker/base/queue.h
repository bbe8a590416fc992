/* queue.h - a bounded queue of pointers between threads.
 *
 * First in, first out, any number of producers and consumers.  Full: queue_push waits
 * until there is room, its deadline, or the close; nothing is ever dropped or
 * overwritten.  Empty: queue_pop waits in the same way.  Closed: nothing more goes in,
 * what is inside still comes out, and all who wait wake up.
 *
 * Depends on: base/compiler.h.
 * Ownership: the queue owns its ring, never the items: they pass from the pusher to
 * the popper.  Whoever releases a queue that still holds items has taken them out
 * first, or does not own them.
 * Threads: queue_init and queue_release alone, the rest on any thread. */
#ifndef MILLRACE_BASE_QUEUE_H
#define MILLRACE_BASE_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

#define QUEUE_CAPACITY_MAX ((size_t)1 << 24)
#define QUEUE_FOREVER INT64_MAX /* as a timeout */

struct queue {
    void **items; /* owned; a ring of `capacity` */
    size_t capacity;
    size_t head;  /* index of the oldest item */
    size_t count; /* items inside, 0 .. capacity */
    bool closed;
    size_t pushers;          /* that wait for room */
    size_t poppers;          /* that wait for an item */
    pthread_mutex_t lock;    /* of all above */
    pthread_cond_t not_full; /* both on CLOCK_MONOTONIC */
    pthread_cond_t not_empty;
};

/* `capacity` is 1 .. QUEUE_CAPACITY_MAX.  False where memory runs out. */
MUST_CHECK bool queue_init(struct queue *queue, size_t capacity);

/* Accepts a zeroed queue and leaves it zeroed.  No thread may be inside. */
void queue_release(struct queue *queue);

/* Puts `item` (not NULL) in, waiting up to timeout_us while the queue is full; 0 does
 * not wait.  False: closed, or still full; the item remains the caller's. */
MUST_CHECK bool queue_push(struct queue *queue, void *item, int64_t timeout_us);

/* The oldest item, waiting up to timeout_us while the queue is empty.  NULL: still
 * empty after timeout_us, or closed and empty. */
MUST_CHECK void *queue_pop(struct queue *queue, int64_t timeout_us);

/* Up to `max` of the oldest items into `items`, waiting as above for the first only;
 * returns how many. */
MUST_CHECK size_t queue_pop_many(struct queue *queue, void **items, size_t max,
                                 int64_t timeout_us);

/* No more pushes; wakes everyone.  Idempotent. */
void queue_close(struct queue *queue);

/* Items inside at this moment; already past when it returns. */
size_t queue_count(struct queue *queue);

#endif
