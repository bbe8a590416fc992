/* window.h - the records in flight: where they stand, and whose partition they are of.
 *
 *     poll thread                          commit thread
 *     take slots, fill them   --append-->  incoming  --collect-->  one FIFO a lease
 *     spare slots             <----------------------release-----  head of the FIFO
 *
 * Records point to their leases (lease.h), so that an outcome that comes too late is
 * known by its lease.  Slots stay allocated until close: the batch path allocates
 * nothing.
 *
 * Depends on: stream/lease.h, base/.
 * Ownership: the window owns slots and leases.  A lease is freed by the commit thread
 * once it is lost and empty; the poll thread lets go of it by window_lose().
 * Threads: as each function says; `lock` guards what both sides touch, and is taken per
 * batch, never per record. */
#ifndef MILLRACE_STREAM_WINDOW_H
#define MILLRACE_STREAM_WINDOW_H

#include <pthread.h>
#include <stdbool.h>

#include "stream/lease.h"

struct slot_chunk;

struct window {
    size_t records_max, size_max;
    int inputs_counted; /* retry topics come behind them */

    pthread_mutex_t lock;
    pthread_cond_t room;    /* the poll thread waits for released records */
    pthread_cond_t outcome; /* the commit thread waits for outcomes */
    /* Under lock. */
    bool woken;
    uint64_t losses;      /* leases lost so far */
    size_t records, size; /* in flight */
    size_t leases_held;   /* of the first inputs_counted inputs */
    struct slot *incoming, *incoming_last;
    struct slot *returned; /* free slots on their way back */
    struct lease *fresh;   /* leases the commit thread has not seen */
    /* Poll thread. */
    struct slot *spare;     /* free slots */
    struct slot *untouched; /* of the last chunk: slots that were never used */
    size_t untouched_count;
    struct slot_chunk *chunks;
    /* Commit thread. */
    struct lease *leases; /* those it has seen */
    bool revoking;        /* a revoked lease waits for the commit thread */
};

MUST_CHECK enum status window_init(struct window *window, size_t records_max,
                                   size_t size_max, struct error *err);
/* Frees all slots and leases; the records must have been let go (window_each). */
void window_release(struct window *window);

/* A free slot; more are allocated only where the window overflows, so that a record once
 * polled always has a place.  NULL without memory.  Runs on: poll thread. */
struct slot *window_take(struct window *window);

/* Gives back a slot that was not appended.  Runs on: poll thread. */
void window_untake(struct window *window, struct slot *slot);

/* Records in flight from now on: `first` to `last` by link.  Runs on: poll thread. */
void window_append(struct window *window, struct slot *first, struct slot *last,
                   size_t count, size_t size);

/* Waits until some records have been released, for timeout_us at most. */
void window_wait_release(struct window *window, int64_t timeout_us);

/* An answer had so many bytes: what is polled next counts for as many.  Any thread. */
void window_note_answer(struct lease *lease, size_t size);

/* A new lease, or NULL without memory.  Runs on: poll thread. */
struct lease *window_lease(struct window *window, int route, int input,
                           int32_t partition);

/* Says that the lease is on its way out, and wakes the commit thread. */
void window_revoke(struct window *window, struct lease *lease);

/* Waits until no record of the lease is in flight, or deadline_us. */
bool window_wait_drained(struct window *window, const struct lease *lease,
                         int64_t deadline_us);

/* The lease is over; it must not be touched after.  Runs on: poll thread. */
void window_lose(struct window *window, struct lease *lease);

/* How many leases were lost so far: where it is still the same, what was ours is. */
uint64_t window_losses(struct window *window);

/* Any thread: there are outcomes. */
void window_wake(struct window *window);

/* Waits for a wake, for timeout_us at most.  Runs on: commit thread. */
void window_wait(struct window *window, int64_t timeout_us);

/* Takes the incoming records to their leases and looks how far each has outcomes;
 * returns the records in flight.  Those of other keys pass a record that is held.  Runs
 * on: commit thread, with no transaction open. */
size_t window_collect(struct window *window);

/* Whether `ready` records with outcomes fill half of the window: the other half is what
 * is left to work on while they are committed.  Runs on: commit thread. */
bool window_half_is_ready(struct window *window, size_t ready);

/* Whether every lease with records in the open transaction is still ours.
 * Locks: takes window->lock. */
bool window_owns_taken(struct window *window);

/* Slots of one lease that are to be free; each is touched once. */
struct window_free {
    struct slot *first, *last;
    size_t count, size;
};

void window_free_add(struct window_free *slots, struct slot *slot);

/* They are free now.  Runs on: commit thread. */
void window_return(struct window *window, struct lease *lease,
                   const struct window_free *slots);

/* Frees the leases that are lost and empty, and lets another one come first in the next
 * transaction.  Runs on: commit thread. */
void window_sweep(struct window *window);

bool window_is_lost(struct window *window, const struct lease *lease);

/* Calls `visit` for every slot with a message.  With no other thread about. */
void window_each(struct window *window, void (*visit)(void *context, struct slot *slot),
                 void *context);

#endif
