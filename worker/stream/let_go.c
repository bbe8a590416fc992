#include "stream/let_go.h"

#include "stream/internal.h"

/* What the next one needs, which was last touched by other threads. */
static void fetch_ahead(const struct slot *next) {
    if (next != NULL) {
        PREFETCH(next->record.message);
        PREFETCH(next->link);
    }
}

/* Lets `count` records of the lease go, as published or as lost. */
static void let_go(struct stream *stream, struct lease *lease, size_t count,
                   bool published) {
    uint64_t counts[RECORD_STATE_COUNT] = {0};
    struct window_free slots = {.first = NULL};

    for (size_t i = 0; i < count; i++) {
        struct slot *slot = lease_pop(lease);
        fetch_ahead(lease->head);
        counts[atomic_load_explicit(&slot->record.state, memory_order_relaxed)]++;
        stream_let_go(stream, slot);
        window_free_add(&slots, slot);
    }
    window_return(&stream->window, lease, &slots);
    room_released(stream);
    if (published) {
        atomic_fetch_add(&stream->counters.dead_letters_out, counts[RECORD_DEAD]);
        atomic_fetch_add(&stream->counters.retries_out, counts[RECORD_RETRY]);
        atomic_fetch_add(&stream->counters.results_out, counts[RECORD_RESULT]);
    } else {
        atomic_fetch_add(&stream->counters.records_lost, count);
    }
}

void let_go_lost(struct stream *stream) {
    for (struct lease *lease = stream->window.leases; lease != NULL;
         lease = lease->next) {
        if (lease->ready_count > 0 && window_is_lost(&stream->window, lease)) {
            let_go(stream, lease, lease->ready_count, false);
        }
    }
    window_sweep(&stream->window);
}

size_t let_go_taken(struct stream *stream) {
    size_t committed = 0;

    for (struct lease *lease = stream->window.leases; lease != NULL;
         lease = lease->next) {
        size_t count = lease->taken_count;
        if (count > 0) {
            lease_committed(lease);
        }
        lease->taken_count = 0;
        lease->taken_last = NULL;
        let_go(stream, lease, count, true);
        committed += count;
    }
    return committed;
}

size_t let_go_committed(struct stream *stream, struct lease *lease, int64_t offset,
                        const struct ahead *ahead) {
    const struct slot *slot = lease->head;
    size_t count = 0;

    while (count < lease->ready_count &&
           (slot->record.offset < offset || ahead_has(ahead, slot->record.offset))) {
        slot = slot->link;
        count++;
    }
    if (offset >= 0) {
        atomic_store(&lease->committed_offset, offset);
        lease->ahead = *ahead;
        lease->passed = true; /* what is left may stand in any order */
    }
    let_go(stream, lease, count, true);
    return count;
}
