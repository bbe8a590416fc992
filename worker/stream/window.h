/* window.h - the records in flight: where they stand, and whose partition they are of.
 *
 *     poll thread                          commit thread
 *     take slots, fill them   --append-->  incoming  --collect-->  one FIFO a lease
 *     spare slots             <----------------------release-----  head of the FIFO
 *
 * A lease is one partition for as long as this worker owns it; when the partition is
 * taken away and given back, that is another lease.  Records point to theirs, so that an
 * outcome that comes too late is known by its lease.  Slots stay allocated until close:
 * the batch path allocates nothing.
 *
 * Depends on: stream/record.h, base/.
 * Ownership: the window owns slots and leases.  A lease is freed by the commit thread
 * once it is lost and empty; the poll thread lets go of it by window_lose().
 * Threads: as each function says; `lock` guards what both sides touch, and is taken per
 * batch, never per record. */
#ifndef MILLRACE_STREAM_WINDOW_H
#define MILLRACE_STREAM_WINDOW_H

#include <pthread.h>
#include <stdbool.h>

#include "stream/ahead.h"
#include "stream/record.h"

enum lease_state {
    LEASE_HELD,
    LEASE_REVOKED, /* on its way out: no new records, what is done may still be published
                    */
    LEASE_LOST     /* another worker's by now: outcomes are dropped */
};

struct slot {
    struct record record; /* first: a record's slot is found by its address */
    struct slot *link;    /* in incoming, a FIFO or the spare ones */
    struct lease *lease;
    size_t size;       /* bytes it counts for in the window */
    int64_t due_us;    /* when it may be handed out, by clock_now_us(); 0 for at once */
    uint32_t key_hash; /* where the route keeps the order of each key */
    _Atomic bool held; /* put off in its place; set by the pipeline */
    int cut;           /* enum dead_letter_cut: what its dead letter has to leave out */
};

struct lease {
    int route;
    int input; /* index into the stream's inputs */
    int32_t partition;
    /* Poll thread. */
    int64_t last_offset; /* delivered; -1 for none yet */
    int64_t behind_ms;   /* our clock, at least so far, of those that write retries */
    bool paused;
    bool pause_wanted;  /* for what waits, whether or not the window is full */
    size_t polled_size; /* bytes handed out */
    _Atomic size_t
        answer_size;         /* what a record's answer is expected to have; any thread */
    _Atomic uint64_t polled; /* handed out; only this thread writes it */
    struct slot *waiting, *waiting_last; /* polled, and not to be handed out yet */
    size_t waiting_count, waiting_size;
    /* Poll and commit thread; see care.h. */
    _Atomic uint64_t allowed;         /* how far `polled` may go */
    _Atomic bool wants;               /* a record is due and not allowed */
    _Atomic int condemned;            /* crashes; the next record is not to be computed */
    _Atomic int64_t first_offset;     /* polled; -1 for none yet */
    _Atomic int64_t committed_offset; /* -1 while it is not known */
    struct {
        _Atomic int state; /* enum care_state */
        _Atomic int crashes;
        _Atomic int alone;        /* of the crashes, with one record in the worker */
        _Atomic int64_t suspects; /* records that are still to be taken care with */
        _Atomic int64_t step;     /* so many at once; 0 while there are no suspects */
        uint64_t granted;         /* `polled` at the beginning of the step */
        _Atomic bool asked;       /* its committed offset was */
        bool tried;               /* it is judged; a mark of our own may be there */
    } care;                       /* written by the commit thread */
    /* window->lock. */
    enum lease_state state;
    uint64_t released;
    size_t released_size;
    struct lease *fresh_next;
    /* Commit thread. */
    struct lease *next;       /* in window->leases */
    struct slot *head, *tail; /* records in offset order */
    struct slot *pending;     /* the first without an outcome, NULL for none */
    size_t ready_count;       /* those in front of it */
    size_t taken_count;       /* of these, in the open transaction */
    int64_t ready_offset;     /* the last one's of those in front of `pending` */
    bool disordered;          /* one of these has a smaller offset than one before it */
    bool passed;              /* one has passed another that is not committed yet */
    int64_t taken_offset;     /* where the last one taken ends */
    int64_t seen_offset;      /* the last one's that is or was among the records */
    struct ahead ahead;       /* what is published beyond the committed offset */
    /* Written by the commit thread before anything is allowed, then read by the poll
     * thread: what the holders before had published. */
    struct ahead inherited;
};

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
    struct slot_chunk *chunks;

    struct slot *spare;   /* free slots; poll thread */
    struct lease *leases; /* those the commit thread has seen */
    size_t ready_count;   /* records with an outcome that may be published */
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

/* How much may still be polled; false if nothing.  Runs on: poll thread. */
bool window_room(struct window *window, size_t *records, size_t *size);

/* Waits until at least one part in `part` of the window is free, for timeout_us at most;
 * whether it is.  Runs on: poll thread. */
bool window_wait_room(struct window *window, size_t part, int64_t timeout_us);

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

/* What is to be committed for the lease once its taken records are published: the offset,
 * and what is then published beyond it.  Runs on: commit thread. */
int64_t window_commit_offset(const struct lease *lease, struct ahead *ahead);

/* They are: takes note of it.  The records are taken out after.  Runs on: commit thread.
 */
void window_committed(struct lease *lease);

/* Whether every lease with records in the open transaction is still ours.
 * Locks: takes window->lock. */
bool window_owns_taken(struct window *window);

/* Takes up to `count` records with outcomes from the head of the lease, as a chain by
 * link; the caller gives them to window_return.  Runs on: commit thread. */
struct slot *window_pop(struct window *window, struct lease *lease, size_t count);

/* The slots of a chain, all of one lease, are free.  Runs on: commit thread. */
void window_return(struct window *window, struct lease *lease, struct slot *chain);

/* Frees the leases that are lost and empty, and lets another one come first in the next
 * transaction.  Runs on: commit thread. */
void window_sweep(struct window *window);

bool window_is_lost(struct window *window, const struct lease *lease);

/* Calls `visit` for every slot with a message.  With no other thread about. */
void window_each(struct window *window, void (*visit)(void *context, struct slot *slot),
                 void *context);

#endif
