/* later.h - records that failed for now and are tried again in their place.
 *
 * On a route with order = "partition" or "key" such a record keeps its place in the
 * window: no later answer of its partition, or key, is published before it has an
 * outcome.  It waits here until it is due; the window bounds how much waits behind it.
 *
 * Depends on: stream/record.h.
 * Ownership: records are the stream's; they are linked by `next`.
 * Threads: any; it holds its own mutex. */
#ifndef MILLRACE_APP_LATER_H
#define MILLRACE_APP_LATER_H

#include <pthread.h>
#include <stdbool.h>

#include "stream/record.h"

struct later {
    pthread_mutex_t lock;
    struct record *first; /* under lock, in no order */
    int64_t count;        /* under lock */
};

/* False where the lock cannot be made. */
MUST_CHECK bool later_init(struct later *later);
void later_release(struct later *later);

/* Takes the record until due_us by clock_now_us. */
void later_add(struct later *later, struct record *record, int64_t due_us);

/* A chain of those that are due, or NULL. */
struct record *later_take(struct later *later, int64_t now_us);

int64_t later_count(struct later *later);

#endif
