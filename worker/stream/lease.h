/* lease.h - a partition for as long as this worker owns it, and its records in order.
 *
 * When the partition is taken away and given back, that is another lease.  Its records
 * stand in the order of their offsets; where the route is keyed, those that are ready are
 * put before one that is held, if their keys differ:
 *
 *     head ──► ready ... ready ──► pending ──► the rest, by their offsets
 *
 * Depends on: stream/record.h, stream/ahead.h.
 * Ownership: leases and slots are the window's.
 * Threads: as the fields say; the functions run on the commit thread. */
#ifndef MILLRACE_STREAM_LEASE_H
#define MILLRACE_STREAM_LEASE_H

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
    size_t unreported;        /* queued, and no report of their delivery yet */
    struct slot *taken_last;  /* the last one of those; NULL for none */
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

/* Its records that were handed out and not let go of.  Locks: window->lock held. */
static inline size_t lease_in_flight(const struct lease *lease) {
    return (size_t)(lease->polled - lease->released);
}

/* One more record, behind the others. */
void lease_add(struct lease *lease, struct slot *slot);

/* Looks how far the records have outcomes; those of other keys pass one that is held. */
void lease_advance(struct lease *lease);

/* Takes the first record, which is ready; its slot is for window_free_add. */
struct slot *lease_pop(struct lease *lease);

/* What is to be committed once the taken records are published: the offset, and what is
 * then published beyond it. */
int64_t lease_commit_offset(const struct lease *lease, struct ahead *ahead);

/* They are: takes note of it.  The records are taken out after. */
void lease_committed(struct lease *lease);

#endif
